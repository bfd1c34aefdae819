/* SPDX-License-Identifier: Apache-2.0 */
/* May threads share a key? Eight of them seal and open the same messages under the same keys. */
#include "tests/backend/lab.h"

#include <pthread.h>

enum { THREADS = 8, MESSAGES = 48, ROUNDS = 60 };

static lab_key keys[3];
static lab_message messages[MESSAGES];
static pthread_barrier_t start;

typedef struct {
    pthread_t thread;
    lab_bench *bench;
    uint64_t seed;
    const char *fault; /* kfe's or the bench's words outlive no thread: only whether there is one */
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    pthread_barrier_wait(&start);
    for (int round = 0; round < ROUNDS && w->fault == NULL; round++) {
        size_t from = (size_t)(w->seed + (uint64_t)round) % MESSAGES, n = MESSAGES - from;
        if (lab_seal(w->bench, messages + from, n) != NULL)
            w->fault = "sealing went wrong";
        else if (lab_open(w->bench, messages + from, n) != NULL)
            w->fault = "opening went wrong";
    }
    return NULL;
}

static void eight_share_their_keys(void **state)
{
    (void)state;
    worker workers[THREADS];
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.seed = kit_random()};
        workers[i].bench = lab_bench_new(workers[i].seed);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        lab_bench_free(workers[i].bench);
        if (workers[i].fault != NULL)
            fail_msg("thread %d: %s", i, workers[i].fault);
    }
    pthread_barrier_destroy(&start);
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    for (int i = 0; i < 3; i++)
        lab_key_init(&keys[i], lab_some_suite(), NULL);
    for (int i = 0; i < MESSAGES; i++) {
        const uint32_t lens[3] = {16 * kit_below(5), kit_below(40), kit_below(800)};
        lab_random(&messages[i], &keys[kit_below(3)], lens);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(eight_share_their_keys)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < MESSAGES; i++)
        lab_drop(&messages[i]);
    for (int i = 0; i < 3; i++)
        lab_key_wipe(&keys[i]);
    lab_end();
    return failed;
}
