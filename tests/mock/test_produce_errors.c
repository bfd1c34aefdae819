/* SPDX-License-Identifier: Apache-2.0 */
/* When a record is not taken, is everything still the application's, and nothing lost? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"
#include "tests/support/example_provider.h"

static unsigned reports;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    reports += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Both ways of keeping track of a message: with delivery reports and without. */
static kfe_producer *producer_of(bool reporting, const char *const *pairs)
{
    rd_kafka_conf_t *conf = mock_conf(pairs);
    if (reporting)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    reports = 0;
    return mock_producer(mock_config(NO_PAIRS), conf);
}

static kfe_message owned_message(const char *topic)
{
    kfe_message message = {.topic = topic,
                           .partition = RD_KAFKA_PARTITION_UA,
                           .msgflags = RD_KAFKA_MSG_F_FREE,
                           .payload = strdup("value"),
                           .len = 5,
                           .key = "key",
                           .key_len = 3,
                           .headers = rd_kafka_headers_new(1)};
    rd_kafka_header_add(message.headers, "h", -1, "plain", 5);
    return message;
}

/* A leak checker finds it when this is not so: everything is freed once, here. */
static void assert_untouched(kfe_message *message)
{
    const void *value;
    size_t len;
    assert_memory_equal(message->payload, "value", 5);
    assert_int_equal(rd_kafka_header_cnt(message->headers), 1);
    assert_int_equal(rd_kafka_header_get_last(message->headers, "h", &value, &len), 0);
    assert_memory_equal(value, "plain", 5);
    free(message->payload);
    rd_kafka_headers_destroy(message->headers);
}

static void a_full_queue_can_be_tried_again(void **state)
{
    (void)state;
    for (int reporting = 0; reporting < 2; reporting++) {
        kfe_producer *producer =
            producer_of(reporting, PAIRS("queue.buffering.max.messages", "1", "linger.ms", "200"));
        kfe_message first = owned_message(mock_topic(1)), second = owned_message(first.topic);
        assert_int_equal(kfe_produce(producer, &first), 0);
        assert_int_equal(kfe_produce(producer, &second), RD_KAFKA_RESP_ERR__QUEUE_FULL);
        assert_memory_equal(second.payload, "value", 5);
        while (kfe_produce(producer, &second) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            kfe_producer_poll(producer, 10);
        assert_int_equal(second.err, 0);
        mock_finish(producer);
        assert_int_equal(reports, reporting ? 2 : 0);
    }
}

static void nothing_overtakes_in_a_full_queue(void **state)
{
    (void)state;
    enum { N = 3000 }; /* more than one go */
    kfe_producer *producer =
        producer_of(true, PAIRS("queue.buffering.max.messages", "5", "linger.ms", "60000"));
    const char *topic = mock_topic(1);
    static kfe_message messages[N];
    for (int i = 0; i < N; i++)
        messages[i] = (kfe_message){.topic = topic,
                                    .msgflags = RD_KAFKA_MSG_F_COPY,
                                    .payload = (void *)(uintptr_t) "v",
                                    .len = 1};
    assert_int_equal(kfe_produce_batch(producer, messages, N), 5);
    for (int i = 0; i < N; i++)
        assert_int_equal(messages[i].err, i < 5 ? 0 : RD_KAFKA_RESP_ERR__QUEUE_FULL);
    kfe_producer_free(producer);
}

/* The second does not fit any more, the third would. */
static void a_small_record_does_not_overtake(void **state)
{
    (void)state;
    static char value[700];
    kfe_producer *producer =
        producer_of(true, PAIRS("queue.buffering.max.kbytes", "1", "linger.ms", "60000"));
    const char *topic = mock_topic(1);
    kfe_message messages[3];
    for (int i = 0; i < 3; i++)
        messages[i] = (kfe_message){.topic = topic,
                                    .msgflags = RD_KAFKA_MSG_F_COPY,
                                    .payload = value,
                                    .len = i < 2 ? sizeof(value) : 1};
    assert_int_equal(kfe_produce_batch(producer, messages, 3), 1);
    assert_int_equal(messages[1].err, RD_KAFKA_RESP_ERR__QUEUE_FULL);
    assert_int_equal(messages[2].err, RD_KAFKA_RESP_ERR__QUEUE_FULL);
    assert_int_equal(kfe_produce(producer, &messages[2]), 0);
    kfe_producer_free(producer);
}

static void too_large_is_counted_after_sealing(void **state)
{
    (void)state;
    for (int reporting = 0; reporting < 2; reporting++) {
        kfe_producer *producer = producer_of(reporting, PAIRS("message.max.bytes", "1000"));
        static char value[920];
        kfe_message message = {.topic = mock_topic(1),
                               .msgflags = RD_KAFKA_MSG_F_COPY,
                               .payload = value,
                               .len = sizeof(value)};
        assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        message.partition = RD_KAFKA_PARTITION_UA;
        assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        message.len = 500;
        assert_int_equal(kfe_produce(producer, &message), 0);
        message.len = (size_t)KFE_LEN_MAX + 1; /* no such memory is looked at */
        assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        mock_finish(producer);
    }
}

static void await_topic(kfe_producer *producer, const char *topic)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(kfe_producer_handle(producer), topic, NULL);
    const struct rd_kafka_metadata *metadata;
    assert_int_equal(rd_kafka_metadata(kfe_producer_handle(producer), 0, rkt, &metadata, WAIT_MS),
                     0);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
}

static void a_partition_that_is_not_there(void **state)
{
    (void)state;
    for (int reporting = 0; reporting < 2; reporting++) {
        kfe_producer *producer = producer_of(reporting, NO_PAIRS);
        kfe_message message = owned_message(mock_topic(2));
        await_topic(producer, message.topic);
        message.partition = 7;
        /* Metadata may be applied a moment later than it arrives; a message that was taken before
         * fails by its report. */
        while (kfe_produce(producer, &message) == 0)
            message = owned_message(message.topic), message.partition = 7;
        assert_int_equal(message.err, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
        assert_untouched(&message);
        mock_finish(producer);
        assert_int_equal(reports, 0);
    }
}

static int32_t nowhere(const rd_kafka_topic_t *topic, const void *key, size_t len, int32_t count,
                       void *topic_opaque, void *opaque)
{
    (void)topic;
    (void)key;
    (void)len;
    (void)topic_opaque;
    (void)opaque;
    return count;
}

/* librdkafka acknowledges such a message before it refuses it. */
static void a_partitioner_that_chooses_nowhere(void **state)
{
    (void)state;
    for (int reporting = 0; reporting < 2; reporting++) {
        rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
        rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
        rd_kafka_topic_conf_set_partitioner_cb(topic_conf, nowhere);
        rd_kafka_conf_set_default_topic_conf(conf, topic_conf);
        if (reporting)
            rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        kfe_producer *producer = mock_producer(mock_config(NO_PAIRS), conf);
        kfe_message message = owned_message(mock_topic(2));
        await_topic(producer, message.topic);
        while (kfe_produce(producer, &message) == 0)
            message = owned_message(message.topic);
        assert_int_equal(message.err, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
        assert_untouched(&message);
        kfe_producer_free(producer);
    }
}

static void a_record_that_cannot_be_sealed(void **state)
{
    (void)state;
    static const kfe_key_ref nobody = {"nobody", 0};
    kfe_producer *producer = producer_of(true, NO_PAIRS);
    kfe_message message = owned_message(mock_topic(1));
    message.key_ref = &nobody;
    assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION);
    assert_int_equal(message.error, KFE_E_KEY_UNKNOWN);
    assert_non_null(strstr(kfe_error_detail(), "nobody"));
    assert_untouched(&message);
    mock_finish(producer);
    assert_int_equal(reports, 0);
}

static void no_key_and_nothing_leaves(void **state)
{
    (void)state;
    kfe_config *config = mock_config(PAIRS("encryption.keymanager.topics", "other=orders",
                                           "encryption.unencrypted.topics", "clear"));
    assert_int_equal(kfe_config_set(config, "encryption.keymanager.default.key", "missing"),
                     KFE_OK);
    kfe_producer *producer = mock_producer(config, NULL);
    kfe_message message = owned_message(mock_topic(1));
    assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION);
    assert_int_equal(message.error, KFE_E_KEY_UNKNOWN);
    assert_untouched(&message);
    assert_int_equal(rd_kafka_outq_len(kfe_producer_handle(producer)), 0);
    kfe_producer_free(producer);
}

static void a_provider_that_recovers(void **state)
{
    (void)state;
    kfe_producer *producer = producer_of(true, NO_PAIRS);
    kfe_message message = owned_message(mock_topic(1));
    static const kfe_key_ref payments = {"payments", 0};
    message.key_ref = &payments;
    kfe_example_fail(KFE_E_PROVIDER, 1);
    assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION);
    assert_int_equal(message.error, KFE_E_PROVIDER);
    for (int i = 0; kfe_produce(producer, &message) != 0 && i < WAIT_MS / 10; i++) {
        assert_int_equal(message.error, KFE_E_PROVIDER);
        kfe_producer_poll(producer, 10);
    }
    assert_int_equal(message.err, 0);
    mock_finish(producer);
    assert_int_equal(reports, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_can_be_tried_again),
        cmocka_unit_test(nothing_overtakes_in_a_full_queue),
        cmocka_unit_test(a_small_record_does_not_overtake),
        cmocka_unit_test(too_large_is_counted_after_sealing),
        cmocka_unit_test(a_partition_that_is_not_there),
        cmocka_unit_test(a_partitioner_that_chooses_nowhere),
        cmocka_unit_test(a_record_that_cannot_be_sealed),
        cmocka_unit_test(no_key_and_nothing_leaves),
        cmocka_unit_test(a_provider_that_recovers),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
