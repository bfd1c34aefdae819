/* SPDX-License-Identifier: Apache-2.0 */
/* Is one forged message among many refused, whatever was changed, and nothing else? */
#include "tests/backend/lab.h"

enum { KEYS = 6, BATCH = 200 };

static lab_bench *bench;
static lab_key keys[KEYS];
static lab_message batch[BATCH];

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        lab_key_init(&keys[i], lab_some_suite(), NULL);
    for (size_t i = 0; i < BATCH; i++) {
        const uint32_t lens[3] = {16 * kit_below(5), kit_below(40),
                                  kit_below(4) ? kit_below(50) : kit_below(700)};
        lab_random(&batch[i], &keys[kit_below(KEYS)], lens);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < BATCH; i++)
        lab_drop(&batch[i]);
    for (int i = 0; i < KEYS; i++)
        lab_key_wipe(&keys[i]);
    return 0;
}

static void must_open(const lab_message *m, size_t n)
{
    const char *found = lab_open(bench, m, n);
    if (found != NULL)
        fail_msg("%s", found);
}

static void one_forged_at(size_t place, size_t n)
{
    lab_flip flip = lab_forge(&batch[place]);
    must_open(batch, n);
    lab_flip_again(&batch[place], flip);
}

static void one_in_every_place(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 64; n++)
        for (size_t place = 0; place < n; place++)
            one_forged_at(place, n);
}

/* Messages that are worked on side by side, one in each lane: a verdict must not go to a neighbour,
 * nor the wiping of a text. */
static void one_in_every_place_of_a_class(void **state)
{
    (void)state;
    static const uint32_t shapes[][3] = {{0, 0, 0},    {48, 12, 5},   {0, 32, 16},  {16, 32, 30},
                                         {0, 20, 100}, {32, 30, 300}, {0, 13, 1024}};
    static const size_t sizes[] = {4, 9, 16, 37, 66};
    for (size_t shape = 0; shape < 7; shape++) {
        lab_message alike[66];
        for (size_t i = 0; i < 66; i++)
            lab_random(&alike[i], &keys[0], shapes[shape]);
        for (size_t i = 0; i < 5; i++)
            for (size_t place = 0; place < sizes[i]; place++) {
                lab_flip flip = lab_forge(&alike[place]);
                must_open(alike, sizes[i]);
                lab_flip_again(&alike[place], flip);
            }
        for (size_t i = 0; i < 66; i++)
            lab_drop(&alike[i]);
    }
}

/* The mask has more than one word. */
static void one_in_a_larger_batch(void **state)
{
    (void)state;
    static const size_t sizes[] = {65, 127, 128, 129, BATCH};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (size_t place = 0; place < sizes[i]; place++)
            one_forged_at(place, sizes[i]);
}

static void several(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        lab_flip flips[BATCH];
        bool forged[BATCH];
        size_t n = 1 + kit_below(BATCH);
        uint32_t rarity = 1 + kit_below(4); /* 1: all of them */
        for (size_t i = 0; i < n; i++) {
            forged[i] = kit_below(rarity) == 0;
            if (forged[i])
                flips[i] = lab_forge(&batch[i]);
        }
        must_open(batch, n);
        for (size_t i = 0; i < n; i++)
            if (forged[i])
                lab_flip_again(&batch[i], flips[i]);
    }
    must_open(batch, BATCH);
}

static void every_bit_of_a_tag(void **state)
{
    (void)state;
    static const uint32_t shapes[][3] = {{0, 0, 0}, {16, 5, 0}, {48, 7, 33}, {0, 16, 400}};
    for (int i = 0; i < LAB_SUITES; i++) {
        unsigned suite = lab_suites[i];
        if (!lab_does(suite))
            continue;
        lab_key key;
        lab_key_init(&key, suite, NULL);
        for (size_t shape = 0; shape < 4; shape++) {
            lab_message m;
            lab_random(&m, &key, shapes[shape]);
            for (unsigned bit = 0; bit < 128; bit++) {
                lab_flip flip = {&m.tag[bit / 8], (uint8_t)(1u << bit % 8)};
                lab_flip_again(&m, flip);
                must_open(&m, 1);
                lab_flip_again(&m, flip);
            }
            must_open(&m, 1);
            lab_drop(&m);
        }
        lab_key_wipe(&key);
    }
}

/* Another key of the batch must not do. */
static void another_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < 64; i++) {
        const lab_key *right = batch[i].key;
        const lab_key *other = &keys[kit_below(KEYS)];
        batch[i].key = other;
        batch[i].forged = other != right;
        must_open(batch, 64);
        batch[i].key = right;
        batch[i].forged = false;
    }
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    bench = lab_bench_new(kit_random());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_in_every_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_in_every_place_of_a_class, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_in_a_larger_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_key, set_up, tear_down),
        cmocka_unit_test(every_bit_of_a_tag),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
