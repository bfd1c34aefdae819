/* SPDX-License-Identifier: Apache-2.0 */
/* Do transactions and the idempotent producer work on the handle as ever? (The mock cluster knows
 * no isolation: whether aborted records stay hidden is the broker suite's question.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

static rd_kafka_resp_err_t produce(kfe_producer *producer, const char *topic, const char *value)
{
    kfe_message message = {.topic = topic,
                           .msgflags = RD_KAFKA_MSG_F_COPY,
                           .payload = (void *)(uintptr_t)value,
                           .len = strlen(value)};
    return kfe_produce(producer, &message);
}

static void begin_produce_commit(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    kfe_producer *producer = mock_producer(config, mock_conf(PAIRS("transactional.id", "tests")));
    rd_kafka_t *rk = kfe_producer_handle(producer);
    const char *topic = mock_topic(1);
    assert_null(rd_kafka_init_transactions(rk, WAIT_MS));
    assert_int_equal(produce(producer, topic, "outside"), RD_KAFKA_RESP_ERR__STATE);
    assert_null(rd_kafka_begin_transaction(rk));
    assert_int_equal(produce(producer, topic, "one"), 0);
    assert_int_equal(produce(producer, topic, "two"), 0);
    assert_null(rd_kafka_commit_transaction(rk, WAIT_MS));
    assert_null(rd_kafka_begin_transaction(rk));
    assert_int_equal(produce(producer, topic, "three"), 0);
    assert_null(rd_kafka_abort_transaction(rk, WAIT_MS));
    kfe_producer_free(producer);

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    kfe_consumer_free(consumer);
}

/* A retried batch is the same sealed bytes: nothing is sealed twice under one counter. */
static void idempotence_and_retries(void **state)
{
    (void)state;
    enum { PRODUCE_REQUEST = 0 };
    const kfe_config *config = mock_config(NO_PAIRS);
    kfe_producer *producer = mock_producer(
        config, mock_conf(PAIRS("enable.idempotence", "true", "retry.backoff.ms", "1")));
    const char *topic = mock_topic(1);
    rd_kafka_mock_push_request_errors(mock_cluster(), PRODUCE_REQUEST, 2,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(produce(producer, topic, "one"), 0);
    assert_int_equal(produce(producer, topic, "two"), 0);
    mock_finish(producer);
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    kfe_consumer_free(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin_produce_commit),
        cmocka_unit_test(idempotence_and_retries),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
