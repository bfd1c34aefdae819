/* SPDX-License-Identifier: Apache-2.0 */
/* When all records of one batch fail, does each come out with its own error and its own fate? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"
#include "tests/support/example_provider.h"

static struct {
    unsigned count;
    kfe_error error[4];
    int64_t offset[4];
    char detail[4][256];
} told;

static void on_refused(void *arg, const char *topic, int32_t partition, int64_t offset,
                       kfe_error error, const char *detail)
{
    (void)arg;
    (void)topic;
    (void)partition;
    assert_true(told.count < 4);
    told.error[told.count] = error;
    told.offset[told.count] = offset;
    strncpy(told.detail[told.count++], detail, sizeof(told.detail[0]) - 1);
}

/* One batch: a record in clear, and one whose key cannot be had at the moment. */
static kfe_consumer *consumer_of_both(const char *on_error, bool clear_first)
{
    const kfe_config *config = mock_config(PAIRS("encryption.consumer.on.error", on_error));
    const char *topic = mock_topic(1);
    for (int i = 0; i < 2; i++) {
        if ((i == 0) == clear_first)
            mock_write_text(topic, 0, "in clear");
        else
            mock_produce(config, topic, 0, PAIRS("precious"));
    }
    kfe_example_fail(KFE_E_PROVIDER, 1);
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    memset(&told, 0, sizeof(told));
    kfe_consumer_on_refused(consumer, on_refused, NULL);
    mock_await_ready(consumer, 2);
    return consumer;
}

static rd_kafka_message_t *next_by_batch(kfe_consumer *consumer)
{
    rd_kafka_message_t *got[8];
    ssize_t n = 0;
    for (int i = 0; i < WAIT_MS / 100 && n == 0; i++)
        n = kfe_consume_batch(consumer, 100, got, 8);
    assert_int_equal(n, 1);
    return got[0];
}

static void assert_precious(rd_kafka_message_t *message, int64_t offset)
{
    assert_int_equal(message->err, 0);
    assert_int_equal(message->offset, offset);
    assert_memory_equal(message->payload, "precious", message->len);
    rd_kafka_message_destroy(message);
}

static void assert_told(unsigned i, int64_t offset, kfe_error error)
{
    assert_true(i < told.count);
    assert_int_equal(told.offset[i], offset);
    assert_int_equal(told.error[i], error);
    assert_true(told.detail[i][0] != '\0');
    assert_null(strstr(told.detail[i], kfe_error_name(error))); /* whoever logs it adds the name */
}

static void skip_loses_no_good_record(void **state)
{
    (void)state;
    kfe_consumer *consumer = consumer_of_both("skip", true);
    assert_precious(next_by_batch(consumer), 1);
    assert_int_equal(told.count, 2);
    assert_told(0, 0, KFE_E_UNENCRYPTED);
    assert_told(1, 1, KFE_E_PROVIDER);
    kfe_consumer_free(consumer);
}

static void a_bad_record_does_not_wait_for_ever(void **state)
{
    (void)state;
    kfe_consumer *consumer = consumer_of_both("skip", false);
    assert_precious(next_by_batch(consumer), 0);
    assert_null(kfe_consume(consumer, 200));
    assert_int_equal(told.count, 2);
    assert_told(0, 0, KFE_E_PROVIDER);
    assert_told(1, 1, KFE_E_UNENCRYPTED);
    kfe_consumer_free(consumer);
}

static void fail_names_the_right_cause(void **state)
{
    (void)state;
    kfe_consumer *consumer = consumer_of_both("fail", true);
    rd_kafka_message_t *message = next_by_batch(consumer);
    assert_int_equal(message->offset, 0);
    assert_int_equal(kfe_message_error(message), KFE_E_UNENCRYPTED);
    rd_kafka_message_destroy(message);
    assert_int_equal(told.count, 1); /* the other was not settled: it comes again */
    kfe_consumer_free(consumer);
}

static void each_produced_record_has_its_own_error(void **state)
{
    (void)state;
    static const kfe_key_ref nobody = {"nobody", 0};
    kfe_example_fail(KFE_OK, 0);
    kfe_producer *producer = mock_producer(mock_config(NO_PAIRS), NULL);
    kfe_message messages[2];
    for (int i = 0; i < 2; i++)
        messages[i] = (kfe_message){.topic = mock_topic(1),
                                    .msgflags = RD_KAFKA_MSG_F_COPY,
                                    .payload = (void *)(uintptr_t) "v",
                                    .len = 1};
    messages[0].headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(messages[0].headers, "kfe", -1, "x", 1);
    messages[1].key_ref = &nobody;
    assert_int_equal(kfe_produce_batch(producer, messages, 2), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(messages[i].err, RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION);
    assert_int_equal(messages[0].error, KFE_E_RECORD);
    assert_int_equal(messages[1].error, KFE_E_KEY_UNKNOWN);
    rd_kafka_headers_destroy(messages[0].headers);
    kfe_producer_free(producer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skip_loses_no_good_record),
        cmocka_unit_test(a_bad_record_does_not_wait_for_ever),
        cmocka_unit_test(fail_names_the_right_cause),
        cmocka_unit_test(each_produced_record_has_its_own_error),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
