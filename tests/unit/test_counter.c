/* SPDX-License-Identifier: Apache-2.0 */

/* Does a session's counter ever give a value twice, to two threads or two processes, and does it
 * stop exactly at its limits? */
#include "tests/unit/rig.h"

#include <stdlib.h>
#include <string.h>

static kfe_counter *fresh(void)
{
    kfe_counter *counter = kfe_counter_new();
    assert_non_null(counter);
    return counter;
}

/* ---- Every value once ------------------------------------------------------------------------ */

enum { THREADS = 8 };

typedef struct {
    uint64_t first;
    uint32_t n;
} lease;

typedef struct {
    kfe_counter *counter;
    uint64_t each; /* values that a thread draws */
    lease *leases[THREADS];
    size_t n_leases[THREADS];
} drawing;

/* Leases of 1..64, of another order for each thread. */
static void draw_many(void *arg, unsigned number)
{
    drawing *d = arg;
    uint32_t step = number * 7919 + 1;
    for (uint64_t left = d->each; left > 0;) {
        uint64_t n = (step = step * 1664525 + 1013904223) % 64 + 1;
        n = n < left ? n : left;
        kfe_use use = {n, n, 3 * n};
        lease *mine = &d->leases[number][d->n_leases[number]];
        if (kfe_counter_draw(d->counter, &use, &mine->first))
            return; /* the sum will tell */
        mine->n = (uint32_t)n;
        d->n_leases[number]++;
        left -= n;
    }
}

/* Marks the values of a lease; false when one is marked already or is not below `total`. */
static bool mark(uint8_t *seen, uint64_t total, const lease *l)
{
    for (uint64_t value = l->first; value < l->first + l->n; value++) {
        if (value >= total || (seen[value / 8] >> (value % 8) & 1) != 0)
            return false;
        seen[value / 8] |= (uint8_t)(1u << (value % 8));
    }
    return true;
}

static void no_value_is_drawn_twice(void **state)
{
    (void)state;
    drawing d = {.counter = fresh(), .each = rig_slow() ? 400000 : 10000000};
    uint64_t total = d.each * THREADS, marked = 0;
    for (unsigned t = 0; t < THREADS; t++)
        assert_non_null(d.leases[t] = calloc(d.each / 16 + 64, sizeof(lease)));
    uint8_t *seen = calloc(total / 8 + 1, 1);
    assert_non_null(seen);
    rig_threads(THREADS, draw_many, &d);
    for (unsigned t = 0; t < THREADS; t++) {
        for (size_t i = 0; i < d.n_leases[t]; i++) {
            assert_true(mark(seen, total, &d.leases[t][i]));
            marked += d.leases[t][i].n;
        }
        free(d.leases[t]);
    }
    assert_int_equal(marked, total); /* all below total and none twice: so each one once */
    print_message("%d threads drew %llu counters: no duplicate\n", THREADS,
                  (unsigned long long)total);
    free(seen);
    kfe_counter_free(d.counter);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

typedef struct {
    kfe_counter *counter;
    kfe_use use;
    _Atomic uint64_t granted;
    _Atomic unsigned strange;
} rush;

static void draw_until_refused(void *arg, unsigned number)
{
    (void)number;
    rush *r = arg;
    uint64_t first = 0;
    kfe_error err = KFE_OK;
    while ((err = kfe_counter_draw(r->counter, &r->use, &first)) == KFE_OK)
        atomic_fetch_add(&r->granted, 1);
    uint64_t before = first;
    for (int i = 0; i < 1000; i++) /* refused once, refused for ever, and nothing is written */
        if (err != KFE_E_KEY_EXHAUSTED || first != before ||
            (err = kfe_counter_draw(r->counter, &r->use, &first)) == KFE_OK)
            atomic_fetch_add(&r->strange, 1);
}

static uint64_t rush_at(uint64_t fields, uint64_t blocks, kfe_use use)
{
    rush r = {.counter = fresh(), .use = use};
    atomic_store(&r.counter->fields, fields);
    atomic_store(&r.counter->blocks, blocks);
    rig_threads(THREADS, draw_until_refused, &r);
    assert_int_equal(atomic_load(&r.strange), 0);
    assert_int_equal(atomic_load(&r.counter->next), atomic_load(&r.granted) * use.envelopes);
    kfe_counter_free(r.counter);
    return atomic_load(&r.granted);
}

static void fields_end_exactly_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(rush_at(KFE_HARD_FIELDS - 1000, 0, (kfe_use){1, 1, 1}), 1000);
    assert_int_equal(rush_at(KFE_HARD_FIELDS - 1000, 0, (kfe_use){2, 8, 1}), 125);
    assert_int_equal(rush_at(KFE_HARD_FIELDS - 1000, 0, (kfe_use){2, 7, 1}), 142);
    assert_int_equal(rush_at(KFE_HARD_FIELDS, 0, (kfe_use){1, 1, 1}), 0);
}

static void blocks_end_exactly_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(rush_at(0, KFE_HARD_BLOCKS - 1000, (kfe_use){1, 1, 1}), 1000);
    assert_int_equal(rush_at(0, KFE_HARD_BLOCKS - 1000, (kfe_use){1, 1, 10}), 100);
    assert_int_equal(rush_at(0, KFE_HARD_BLOCKS, (kfe_use){1, 1, 1}), 0);
}

static void soft_limits_are_told(void **state)
{
    (void)state;
    kfe_counter *counter = fresh();
    uint64_t first = 0;
    const kfe_use use = {1, 9, 4};
    assert_int_equal(kfe_counter_draw(counter, &use, &first), KFE_OK);
    assert_false(kfe_counter_past(counter, 10, 16 * 5));
    assert_true(kfe_counter_past(counter, 9, 16 * 5));
    assert_true(kfe_counter_past(counter, 10, 16 * 4));
    kfe_counter_free(counter);
}

/* ---- Children -------------------------------------------------------------------------------- */

static void find_it_dead(void *arg)
{
    kfe_counter *counter = arg;
    const kfe_use use = {1, 1, 1};
    uint64_t first = 77;
    rig_require(!kfe_counter_alive(counter), 1);
    for (int i = 0; i < 1000; i++)
        rig_require(kfe_counter_draw(counter, &use, &first) == KFE_E_KEY_EXHAUSTED && first == 77,
                    2);
}

static void no_child_draws(void **state)
{
    (void)state;
    kfe_counter *counter = fresh();
    const kfe_use use = {5, 5, 5};
    uint64_t first = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(kfe_counter_draw(counter, &use, &first), KFE_OK);
        assert_int_equal(first, 5 * i);
        assert_int_equal(rig_child(i % 2 == 1, find_it_dead, counter), 0);
        assert_true(kfe_counter_alive(counter));
    }
    kfe_counter_free(counter);
}

static void die_in_grandchild(void *arg)
{
    rig_require(rig_child(false, find_it_dead, arg) == 0, 3);
    rig_require(rig_child(true, find_it_dead, arg) == 0, 4);
}

static void no_grandchild_draws(void **state)
{
    (void)state;
    kfe_counter *counter = fresh();
    assert_int_equal(rig_child(false, die_in_grandchild, counter), 0);
    assert_int_equal(rig_child(true, die_in_grandchild, counter), 0);
    kfe_counter_free(counter);
}

static void keep_drawing(void *arg, unsigned number)
{
    (void)number;
    rush *r = arg;
    uint64_t first = 0;
    while (atomic_load(&r->granted) == 0) /* here: told to stop */
        if (kfe_counter_draw(r->counter, &r->use, &first))
            atomic_fetch_add(&r->strange, 1);
}

static void children_are_refused_while_the_parent_draws(void **state)
{
    (void)state;
    rush r = {.counter = fresh(), .use = {1, 1, 1}};
    rig_thread threads[4];
    pthread_barrier_t start;
    rig_start(threads, 4, &start, keep_drawing, &r);
    int bad = 0;
    for (int i = 0; i < (rig_slow() ? 20 : 200); i++)
        bad += rig_child(i % 2 == 1, find_it_dead, r.counter) != 0;
    atomic_store(&r.granted, 1);
    rig_join(threads, 4, &start);
    assert_int_equal(bad, 0);
    assert_int_equal(atomic_load(&r.strange), 0);
    kfe_counter_free(r.counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_value_is_drawn_twice),
        cmocka_unit_test(fields_end_exactly_at_the_limit),
        cmocka_unit_test(blocks_end_exactly_at_the_limit),
        cmocka_unit_test(soft_limits_are_told),
        cmocka_unit_test(no_child_draws),
        cmocka_unit_test(no_grandchild_draws),
        cmocka_unit_test(children_are_refused_while_the_parent_draws),
    };
    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
