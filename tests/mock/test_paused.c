/* SPDX-License-Identifier: Apache-2.0 */
/* While the KeyProvider cannot answer: is no record lost, doubled or out of order? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"
#include "tests/support/example_provider.h"

static unsigned told, told_waiting;
static kfe_error told_error;
static int64_t told_offset;

static void on_refused(void *arg, const char *topic, int32_t partition, int64_t offset,
                       kfe_error error, const char *detail)
{
    (void)arg;
    (void)topic;
    (void)partition;
    assert_true(detail[0] != '\0');
    told++;
    told_waiting += error == KFE_E_BUSY;
    told_error = error;
    told_offset = offset;
}

static void outage_of(kfe_error error, const kfe_config *config)
{
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("1", "2", "3", "4"));
    kfe_example_fail(error, 2);
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    kfe_consumer_on_refused(consumer, on_refused, NULL);
    told = 0;
    mock_expect(consumer, "1");
    mock_expect(consumer, "2");
    mock_expect(consumer, "3");
    mock_expect(consumer, "4");
    assert_null(kfe_consume(consumer, 100));
    assert_int_equal(told, 1); /* for the held record, however often it is tried */
    assert_int_equal(told_error, error);
    assert_int_equal(told_offset, 0);
    kfe_consumer_free(consumer);
}

static void a_provider_that_comes_back(void **state)
{
    (void)state;
    outage_of(KFE_E_PROVIDER, mock_config(NO_PAIRS));
}

static void skip_waits_too(void **state)
{
    (void)state;
    outage_of(KFE_E_PROVIDER, mock_config(PAIRS("encryption.consumer.on.error", "skip")));
}

static void nothing_comes_meanwhile(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("1", "2"));
    kfe_example_fail(KFE_E_PROVIDER, 1000);
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    assert_null(kfe_consume(consumer, 0));
    assert_null(kfe_consume(consumer, 1000));
    assert_int_equal(kfe_consumer_retry(consumer), 0); /* is about stopped ones only */
    assert_null(kfe_consume(consumer, 300));
    kfe_example_fail(KFE_OK, 0);
    mock_expect(consumer, "1");
    mock_expect(consumer, "2");
    kfe_consumer_free(consumer);
}

/* A record that waits once more later on is told once more. */
static void each_held_record_is_told(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("1"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    kfe_consumer_on_refused(consumer, on_refused, NULL);
    told = 0;
    kfe_example_fail(KFE_E_PROVIDER, 1);
    mock_expect(consumer, "1");
    assert_int_equal(told, 1);
    mock_produce(config, topic, 0, PAIRS("2")); /* another session */
    kfe_example_fail_derive(KFE_E_PROVIDER, 1);
    mock_expect(consumer, "2");
    assert_int_equal(told, 2);
    assert_int_equal(told_offset, 1);
    kfe_consumer_free(consumer);
}

/* The end of a partition is behind all of its records. */
static void the_end_comes_last(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("1", "2"));
    kfe_example_fail(KFE_E_PROVIDER, 2);
    kfe_consumer *consumer = mock_consumer(config, PAIRS("enable.partition.eof", "true"), topic, 1);
    mock_await_ready(consumer, 3);
    int seen = 0;
    for (int i = 0; i < WAIT_MS / 100 && seen < 3; i++) {
        rd_kafka_message_t *got[8];
        ssize_t n = kfe_consume_batch(consumer, 100, got, 8);
        for (ssize_t j = 0; j < n; j++, seen++) {
            assert_int_equal(got[j]->err, seen < 2 ? 0 : RD_KAFKA_RESP_ERR__PARTITION_EOF);
            assert_int_equal(got[j]->offset, seen);
            rd_kafka_message_destroy(got[j]);
        }
    }
    assert_int_equal(seen, 3);
    kfe_consumer_free(consumer);
}

/* Reads by batches; partition p's records are the digits '0', '1', ... */
static void a_batch_keeps_the_order_of_each_partition(void **state)
{
    (void)state;
    enum { PARTITIONS = 3, EACH = 8 };
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(PARTITIONS);
    for (int p = 0; p < PARTITIONS; p++)
        mock_produce(config, topic, p, PAIRS("0", "1", "2", "3", "4", "5", "6", "7"));
    kfe_example_fail(KFE_E_PROVIDER, 3);
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, PARTITIONS);
    int next[PARTITIONS] = {0}, total = 0;
    for (int i = 0; i < WAIT_MS / 100 && total < PARTITIONS * EACH; i++) {
        rd_kafka_message_t *got[64];
        ssize_t n = kfe_consume_batch(consumer, 100, got, 64);
        assert_true(n >= 0);
        for (ssize_t j = 0; j < n; j++) {
            assert_int_equal(got[j]->err, 0);
            assert_int_equal(*(const char *)got[j]->payload, '0' + next[got[j]->partition]++);
            rd_kafka_message_destroy(got[j]);
            total++;
        }
    }
    assert_int_equal(total, PARTITIONS * EACH);
    assert_null(kfe_consume(consumer, 100));
    kfe_consumer_free(consumer);
}

static void assign(kfe_consumer *consumer, const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(kfe_consumer_handle(consumer), list), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Revoked while it is held: the hold must neither bring it back nor stop it when it returns. */
static void a_partition_that_is_revoked_meanwhile(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(2);
    mock_produce(config, topic, 0, PAIRS("zero", "one"));
    mock_produce(config, topic, 1, PAIRS("other"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    kfe_example_fail(KFE_E_PROVIDER, 1000);
    assert_null(kfe_consume(consumer, 300));
    assign(consumer, topic, 1);
    kfe_example_fail(KFE_OK, 0);
    mock_expect(consumer, "other");
    assert_null(kfe_consume(consumer, 300));
    assign(consumer, topic, 0);
    mock_expect(consumer, "zero");
    mock_expect(consumer, "one");
    kfe_consumer_free(consumer);
}

static void a_stopped_partition_that_is_revoked(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(2);
    mock_write_text(topic, 0, "in clear");
    mock_produce(config, topic, 1, PAIRS("other"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    mock_expect_refused(consumer, KFE_E_UNENCRYPTED);
    assign(consumer, topic, 1);
    assert_int_equal(kfe_consumer_retry(consumer), 0);
    mock_expect(consumer, "other");
    assert_null(kfe_consume(consumer, 300));
    kfe_consumer_free(consumer);
}

/* Full of sessions that no record proved: a burst of forged records under new salts. */
static void too_many_unproven_sessions(void **state)
{
    (void)state;
    enum { SALT_AT = 14, N = 1100 }; /* behind version..group, map (1), name (7), key version */
    const kfe_config *config = mock_config(PAIRS("encryption.consumer.on.error", "skip"));
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("first"));
    mock_record record = mock_read(topic, 0, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, mock_conf(NO_PAIRS), NULL, 0);
    const void *value;
    size_t len;
    assert_int_equal(rd_kafka_header_get_last(record.headers, "kfe", &value, &len), 0);
    for (uint32_t i = 0; i < N; i++) {
        uint8_t envelope[256];
        assert_in_range(len, SALT_AT + 16, sizeof(envelope));
        memcpy(envelope, value, len);
        memcpy(envelope + SALT_AT, &i, sizeof(i));
        rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
        rd_kafka_header_add(headers, "kfe", -1, envelope, (ssize_t)len);
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                           RD_KAFKA_V_VALUE(record.value, record.len),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                         0);
    }
    assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
    rd_kafka_destroy(rk);
    mock_record_free(&record);
    mock_produce(config, topic, 0, PAIRS("last"));

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    kfe_consumer_on_refused(consumer, on_refused, NULL);
    told = told_waiting = 0;
    mock_expect(consumer, "first");
    mock_expect(consumer, "last");
    assert_int_equal(told - told_waiting, N); /* each forged one, once */
    assert_true(told_waiting > 0);
    kfe_consumer_free(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_that_comes_back),
        cmocka_unit_test(skip_waits_too),
        cmocka_unit_test(nothing_comes_meanwhile),
        cmocka_unit_test(each_held_record_is_told),
        cmocka_unit_test(the_end_comes_last),
        cmocka_unit_test(a_batch_keeps_the_order_of_each_partition),
        cmocka_unit_test(a_partition_that_is_revoked_meanwhile),
        cmocka_unit_test(a_stopped_partition_that_is_revoked),
        cmocka_unit_test(too_many_unproven_sessions),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
