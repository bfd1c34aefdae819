/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels work on messages of one class (as many blocks of text, as many of AAD) side by side, in
 * groups that go over into each other. Is every class right, in every number of messages around
 * those groups, with the lengths within a class unlike each other, and wherever one class follows
 * another in a batch? */
#include "tests/backend/lab.h"

enum { BLOCKS = 70, AAD_BLOCKS = 6, KEYS = 3, MESSAGES = LAB_BATCH_MAX };

static lab_bench *bench;
static lab_key keys[KEYS];
static lab_message batch[MESSAGES];
static size_t n;

/* A length of so many blocks: whole ones at times, else any. */
static uint32_t length_of(uint32_t blocks)
{
    return blocks == 0 ? 0 : 16 * blocks - (kit_below(3) != 0 ? kit_below(16) : 0);
}

static void add(const lab_key *key, const uint32_t lens[3])
{
    lab_random(&batch[n++], key, lens);
}

static void flush(void)
{
    lab_both(bench, batch, n);
    for (size_t i = 0; i < n; i++)
        lab_drop(&batch[i]);
    n = 0;
}

static void keys_of(unsigned suite)
{
    for (int i = 0; i < KEYS; i++)
        lab_key_init(&keys[i], suite, NULL);
}

static void drop_keys(void)
{
    for (int i = 0; i < KEYS; i++)
        lab_key_wipe(&keys[i]);
}

static void each_suite(void (*run)(void))
{
    static const unsigned suites[] = {KFE_A256GCM, KFE_A128GCM, KFE_A192GCM};
    for (int i = 0; i < 3; i++) {
        if (!lab_does(suites[i]))
            continue;
        keys_of(suites[i]);
        run();
        drop_keys();
    }
}

/* Lengths alike in half of the runs, as they are in records. */
static void add_class(const lab_key *key, uint32_t blocks, uint32_t aad_blocks, size_t messages)
{
    const uint32_t first[3] = {16 * kit_below(3), length_of(aad_blocks), length_of(blocks)};
    bool alike = kit_below(2) != 0;
    for (size_t i = 0; i < messages && n < MESSAGES; i++) {
        const uint32_t other[3] = {first[0], length_of(aad_blocks), length_of(blocks)};
        add(key, alike ? first : other);
    }
}

static void one_class(uint32_t blocks, uint32_t aad_blocks, size_t messages)
{
    add_class(&keys[0], blocks, aad_blocks, messages);
    flush();
}

/* Of three sizes each: a few, some groups, and whatever lies between. */
static void all_classes(void)
{
    for (uint32_t blocks = 0; blocks <= BLOCKS; blocks++)
        for (uint32_t aad = 0; aad <= AAD_BLOCKS; aad++) {
            one_class(blocks, aad, 1 + kit_below(4));
            one_class(blocks, aad, 5 + kit_below(12));
            one_class(blocks, aad, 17 + kit_below(24));
        }
}

static void every_class(void **state)
{
    (void)state;
    each_suite(all_classes);
}

/* Powers of H are kept for so many blocks, of AAD and text together: what has more is hashed in
 * portions. Numbers around those, in batches too small for groups. */
static void all_portions(void)
{
    for (uint32_t blocks = 58; blocks <= 84; blocks++)
        for (uint32_t aad = 0; aad <= 24; aad++) {
            one_class(blocks, aad, 1);
            one_class(blocks, aad, 2 + kit_below(3));
        }
}

static void every_portion(void **state)
{
    (void)state;
    each_suite(all_portions);
}

/* Classes of one, two, an odd and an even number of blocks. */
static void all_numbers(void)
{
    static const uint32_t blocks[] = {0, 1, 2, 3, 4, 7, 16, 19};
    for (int i = 0; i < 8; i++)
        for (size_t messages = 1; messages <= 70; messages++)
            one_class(blocks[i], kit_below(5), messages);
}

static void every_number_of_messages(void **state)
{
    (void)state;
    each_suite(all_numbers);
}

/* Runs of one class after the other: how a batch of records lies, field by field. */
static void runs_of_classes(void)
{
    for (int round = 0; round < 60; round++) {
        size_t wanted = 1 + kit_below(MESSAGES), run = 1 + kit_below(80);
        while (n < wanted) {
            uint32_t blocks = kit_below(4) ? kit_below(22) : kit_below(BLOCKS + 2);
            const lab_key *key = &keys[kit_below(4) ? 0 : kit_below(KEYS)];
            add_class(key, blocks, kit_below(AAD_BLOCKS + 1), run);
        }
        flush();
    }
}

static void one_class_after_the_other(void **state)
{
    (void)state;
    each_suite(runs_of_classes);
}

/* Few classes, shuffled. */
static void mixed_classes(void)
{
    for (int round = 0; round < 60; round++) {
        uint32_t from = kit_below(BLOCKS), classes = 1 + kit_below(6), aads = 1 + kit_below(3);
        size_t wanted = 1 + kit_below(kit_below(3) ? 100 : MESSAGES), used = 1 + kit_below(KEYS);
        while (n < wanted) {
            const uint32_t lens[3] = {16 * kit_below(2), length_of(kit_below(aads)),
                                      length_of(from + kit_below(classes))};
            add(&keys[kit_below((uint32_t)used)], lens);
        }
        flush();
    }
}

static void classes_without_order(void **state)
{
    (void)state;
    each_suite(mixed_classes);
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    bench = lab_bench_new(kit_random());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class),
        cmocka_unit_test(every_portion),
        cmocka_unit_test(every_number_of_messages),
        cmocka_unit_test(one_class_after_the_other),
        cmocka_unit_test(classes_without_order),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
