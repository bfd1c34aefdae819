/* SPDX-License-Identifier: Apache-2.0 */
/* A partition that is revoked between a poll and the verdict on its record: does it run when it
 * comes back? */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"
#include "tests/support/example_provider.h"

/* NULL: no partition at all. */
static void assign(kfe_consumer *consumer, const char *topic, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (topic != NULL)
        rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    assert_int_equal(rd_kafka_assign(kfe_consumer_handle(consumer), topic != NULL ? list : NULL),
                     0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The verdict is out, the partition not held yet: the moment that a rebalance would hit. */
static void revoke(void *arg, const char *topic, int32_t partition, int64_t offset, kfe_error error,
                   const char *detail)
{
    (void)topic;
    (void)partition;
    (void)offset;
    (void)error;
    (void)detail;
    assign(arg, NULL, 0);
}

static void a_refused_record(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_write_text(topic, 0, "in clear");
    mock_produce(config, topic, 0, PAIRS("one", "two"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    kfe_consumer_on_refused(consumer, revoke, consumer);
    mock_await_ready(consumer, 3);
    rd_kafka_message_t *got[8];
    assert_int_equal(kfe_consume_batch(consumer, WAIT_MS, got, 8), 1); /* and none behind it */
    assert_int_equal(kfe_message_error(got[0]), KFE_E_UNENCRYPTED);
    rd_kafka_message_destroy(got[0]);
    assert_null(kfe_consume(consumer, 300));
    assign(consumer, topic, 1);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    kfe_consumer_free(consumer);
}

static void *consume(void *consumer)
{
    return kfe_consume(consumer, 500);
}

/* The KeyProvider takes its time over the record, and fails when its partition has gone. */
static void a_record_that_waits(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one", "two"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    kfe_example_gate_close();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, consume, consumer), 0);
    kfe_example_await(1);
    assign(consumer, NULL, 0);
    kfe_example_fail(KFE_E_PROVIDER, 1);
    kfe_example_gate_open();
    void *message = NULL;
    assert_int_equal(pthread_join(thread, &message), 0);
    assert_null(message);
    assign(consumer, topic, 0);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    kfe_consumer_free(consumer);
}

/* Held in time, revoked later, back before anybody asked for it. */
static void a_stopped_partition_that_comes_back(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_write_text(topic, 0, "in clear");
    mock_produce(config, topic, 0, PAIRS("one"));
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    mock_expect_refused(consumer, KFE_E_UNENCRYPTED);
    assign(consumer, NULL, 0);
    assert_null(kfe_consume(consumer, 1500));
    assign(consumer, topic, 1);
    mock_expect(consumer, "one");
    kfe_consumer_free(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_record),
        cmocka_unit_test(a_record_that_waits),
        cmocka_unit_test(a_stopped_partition_that_comes_back),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
