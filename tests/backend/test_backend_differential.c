/* SPDX-License-Identifier: Apache-2.0 */
/* Is the backend the same cipher as OpenSSL, asked directly? Every length up to 8,192, every length
 * of AAD and prefix, all pairs of a short text and a short AAD, every size of batch, and random
 * batches of 20,000 messages in all. A campaign takes every length with every length of AAD, and
 * another number of random ones:
 *
 *     KFE_WHOLE=1 KFE_CASES=1000000 build/release/bin/test_backend_differential BACKEND */
#include "tests/backend/lab.h"

#include <stdlib.h>

enum { KEYS = 80, EVERY_LEN = 8192, BATCH = LAB_BATCH_MAX };

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
    if (n == 64 || kit_below(8) == 0)
        flush();
}

static void each_suite(void (*run)(const lab_key *key))
{
    for (int i = 0; i < LAB_SUITES; i++) {
        if (!lab_does(lab_suites[i]))
            continue;
        lab_key key;
        lab_key_init(&key, lab_suites[i], NULL);
        run(&key);
        flush();
        lab_key_wipe(&key);
    }
}

/* ---- Lengths --------------------------------------------------------------------------------- */

static void lengths_of(const lab_key *key)
{
    for (uint32_t len = 0; len <= EVERY_LEN; len++) {
        const uint32_t lens[3] = {16 * kit_below(LAB_PREFIX_MAX / 16 + 1),
                                  kit_below(LAB_AAD_MAX + 1), len};
        add(key, lens);
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
        }
    for (uint32_t aad = 0; aad <= 2200; aad++) {
        const uint32_t lens[3] = {16 * kit_below(LAB_PREFIX_MAX / 16 + 1), aad, kit_below(200)};
        add(key, lens);
    }
}

static void every_length_of_aad(void **state)
{
    (void)state;
    each_suite(aad_lengths_of);
}

static void pairs_of(const lab_key *key)
{
    uint32_t longest = getenv("KFE_WHOLE") != NULL ? EVERY_LEN : 300;
    for (uint32_t aad = 0; aad <= LAB_AAD_MAX; aad++)
        for (uint32_t len = 0; len <= longest; len++) {
            const uint32_t lens[3] = {16 * kit_below(3), aad, len};
            add(key, lens);
        }
}

static void every_pair_of_lengths(void **state)
{
    (void)state;
    each_suite(pairs_of);
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* Mostly short, like fields; at times long. */
static uint32_t some_len(void)
{
    static const uint32_t most[] = {17, 65, 65, 257, 257, 601, 1100, 4200};
    if (kit_below(200) == 0)
        return kit_below(LAB_LEN_MAX + 1);
    return kit_below(most[kit_below(8)]);
}

/* A record's fields have key and prefix in common: half of the messages go on with those of the one
 * before. */
static void random_batch(size_t size)
{
    static const uint32_t in_use[] = {1, 1, 2, 4, 16, 64, KEYS};
    uint32_t used = in_use[kit_below(7)], first = kit_below(KEYS - used + 1);
    while (n < size) {
        lab_message *m = &batch[n];
        bool goes_on = n > 0 && kit_below(2);
        const lab_key *key = goes_on ? m[-1].key : &keys[first + kit_below(used)];
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
    for (size_t size = 1; size <= 70; size++)
        random_batch(size);
    for (size_t size = 71; size < BATCH; size += 1 + kit_below(200))
        random_batch(size);
    random_batch(BATCH);
    drop_keys();
}

static void random_batches(void **state)
{
    (void)state;
    size_t wanted = lab_cases(20000), done = 0;
    while (done < wanted) {
        make_keys();
        for (int i = 0; i < 40; i++) {
            size_t size = 1 + kit_below(kit_below(20) != 0 ? 64 : BATCH);
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
        cmocka_unit_test(every_length),          cmocka_unit_test(every_length_of_aad),
        cmocka_unit_test(every_pair_of_lengths), cmocka_unit_test(every_size_of_batch),
        cmocka_unit_test(random_batches),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
