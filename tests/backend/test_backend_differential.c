/* SPDX-License-Identifier: Apache-2.0 */
/* Is the backend the same cipher as OpenSSL, asked directly? Every length up to 600, every length
 * of AAD and prefix, every size of batch, and random batches of 20,000 messages in all; KFE_CASES
 * sets another number. A campaign:
 *
 *     KFE_CASES=1000000 build/release/bin/test_backend_differential BACKEND */
#include "tests/backend/lab.h"

#include <stdlib.h>

enum { KEYS = 12, EVERY_LEN = 600, BATCH = 64 };

static lab_bench *bench;
static lab_key keys[KEYS];
static lab_message batch[BATCH];
static size_t n;

static void make_keys(void)
{
    for (int i = 0; i < KEYS; i++)
        lab_key_init(&keys[i], lab_some_suite(), NULL);
}

static void drop_keys(void)
{
    for (int i = 0; i < KEYS; i++)
        lab_key_wipe(&keys[i]);
}

static void flush(void)
{
    lab_both(bench, batch, n);
    for (size_t i = 0; i < n; i++)
        lab_drop(&batch[i]);
    n = 0;
}

static void add(const lab_key *key, const uint32_t lens[3])
{
    lab_random(&batch[n++], key, lens);
    if (n == BATCH)
        flush();
}

static void each_suite(void (*run)(const lab_key *key))
{
    for (int i = 0; i < LAB_SUITES; i++) {
        unsigned suite = lab_suites[i];
        if (!lab_does(suite))
            continue;
        lab_key key;
        lab_key_init(&key, suite, NULL);
        run(&key);
        flush();
        lab_key_wipe(&key);
    }
}

static void lengths_of(const lab_key *key)
{
    for (uint32_t len = 0; len <= EVERY_LEN; len++) {
        const uint32_t lens[3] = {16 * kit_below(LAB_PREFIX_MAX / 16 + 1),
                                  kit_below(LAB_AAD_MAX + 1), len};
        add(key, lens);
        if (kit_below(3) == 0)
            flush();
    }
}

static void every_length(void **state)
{
    (void)state;
    each_suite(lengths_of);
}

static void aad_lengths_of(const lab_key *key)
{
    for (uint32_t prefix = 0; prefix <= LAB_PREFIX_MAX; prefix += 16)
        for (uint32_t aad = 0; aad <= LAB_AAD_MAX; aad++) {
            const uint32_t lens[3] = {prefix, aad, kit_below(80)};
            add(key, lens);
            if (kit_below(4) == 0)
                flush();
        }
}

static void every_length_of_aad(void **state)
{
    (void)state;
    each_suite(aad_lengths_of);
}

/* Mostly short, like fields; at times long. */
static uint32_t some_len(void)
{
    static const uint32_t most[] = {17, 65, 65, 257, 257, 601, 4200, 4200};
    if (kit_below(100) == 0)
        return kit_below(LAB_LEN_MAX + 1);
    return kit_below(most[kit_below(8)]);
}

/* A record's fields have key and prefix in common: half of the messages go on with those of the one
 * before. */
static void random_batch(size_t size)
{
    while (n < size) {
        lab_message *m = &batch[n];
        bool goes_on = n > 0 && kit_below(2);
        const lab_key *key = goes_on ? m[-1].key : &keys[kit_below(KEYS)];
        const uint32_t lens[3] = {goes_on ? m[-1].prefix_len
                                          : 16 * kit_below(LAB_PREFIX_MAX / 16 + 1),
                                  kit_below(LAB_AAD_MAX + 1), some_len()};
        lab_random(m, key, lens);
        for (uint32_t i = 0; goes_on && i < m->prefix_len; i++)
            m->aad[i] = m[-1].aad[i];
        lab_oracle(m);
        n++;
    }
    flush();
}

static void every_size_of_batch(void **state)
{
    (void)state;
    make_keys();
    for (size_t size = 1; size <= BATCH; size++)
        random_batch(size);
    drop_keys();
}

static void random_batches(void **state)
{
    (void)state;
    const char *given = getenv("KFE_CASES");
    size_t wanted = given != NULL ? strtoull(given, NULL, 10) : 20000, done = 0;
    while (done < wanted) {
        make_keys();
        for (int i = 0; i < 20; i++) {
            size_t size = 1 + kit_below(BATCH);
            random_batch(size);
            done += size;
        }
        drop_keys();
    }
    print_message("%zu random messages\n", done);
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    bench = lab_bench_new(kit_random());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),
        cmocka_unit_test(every_length_of_aad),
        cmocka_unit_test(every_size_of_batch),
        cmocka_unit_test(random_batches),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
