/* SPDX-License-Identifier: Apache-2.0 */
/* May any number of threads use one producer, while another serves its delivery reports? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/mock/support/mock.h"

enum { THREADS = 4, EACH = 1000 };

static atomic_uint reports, wrong;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    uint32_t number = (uint32_t)(uintptr_t)message->_private;
    bool right = !message->err && message->len == sizeof(number) &&
                 memcmp(message->payload, &number, sizeof(number)) == 0;
    wrong += !right;
    reports++;
}

typedef struct {
    kfe_producer *producer;
    const char *topic;
    uint32_t first;
} job;

static void *produce(void *arg)
{
    const job *j = arg;
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t number = j->first + i;
        kfe_message message = {.topic = j->topic,
                               .partition = RD_KAFKA_PARTITION_UA,
                               .msgflags = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK,
                               .payload = &number,
                               .len = sizeof(number),
                               .key = i % 3 == 0 ? NULL : (const void *)&number,
                               .key_len = i % 3 == 1 ? sizeof(number) : 0,
                               .opaque = (void *)(uintptr_t)number};
        if (kfe_produce(j->producer, &message))
            wrong++;
    }
    return NULL;
}

static void many_threads(bool reporting)
{
    const kfe_config *config = mock_config(NO_PAIRS);
    rd_kafka_conf_t *conf =
        mock_conf(PAIRS("queue.buffering.max.messages", "100", "linger.ms", "0"));
    if (reporting)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    kfe_producer *producer = mock_producer(config, conf);
    const char *topic = mock_topic(1);
    reports = wrong = 0;
    pthread_t threads[THREADS];
    job jobs[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        jobs[i] = (job){producer, topic, i * EACH};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &jobs[i]), 0);
    }
    for (int i = 0; reporting && reports < THREADS * EACH && i < WAIT_MS / 10; i++)
        kfe_producer_poll(producer, 10);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mock_finish(producer);
    assert_int_equal(wrong, 0);
    assert_int_equal(reports, reporting ? THREADS * EACH : 0);

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    static bool seen[THREADS * EACH];
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < THREADS * EACH; i++) {
        rd_kafka_message_t *message = mock_next(consumer);
        uint32_t number = 0;
        assert_int_equal(message->err, 0);
        memcpy(&number, message->payload, sizeof(number));
        assert_true(number < THREADS * EACH && !seen[number]);
        seen[number] = true;
        rd_kafka_message_destroy(message);
    }
    kfe_consumer_free(consumer);
}

static void with_reports(void **state)
{
    (void)state;
    many_threads(true);
}

static void without_reports(void **state)
{
    (void)state;
    many_threads(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_reports),
        cmocka_unit_test(without_reports),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
