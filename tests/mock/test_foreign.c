/* SPDX-License-Identifier: Apache-2.0 */
/* What an application does on the handle by librdkafka's own calls, and what others wrote: does it
 * do any harm? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

static unsigned reports;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    reports += message->_private == &reports;
}

static void produce_foreign(rd_kafka_t *rk, const char *topic, int32_t partition, void *opaque)
{
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_KEY("k", 1),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t) "foreign", 7),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END),
                     0);
}

/* Its opaque is taken for nothing of ours, with and without delivery reports. */
static void messages_of_another_opaque(void **state)
{
    (void)state;
    static char opaque[1024];
    for (int reporting = 0; reporting < 2; reporting++) {
        rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
        if (reporting)
            rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        reports = 0;
        memset(opaque, 0x5a, sizeof(opaque));
        kfe_producer *producer = mock_producer(mock_config(NO_PAIRS), conf);
        const char *topic = mock_topic(2);
        rd_kafka_t *rk = kfe_producer_handle(producer);
        for (int32_t partition = -1; partition < 2; partition++) {
            produce_foreign(rk, topic, partition, opaque);
            produce_foreign(rk, topic, partition, NULL);
            kfe_message message = {.topic = topic,
                                   .partition = partition,
                                   .msgflags = RD_KAFKA_MSG_F_COPY,
                                   .payload = (void *)(uintptr_t) "own",
                                   .len = 3,
                                   .opaque = &reports};
            assert_int_equal(kfe_produce(producer, &message), 0);
        }
        mock_finish(producer);
        assert_int_equal(reports, reporting ? 3 : 0);
        for (size_t i = 0; i < sizeof(opaque); i++)
            assert_int_equal(opaque[i], 0x5a);
    }
}

/* librdkafka shows names as C strings: no "kfe" header is left, whatever stands behind a NUL. */
static void a_header_name_that_goes_on_behind_a_nul(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one"));
    mock_record record = mock_read(topic, 0, 0);
    const void *value;
    size_t len;
    assert_int_equal(rd_kafka_header_get_last(record.headers, "kfe", &value, &len), 0);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "kfe\0x", 5, value, (ssize_t)len);
    rd_kafka_headers_destroy(record.headers);
    record.headers = headers;
    mock_write(topic, 0, &record);
    mock_record_free(&record);

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    mock_expect(consumer, "one");
    rd_kafka_message_t *message = mock_next(consumer);
    assert_int_equal(message->err, 0);
    assert_memory_equal(message->payload, "one", 3);
    bool none = rd_kafka_message_headers(message, &headers) != 0;
    assert_int_equal(none ? 0 : rd_kafka_header_cnt(headers), 0);
    rd_kafka_message_destroy(message);
    kfe_consumer_free(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_another_opaque),
        cmocka_unit_test(a_header_name_that_goes_on_behind_a_nul),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
