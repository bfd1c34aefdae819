/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of records that must not be opened, and of those around them? */
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
    char topic[64], detail[256];
    int32_t partition;
    int64_t offset;
    kfe_error error;
} told;

static void on_refused(void *arg, const char *topic, int32_t partition, int64_t offset,
                       kfe_error error, const char *detail)
{
    assert_ptr_equal(arg, &told);
    told.count++;
    strncpy(told.topic, topic, sizeof(told.topic) - 1);
    strncpy(told.detail, detail, sizeof(told.detail) - 1);
    told.partition = partition;
    told.offset = offset;
    told.error = error;
}

static kfe_consumer *telling_consumer(const kfe_config *config, const char *topic, int partitions)
{
    memset(&told, 0, sizeof(told));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, partitions);
    kfe_consumer_on_refused(consumer, on_refused, &told);
    return consumer;
}

static void assert_told(const char *topic, int64_t offset, kfe_error error)
{
    assert_int_equal(told.count, 1);
    assert_string_equal(told.topic, topic);
    assert_int_equal(told.partition, 0);
    assert_int_equal(told.offset, offset);
    assert_int_equal(told.error, error);
    assert_true(told.detail[0] != '\0');
}

static void a_record_in_clear(void **state)
{
    (void)state;
    const char *topic = mock_topic(1);
    mock_write_text(topic, 0, "forged in clear");
    kfe_consumer *consumer = telling_consumer(mock_config(NO_PAIRS), topic, 1);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_UNENCRYPTED), 0);
    assert_told(topic, 0, KFE_E_UNENCRYPTED);
    assert_null(kfe_consume(consumer, 300)); /* stays there */
    kfe_consumer_free(consumer);
}

static void a_forged_record(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("good"));
    mock_forge(topic, 0, 0);
    kfe_consumer *consumer = telling_consumer(config, topic, 1);
    mock_expect(consumer, "good");
    assert_int_equal(mock_expect_refused(consumer, KFE_E_AUTH), 1);
    assert_told(topic, 1, KFE_E_AUTH);
    kfe_consumer_free(consumer);
}

static void a_suite_that_is_not_listed(void **state)
{
    (void)state;
    const char *topic = mock_topic(1);
    mock_produce(mock_config(PAIRS("encryption.algorithms", "A128GCM")), topic, 0, PAIRS("x"));
    kfe_consumer *consumer = telling_consumer(mock_config(NO_PAIRS), topic, 1);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_SUITE), 0);
    kfe_consumer_free(consumer);
}

static void skip_leaves_them_out(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(PAIRS("encryption.consumer.on.error", "skip"));
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one"));
    mock_forge(topic, 0, 0);
    mock_produce(config, topic, 0, PAIRS("two"));
    kfe_consumer *consumer = telling_consumer(config, topic, 1);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    assert_told(topic, 1, KFE_E_AUTH);
    kfe_consumer_free(consumer);
}

/* Says nothing about the record, so not even `skip` leaves it out; and somebody has to act. */
static void refused_credentials(const char *on_error)
{
    const kfe_config *config = mock_config(PAIRS("encryption.consumer.on.error", on_error));
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one", "two"));
    kfe_example_fail(KFE_E_CREDENTIALS, 2);
    kfe_consumer *consumer = telling_consumer(config, topic, 1);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_CREDENTIALS), 0);
    assert_told(topic, 0, KFE_E_CREDENTIALS);
    assert_null(kfe_consume(consumer, 1000));
    assert_int_equal(kfe_consumer_retry(consumer), 0);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_CREDENTIALS), 0);
    assert_null(kfe_consume(consumer, 1000)); /* the engine remembers an outage for a moment */
    assert_int_equal(kfe_consumer_retry(consumer), 0);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    kfe_consumer_free(consumer);
}

static void retry_after_the_cause_is_fixed(void **state)
{
    (void)state;
    refused_credentials("fail");
}

static void skip_does_not_skip_what_is_no_fault_of_the_record(void **state)
{
    (void)state;
    refused_credentials("skip");
}

static void a_destroyed_key(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one"));
    assert_int_equal(kfe_example_set_state("orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    kfe_consumer *consumer = telling_consumer(config, topic, 1);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_KEY_DESTROYED), 0);
    assert_non_null(strstr(told.detail, "orders"));
    assert_int_equal(kfe_example_set_state("orders", 1, KFE_KEY_ACTIVE), KFE_OK);
    kfe_consumer_free(consumer);
}

static void the_application_seeks_past_it(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_write_text(topic, 0, "in clear");
    mock_produce(config, topic, 0, PAIRS("one", "two"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_UNENCRYPTED), 0);

    rd_kafka_t *rk = kfe_consumer_handle(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 1;
    assert_null(rd_kafka_seek_partitions(rk, list, WAIT_MS));
    assert_int_equal(rd_kafka_resume_partitions(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    assert_int_equal(kfe_consumer_retry(consumer), 0); /* nothing is held any more */
    assert_null(kfe_consume(consumer, 200));
    kfe_consumer_free(consumer);
}

/* The application that only resumes gets the record again, not the next one. */
static void resuming_does_not_lose_it(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_write_text(topic, 0, "in clear");
    mock_produce(config, topic, 0, PAIRS("one"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mock_expect_refused(consumer, KFE_E_UNENCRYPTED), 0);
        rd_kafka_t *rk = kfe_consumer_handle(consumer);
        assert_int_equal(rd_kafka_pause_partitions(rk, list), 0); /* twice paused */
        assert_int_equal(rd_kafka_resume_partitions(rk, list), 0);
    }
    rd_kafka_topic_partition_list_destroy(list);
    kfe_consumer_free(consumer);
}

/* Reads by batches until `n` records and `refused` refused ones came; tells the values' digits. */
static void collect(kfe_consumer *consumer, unsigned n, unsigned refused, char *found)
{
    rd_kafka_message_t *got[16];
    unsigned records = 0, errors = 0;
    for (int i = 0; i < 1000 && (records < n || errors < refused); i++) {
        ssize_t count = kfe_consume_batch(consumer, 100, got, 16);
        assert_true(count >= 0);
        for (ssize_t j = 0; j < count; j++) {
            if (got[j]->err) {
                assert_int_equal(kfe_message_error(got[j]), KFE_E_AUTH);
                errors++;
            } else {
                found[records++] = *(const char *)got[j]->payload;
            }
            rd_kafka_message_destroy(got[j]);
        }
    }
    assert_int_equal(records, n);
    assert_int_equal(errors, refused);
}

static void a_batch_goes_on_with_other_partitions(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(2);
    mock_produce(config, topic, 0, PAIRS("1"));
    mock_forge(topic, 0, 0);
    mock_produce(config, topic, 0, PAIRS("2"));
    mock_produce(config, topic, 1, PAIRS("a", "b", "c"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 2);
    char found[8] = "";
    collect(consumer, 4, 1, found);
    assert_non_null(strchr(found, '1'));
    assert_null(strchr(found, '2')); /* behind the forged one */
    assert_true(strchr(found, 'a') < strchr(found, 'b') && strchr(found, 'b') < strchr(found, 'c'));
    assert_null(kfe_consume(consumer, 200));
    rd_kafka_message_t *none = NULL;
    assert_int_equal(kfe_consume_batch(consumer, 0, &none, 0), -1);
    kfe_consumer_free(consumer);
}

static void messages_of_librdkafka_pass(void **state)
{
    (void)state;
    const char *topic = mock_topic(1);
    kfe_consumer *consumer =
        mock_consumer(mock_config(NO_PAIRS), PAIRS("enable.partition.eof", "true"), topic, 1);
    rd_kafka_message_t *message = mock_next(consumer);
    assert_int_equal(message->err, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    assert_int_equal(kfe_message_error(message), KFE_OK);
    rd_kafka_message_destroy(message);
    kfe_consumer_free(consumer);
}

static void append_header(const char *topic)
{
    mock_record record = mock_read(topic, 0, 0);
    rd_kafka_header_add(record.headers, "trace", -1, "id", 2);
    mock_write(topic, 0, &record);
    mock_record_free(&record);
}

static void added_headers(void **state)
{
    (void)state;
    const char *topic = mock_topic(1);
    mock_produce(mock_config(NO_PAIRS), topic, 0, PAIRS("one"));
    append_header(topic);
    static const char *const choices[] = {"refuse", "drop", "keep"};
    for (size_t i = 0; i < 3; i++) {
        kfe_consumer *consumer =
            mock_consumer(mock_config(PAIRS("encryption.consumer.added.headers", choices[i])),
                          NO_PAIRS, topic, 1);
        mock_expect(consumer, "one");
        if (i == 0) {
            assert_int_equal(mock_expect_refused(consumer, KFE_E_AUTH), 1);
        } else {
            rd_kafka_message_t *message = mock_next(consumer);
            assert_int_equal(message->err, 0);
            rd_kafka_headers_t *headers = NULL;
            bool none = rd_kafka_message_headers(message, &headers);
            assert_int_equal(none ? 0 : rd_kafka_header_cnt(headers), i == 2);
            rd_kafka_message_destroy(message);
        }
        kfe_consumer_free(consumer);
    }
}

/* ---- With a part of the keys ------------------------------------------------------------ */

static void produce_two_groups(const char *topic)
{
    static const kfe_key_ref payments = {"payments", 0};
    const kfe_key_ref *refs[] = {NULL, &payments};
    kfe_producer *producer = mock_producer(mock_config(NO_PAIRS), NULL);
    kfe_message message = {.topic = topic,
                           .msgflags = RD_KAFKA_MSG_F_COPY,
                           .payload = (void *)(uintptr_t) "value",
                           .len = 5,
                           .key = "key",
                           .key_len = 3,
                           .headers = rd_kafka_headers_new(2),
                           .header_refs = refs};
    rd_kafka_header_add(message.headers, "open", -1, "seen", 4);
    rd_kafka_header_add(message.headers, "card", -1, "4711", 4);
    assert_int_equal(kfe_produce(producer, &message), 0);
    mock_finish(producer);
}

static void partial_opens_what_it_can(void **state)
{
    (void)state;
    const char *topic = mock_topic(1);
    produce_two_groups(topic);
    kfe_example_reset();
    kfe_consumer *consumer =
        mock_consumer(mock_config(PAIRS("encryption.consumer.partial", "true",
                                        "encryption.keyprovider.example.keys", "orders")),
                      NO_PAIRS, topic, 1);
    rd_kafka_message_t *message = mock_next(consumer);
    if (message->err)
        fail_msg("%s", kfe_error_detail());
    assert_memory_equal(message->payload, "value", 5);
    assert_memory_equal(message->key, "key", 3);
    assert_false(kfe_message_is_sealed(message, KFE_KEY));
    assert_false(kfe_message_is_sealed(message, KFE_VALUE));
    assert_false(kfe_message_is_sealed(message, 0));
    assert_true(kfe_message_is_sealed(message, 1));
    assert_false(kfe_message_is_sealed(message, 2));

    rd_kafka_headers_t *headers = NULL;
    const void *value;
    size_t len;
    assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
    assert_int_equal(rd_kafka_header_cnt(headers), 3); /* the other group's envelope stays */
    assert_int_equal(rd_kafka_header_get_last(headers, "open", &value, &len), 0);
    assert_memory_equal(value, "seen", 4);
    assert_int_equal(rd_kafka_header_get_last(headers, "card", &value, &len), 0);
    assert_memory_not_equal(value, "4711", 4);
    rd_kafka_message_destroy(message);
    kfe_consumer_free(consumer);
}

static void partial_without_the_values_key(void **state)
{
    (void)state;
    kfe_example_reset();
    const char *topic = mock_topic(1);
    produce_two_groups(topic);
    kfe_example_reset();
    kfe_consumer *consumer =
        mock_consumer(mock_config(PAIRS("encryption.consumer.partial", "true",
                                        "encryption.keyprovider.example.keys", "payments")),
                      NO_PAIRS, topic, 1);
    rd_kafka_message_t *message = mock_next(consumer);
    if (message->err)
        fail_msg("%s", kfe_error_detail());
    assert_true(kfe_message_is_sealed(message, KFE_KEY));
    assert_true(kfe_message_is_sealed(message, KFE_VALUE));
    assert_true(kfe_message_is_sealed(message, 0));
    assert_false(kfe_message_is_sealed(message, 1));
    rd_kafka_message_destroy(message);
    kfe_consumer_free(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_in_clear),
        cmocka_unit_test(a_forged_record),
        cmocka_unit_test(a_suite_that_is_not_listed),
        cmocka_unit_test(skip_leaves_them_out),
        cmocka_unit_test(retry_after_the_cause_is_fixed),
        cmocka_unit_test(skip_does_not_skip_what_is_no_fault_of_the_record),
        cmocka_unit_test(a_destroyed_key),
        cmocka_unit_test(the_application_seeks_past_it),
        cmocka_unit_test(resuming_does_not_lose_it),
        cmocka_unit_test(a_batch_goes_on_with_other_partitions),
        cmocka_unit_test(messages_of_librdkafka_pass),
        cmocka_unit_test(added_headers),
        cmocka_unit_test(partial_opens_what_it_can),
        cmocka_unit_test(partial_without_the_values_key),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
