/* SPDX-License-Identifier: Apache-2.0 */

/* Does a sealing session end where it must, and does its successor come without a record that fails
 * or waits? */
#include "tests/unit/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 3 }; /* of rig_seal()'s record */

static void seal_one(kfe_engine *engine, kit_record *out)
{
    if (rig_seal(engine, NULL, out))
        fail_msg("%s", kfe_error_detail());
}

static void seal_again(kfe_engine *engine, kit_record *into)
{
    kit_free(into);
    seal_one(engine, into);
}

static void set_fields(kfe_engine *engine, uint64_t fields)
{
    atomic_store(&rig_session(engine, "orders", 0)->counter->fields, fields);
}

/* ---- Hard limits ----------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 200 };

typedef struct {
    kfe_engine *engine;
    rig_place places[THREADS * EACH];
    _Atomic unsigned failed;
} load;

static void seal_many(void *arg, unsigned number)
{
    load *l = arg;
    for (unsigned i = 0; i < EACH; i++) {
        kit_record sealed;
        if (rig_seal(l->engine, NULL, &sealed))
            atomic_fetch_add(&l->failed, 1);
        l->places[number * EACH + i] = rig_place_of(&sealed);
        kit_free(&sealed);
    }
}

static int by_place(const void *a, const void *b)
{
    const rig_place *x = a, *y = b;
    int salts = memcmp(x->salt, y->salt, KFE_SALT_LEN);
    return salts != 0 ? salts : (x->counter > y->counter) - (x->counter < y->counter);
}

static void threads_at_a_hard_limit_get_exactly_what_is_left(void **state)
{
    (void)state;
    static load l;
    kfe_config *config = rig_config();
    l.engine = kit_engine(config);
    kit_record sealed;
    seal_one(l.engine, &sealed);
    rig_no_successors(l.engine);
    set_fields(l.engine, KFE_HARD_FIELDS - 1000);
    rig_threads(THREADS, seal_many, &l);
    assert_int_equal(atomic_load(&l.failed), 0);
    rig_place old = rig_place_of(&sealed);
    qsort(l.places, THREADS * EACH, sizeof(*l.places), by_place);
    unsigned under_old = 0, salts = 1;
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        under_old += memcmp(l.places[i].salt, old.salt, KFE_SALT_LEN) == 0;
        if (i == 0)
            continue;
        assert_int_not_equal(by_place(&l.places[i - 1], &l.places[i]), 0);
        salts += memcmp(l.places[i - 1].salt, l.places[i].salt, KFE_SALT_LEN) != 0;
    }
    assert_int_equal(under_old, 1000 / FIELDS);
    assert_int_equal(salts, 2);
    kit_free(&sealed);
    kfe_engine_free(l.engine);
    kfe_config_free(config);
}

typedef void change(kfe_engine *engine);

static void reach_fields(kfe_engine *engine)
{
    set_fields(engine, KFE_HARD_FIELDS - FIELDS + 1); /* a record does not fit any more */
}

static void reach_blocks(kfe_engine *engine)
{
    atomic_store(&rig_session(engine, "orders", 0)->counter->blocks, KFE_HARD_BLOCKS - 1);
}

static void a_hard_limit_is_replaced_in_line_or_refused(void **state)
{
    (void)state;
    change *const reach[] = {reach_fields, reach_blocks, rig_wear_out};
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record before, sealed;
    seal_one(engine, &before);
    for (size_t i = 0; i < sizeof(reach) / sizeof(*reach); i++) {
        rig_no_successors(engine);
        reach[i](engine);
        kfe_example_fail_derive(KFE_E_PROVIDER, 1);
        assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_E_PROVIDER);
        assert_null(sealed.r.value.data);
        assert_int_equal(sealed.r.n_headers, 0);
        kit_free(&sealed);
        rig_pass(250);            /* a failed derivation is believed so long */
        kfe_example_gate_close(); /* the key is loaded: nobody is asked for it */
        seal_one(engine, &sealed);
        kfe_example_gate_open();
        assert_false(rig_same_salt(&before, &sealed));
        assert_int_equal(rig_place_of(&sealed).counter, 0);
        kit_free(&before);
        before = sealed;
    }
    assert_int_equal(kfe_example_counted().get_current_key, 1);
    kit_free(&before);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

/* ---- Soft limits ----------------------------------------------------------------------------- */

/* The limit was passed by the record in `last`: one more is sealed at once, under the old session
 * unless the keeper was there first, and after the keeper's work the next under another one. */
static void expect_successor(kfe_engine *engine, kit_record *last)
{
    kit_record next;
    seal_one(engine, &next);
    const bool old = rig_same_salt(last, &next);
    rig_settle(engine);
    kit_free(last);
    seal_one(engine, last);
    assert_int_equal(rig_same_salt(last, &next), !old);
    kit_free(&next);
}

static void soft_limit(const char *name, const char *value, unsigned records, int64_t ms)
{
    kfe_config *config = rig_config();
    kit_set(config, name, value);
    kfe_engine *engine = kit_engine(config);
    kit_record first, sealed;
    seal_one(engine, &first);
    seal_one(engine, &sealed);
    for (int round = 1; round <= 3; round++) {
        for (unsigned i = 2; i < records; i++) {
            seal_again(engine, &sealed);
            rig_settle(engine);
            assert_true(rig_same_salt(&first, &sealed));
        }
        rig_pass(ms);
        expect_successor(engine, &sealed);
        kfe_example_counts counts = kfe_example_counted();
        assert_int_equal(counts.derive, round + 1);
        assert_int_equal(counts.get_current_key, 1);
        kit_free(&first);
        first = sealed;
        seal_one(engine, &sealed);
    }
    kit_free(&first);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void soft_limits_bring_a_successor(void **state)
{
    (void)state;
    soft_limit("encryption.session.max.fields", "100", 34, 0);
    kfe_example_reset();
    soft_limit("encryption.session.max.bytes", "600", 8, 0); /* 5 blocks a record, 37 allowed */
    kfe_example_reset();
    soft_limit("encryption.session.max.age.ms", "1000", 5, 1000);
}

static void no_record_waits_for_a_provider_at_a_soft_limit(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record first, sealed;
    seal_one(engine, &first);
    rig_pass(60000); /* the key is due for a look */
    kfe_example_gate_close();
    seal_one(engine, &sealed);
    kfe_example_await(1);
    set_fields(engine, UINT64_C(1) << 31);
    for (int i = 0; i < 100; i++) {
        seal_again(engine, &sealed);
        assert_true(rig_same_salt(&first, &sealed));
    }
    kfe_example_gate_open();
    rig_settle(engine);
    seal_again(engine, &sealed);
    assert_false(rig_same_salt(&first, &sealed));
    kit_free(&first);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void a_failed_successor_is_tried_again_but_not_all_the_time(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record first, sealed;
    seal_one(engine, &first);
    seal_one(engine, &sealed);
    set_fields(engine, UINT64_C(1) << 31);
    kfe_example_fail_derive(KFE_E_PROVIDER, 1000);
    for (unsigned round = 1; round <= 5; round++) {
        for (int i = 0; i < 20; i++) {
            seal_again(engine, &sealed);
            rig_settle(engine);
            assert_true(rig_same_salt(&first, &sealed));
        }
        assert_int_equal(kfe_example_counted().derive, 1 + round);
        rig_pass(250);
    }
    kfe_example_fail_derive(KFE_OK, 0);
    expect_successor(engine, &sealed);
    kit_free(&first);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg);
/* Visible, as a sanitizer's library asks for it too. */
__attribute__((visibility("default"))) int __wrap_pthread_create(pthread_t *thread,
                                                                 const pthread_attr_t *attributes,
                                                                 void *(*body)(void *), void *arg);

static atomic_bool no_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg)
{
    return atomic_load(&no_threads) ? EAGAIN : __real_pthread_create(thread, attributes, body, arg);
}

static void without_a_keeper_everything_is_done_in_line(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record first, sealed;
    atomic_store(&no_threads, true);
    seal_one(engine, &first);
    set_fields(engine, UINT64_C(1) << 31);
    seal_one(engine, &sealed);
    assert_true(rig_same_salt(&first, &sealed)); /* past the soft limit, and nobody to help */
    rig_pass(60000);
    seal_again(engine, &sealed);
    assert_true(rig_same_salt(&first, &sealed));
    set_fields(engine, KFE_HARD_FIELDS);
    seal_again(engine, &sealed);
    assert_false(rig_same_salt(&first, &sealed));
    assert_int_equal(kfe_example_counted().get_current_key, 1);
    rig_pass(240000); /* the key is too old now */
    seal_again(engine, &sealed);
    assert_int_equal(kfe_example_counted().get_current_key, 2);
    atomic_store(&no_threads, false);
    rig_pass(60000); /* the next use finds a thread */
    seal_again(engine, &sealed);
    rig_settle(engine);
    assert_int_equal(kfe_example_counted().get_current_key, 3);
    kit_free(&first);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

/* ---- At once --------------------------------------------------------------------------------- */

typedef struct {
    kfe_engine *engine;
    _Atomic unsigned entered, failed;
    kit_record sealed[16];
} at_once;

static void seal_together(void *arg, unsigned number)
{
    at_once *a = arg;
    atomic_fetch_add(&a->entered, 1);
    if (rig_seal(a->engine, NULL, &a->sealed[number]))
        atomic_fetch_add(&a->failed, 1);
}

static void threads_that_seal_at_once_ask_once(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    at_once a = {.engine = kit_engine(config)};
    rig_thread threads[16];
    pthread_barrier_t start;
    kfe_example_gate_close();
    rig_start(threads, 16, &start, seal_together, &a);
    kfe_example_await(1);
    while (atomic_load(&a.entered) < 16)
        sched_yield();
    kfe_example_gate_open();
    rig_join(threads, 16, &start);
    assert_int_equal(atomic_load(&a.failed), 0);
    kfe_example_counts counts = kfe_example_counted();
    assert_int_equal(counts.get_current_key, 1);
    assert_int_equal(counts.derive, 1);
    for (int i = 0; i < 16; i++)
        assert_true(rig_same_salt(&a.sealed[0], &a.sealed[i]));
    for (int i = 0; i < 16; i++)
        kit_free(&a.sealed[i]);
    kfe_engine_free(a.engine);
    kfe_config_free(config);
}

static void seal_in_turn(void *arg, unsigned number)
{
    at_once *a = arg;
    char name[2] = "a";
    const kfe_key_ref ref = {name, 0};
    for (unsigned i = 0; i < (rig_slow() ? 300 : 3000); i++) {
        kit_record sealed;
        name[0] = (char)('a' + (i + number / 4) % 4);
        if (rig_seal(a->engine, &ref, &sealed))
            atomic_fetch_add(&a->failed, 1);
        kit_free(&sealed);
    }
}

/* More names than sessions fit: who waits for one must cope with its being pushed out. */
static void names_in_turn_share_what_little_room_there_is(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kit_set(config, "encryption.keyprovider.example.keys", "a,b,c,d");
    at_once a = {.engine = kit_engine(config)};
    atomic_load(&a.engine->state)->open_max = 1;
    rig_threads(16, seal_in_turn, &a);
    assert_int_equal(atomic_load(&a.failed), 0);
    kfe_engine_free(a.engine);
    kfe_config_free(config);
    kfe_example_counts counts = kfe_example_counted();
    assert_int_equal(counts.handed_out, counts.release);
}

/* ---- What is kept for the next call ---------------------------------------------------------- */

/* In all workspaces of one direction. */
static size_t plans_kept(const kfe_engine *engine, bool sealing)
{
    size_t n = 0;
    for (int i = 0; i < KFE_WORKS_KEPT; i++) {
        const kfe_work *work = atomic_load(&engine->works[sealing][i]);
        for (const kfe_plan *plan = work == NULL ? NULL : work->plans; plan != NULL;
             plan = plan->older)
            n++;
    }
    return n;
}

/* Each call walks along the plans that are kept: they must not become more with every record whose
 * form was not met before, as a writer of records may choose, nor where each has a key of its own
 * choice. */
static void seal_and_open_new_forms(kfe_config *config, bool same_form)
{
    kfe_engine *engine = kit_engine(config);
    char name[] = "h0000";
    const kfe_header header = {.name = kit_text(name), .value = kit_text("s")};
    const kfe_record in = {.topic = kit_text("topic"),
                           .value = kit_text("value"),
                           .headers = &header,
                           .n_headers = 1,
                           .partition = -1};
    for (unsigned i = 0; i < 300; i++) {
        kit_record sealed, opened;
        if (!same_form)
            for (unsigned at = 4, rest = i; at > 0; at--, rest /= 10)
                name[at] = (char)('0' + rest % 10);
        assert_int_equal(kit_seal(engine, &in, &sealed), KFE_OK);
        assert_int_equal(kit_open(engine, &sealed.r, &opened), KFE_OK);
        assert_true(kit_same(&in, &opened.r));
        assert_in_range(plans_kept(engine, true), 0, KFE_PLANS_BACK);
        assert_in_range(plans_kept(engine, false), 0, KFE_PLANS_BACK);
        kit_free(&sealed);
        kit_free(&opened);
    }
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void new_forms_do_not_pile_up(void **state)
{
    (void)state;
    seal_and_open_new_forms(rig_config(), false);
    kfe_config *config = rig_config();
    kit_set(config, "encryption.keymanager.topics", ".*=order${header:h0000}");
    seal_and_open_new_forms(config, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(threads_at_a_hard_limit_get_exactly_what_is_left),
        TEST(a_hard_limit_is_replaced_in_line_or_refused),
        TEST(soft_limits_bring_a_successor),
        TEST(no_record_waits_for_a_provider_at_a_soft_limit),
        TEST(a_failed_successor_is_tried_again_but_not_all_the_time),
        TEST(without_a_keeper_everything_is_done_in_line),
        TEST(threads_that_seal_at_once_ask_once),
        TEST(names_in_turn_share_what_little_room_there_is),
        TEST(new_forms_do_not_pile_up),
    };
    return cmocka_run_group_tests_name("sealing", tests, NULL, NULL);
}
