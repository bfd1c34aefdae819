/* SPDX-License-Identifier: Apache-2.0 */

/* Can whoever writes records with made-up sessions cost more provider calls than the bucket allows,
 * or push out sessions that are good? */
#include "tests/unit/rig.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    kfe_config *config, *producer_config;
    kfe_engine *engine, *producer;
    kit_record honest; /* proven at the start */
} scene;

static kit_record seal_new(kfe_engine *producer)
{
    kit_record sealed;
    if (rig_seal(producer, NULL, &sealed))
        fail_msg("%s", kfe_error_detail());
    return sealed;
}

static scene scene_new(void)
{
    scene s = {.config = rig_config(), .producer_config = rig_config()};
    /* Calls are counted: none of them is to be a refresh. */
    kit_set(s.config, "encryption.keyprovider.refresh.ms", "86400000");
    s.engine = kit_engine(s.config);
    s.producer = kit_engine(s.producer_config);
    s.honest = seal_new(s.producer);
    rig_no_successors(s.producer); /* each is to be made when a test wants it, and once */
    assert_int_equal(rig_open(s.engine, &s.honest), KFE_OK);
    return s;
}

static void scene_free(scene *s)
{
    kit_free(&s->honest);
    kfe_engine_free(s->engine);
    kfe_engine_free(s->producer);
    kfe_config_free(s->config);
    kfe_config_free(s->producer_config);
}

/* Another honest record, of another session. */
static kit_record seal_next(const scene *s)
{
    rig_wear_out(s->producer);
    return seal_new(s->producer);
}

static kfe_error open_forged(const scene *s, uint32_t salt)
{
    kit_record forged = rig_forge_salt(&s->honest, salt);
    kfe_error err = rig_open(s->engine, &forged);
    kit_free(&forged);
    return err;
}

/* Opens records with the made-up salts [from, to): each `want`, and so many derivations in all. */
static void flood(const scene *s, uint32_t from, uint32_t to, kfe_error want, unsigned derivations)
{
    unsigned before = kfe_example_counted().derive;
    for (uint32_t i = from; i < to; i++)
        assert_int_equal(open_forged(s, i), want);
    assert_int_equal(kfe_example_counted().derive, before + derivations);
}

/* What must hold at any moment: the honest record opens, and nobody is asked. */
static void expect_honest(const scene *s)
{
    kfe_example_counts before = kfe_example_counted();
    assert_int_equal(rig_open(s->engine, &s->honest), KFE_OK);
    kfe_example_counts after = kfe_example_counted();
    assert_memory_equal(&before, &after, sizeof(before));
}

static void expect_version(const scene *s, uint8_t version, unsigned records, kfe_error want,
                           unsigned calls)
{
    kit_record forged = rig_forge_version(&s->honest, version);
    unsigned before = kfe_example_counted().get_key;
    for (unsigned i = 0; i < records; i++)
        assert_int_equal(rig_open(s->engine, &forged), want);
    assert_int_equal(kfe_example_counted().get_key, before + calls);
    kit_free(&forged);
}

/* Whoever names the next version before it is made must not have it taken for unknown when it is;
 * what he pays for his calls is the price of any session. */
static void the_next_version_is_never_given_up(void **state)
{
    (void)state;
    scene s = scene_new();
    for (uint8_t last = 1; last <= 3; last++) {
        expect_version(&s, (uint8_t)(last + 1), 5, KFE_E_KEY_UNKNOWN, 5);
        expect_version(&s, (uint8_t)(last + 2), 5, KFE_E_KEY_UNKNOWN, 1); /* that may wait */
        assert_int_equal(kfe_example_add("orders", NULL), KFE_OK);
        kfe_engine_free(s.producer); /* the next one seals under the new version */
        s.producer = kit_engine(s.producer_config);
        kit_free(&s.honest);
        s.honest = seal_new(s.producer);
        assert_int_equal(rig_place_of(&s.honest).version, last + 1);
        assert_int_equal(rig_open(s.engine, &s.honest), KFE_OK);
        rig_no_successors(s.producer);
    }
    expect_version(&s, 5, 1000 - 3 * 6, KFE_E_KEY_UNKNOWN, 1000 - 3 * 6);
    expect_version(&s, 5, 100, KFE_E_BUSY, 0);
    expect_honest(&s);
    scene_free(&s);
}

/* ---- The bucket ------------------------------------------------------------------------------ */

static void made_up_sessions_empty_the_bucket(void **state)
{
    (void)state;
    scene s = scene_new();
    flood(&s, 0, 1000, KFE_E_AUTH, 1000);
    flood(&s, 1000, rig_slow() ? 2000 : 101000, KFE_E_BUSY, 0);
    expect_honest(&s);
    flood(&s, 0, 1000, KFE_E_AUTH, 0); /* met before: paid for, and still refused */
    for (uint32_t second = 0; second < 5; second++) {
        rig_pass(1000);
        flood(&s, 203000 + 50 * second, 203050 + 50 * second, KFE_E_AUTH, 50);
        flood(&s, 209000, 209100, KFE_E_BUSY, 0);
        expect_honest(&s);
    }
    rig_pass(20); /* one more, and it goes to an honest one, which gives it back */
    kit_record next = seal_next(&s), third = seal_next(&s);
    flood(&s, 203000, 203010, KFE_E_AUTH, 0);
    assert_int_equal(rig_open(s.engine, &next), KFE_OK);
    assert_int_equal(rig_open(s.engine, &third), KFE_OK);
    kit_free(&next);
    kit_free(&third);
    scene_free(&s);
}

static void the_bucket_never_holds_more_than_a_burst(void **state)
{
    (void)state;
    scene s = scene_new();
    rig_pass(100000);
    flood(&s, 0, 1000, KFE_E_AUTH, 1000);
    flood(&s, 1000, 1100, KFE_E_BUSY, 0);
    scene_free(&s);
}

static void honest_sessions_give_their_token_back(void **state)
{
    (void)state;
    scene s = scene_new();
    for (int i = 0; i < 3000; i++) {
        kit_record next = seal_next(&s);
        assert_int_equal(rig_open(s.engine, &next), KFE_OK);
        assert_int_equal(rig_open(s.engine, &next), KFE_OK);
        kit_free(&next);
    }
    assert_int_equal(kfe_example_counted().derive, 2 * 3001);
    flood(&s, 0, 1000, KFE_E_AUTH, 1000); /* not one was lost, not one made */
    flood(&s, 1000, 1001, KFE_E_BUSY, 0);
    scene_free(&s);
}

/* A record that is refused for another reason than its session takes the token with it; the next
 * one of that session verifies, and brings it back. */
static void a_session_proves_itself_late(void **state)
{
    (void)state;
    scene s = scene_new();
    kit_record next = seal_next(&s);
    kfe_record bad = kit_copy(&next.r);
    ((uint8_t *)(uintptr_t)bad.value.data)[0] ^= 1;
    kit_record opened;
    assert_int_equal(kit_open(s.engine, &bad, &opened), KFE_E_AUTH);
    kit_free(&opened);
    flood(&s, 0, 999, KFE_E_AUTH, 999);
    flood(&s, 999, 1000, KFE_E_BUSY, 0);
    assert_int_equal(rig_open(s.engine, &next), KFE_OK);
    flood(&s, 999, 1000, KFE_E_AUTH, 1);
    flood(&s, 1000, 1001, KFE_E_BUSY, 0);
    kit_drop(&bad);
    kit_free(&next);
    scene_free(&s);
}

static kfe_error open_named(const scene *s, uint32_t name)
{
    kit_record forged = rig_forge_name(&s->honest, name);
    kfe_error err = rig_open(s->engine, &forged);
    kit_free(&forged);
    return err;
}

static void made_up_names_empty_the_bucket_and_no_more(void **state)
{
    (void)state;
    scene s = scene_new();
    uint32_t names = rig_slow() ? 3000 : 100000;
    unsigned before = kfe_example_counted().get_key;
    for (uint32_t i = 0; i < names; i++)
        assert_int_equal(open_named(&s, i), i < 1000 ? KFE_E_KEY_UNKNOWN : KFE_E_BUSY);
    assert_int_equal(kfe_example_counted().get_key, before + 1000);
    for (uint32_t i = 0; i < 1000; i++) /* known to be unknown: no token, no call */
        assert_int_equal(open_named(&s, i), KFE_E_KEY_UNKNOWN);
    assert_int_equal(kfe_example_counted().get_key, before + 1000);
    assert_in_range(atomic_load(&s.engine->state)->slots.n, 1000, 1010);
    expect_honest(&s);
    rig_pass(40000);
    assert_int_equal(open_named(&s, 0), KFE_E_KEY_UNKNOWN);
    assert_int_equal(kfe_example_counted().get_key, before + 1001);
    scene_free(&s);
}

/* What was asked for at one moment is due again at many, from 30 to 40 s later: not all at once. */
static void unknown_names_are_due_one_by_one(void **state)
{
    enum { NAMES = 300 };
    (void)state;
    scene s = scene_new();
    const unsigned before = kfe_example_counted().get_key;
    for (uint32_t i = 0; i < NAMES; i++)
        assert_int_equal(open_named(&s, i), KFE_E_KEY_UNKNOWN);
    rig_pass(29999);
    for (uint32_t second = 0; second <= 10; second++) {
        const unsigned asked = kfe_example_counted().get_key;
        for (uint32_t i = 0; i < NAMES; i++)
            assert_int_equal(open_named(&s, i), KFE_E_KEY_UNKNOWN);
        assert_in_range(kfe_example_counted().get_key - asked, second == 0 ? 0 : 1,
                        second == 0 ? 0 : NAMES / 5);
        rig_pass(1000);
    }
    assert_int_equal(kfe_example_counted().get_key, before + 2 * NAMES);
    scene_free(&s);
}

/* ---- Its neighbours -------------------------------------------------------------------------- */

/* Whoever floods one topic does not stop another: between any two made-up records the honest one
 * opens, and the provider is asked no more than the bucket allows. What is left of another topic's
 * rate by the real clock is shown by `./dev campaign flood`. */
static void a_flood_leaves_its_neighbours_alone(void **state)
{
    (void)state;
    scene s = scene_new();
    for (uint32_t second = 0; second < 6; second++) {
        const unsigned allowed = second == 0 ? 1000 : 50;
        unsigned asked = 0;
        for (uint32_t i = 0; i < 2000; i++) {
            kfe_example_counts before = kfe_example_counted();
            uint32_t n = 2000 * second + i;
            (void)!(i % 2 ? open_forged(&s, n) : open_named(&s, n));
            kfe_example_counts after = kfe_example_counted();
            asked += after.get_key + after.derive - before.get_key - before.derive;
            expect_honest(&s);
        }
        assert_in_range(asked, 1, allowed);
        rig_pass(1000);
    }
    scene_free(&s);
}

static void slots_of_unknown_keys_push_out_no_loaded_one(void **state)
{
    (void)state;
    scene s = scene_new();
    kfe_state *inside = atomic_load(&s.engine->state);
    kfe_key_ref other = {"other", 0};
    kit_record pushed_out;
    assert_int_equal(rig_seal(s.producer, &other, &pushed_out), KFE_OK);
    assert_int_equal(rig_open(s.engine, &pushed_out), KFE_OK);
    inside->open_max = 2; /* two more leave that key loaded, but in no session */
    for (int i = 0; i < 2; i++) {
        kit_record next = seal_next(&s);
        assert_int_equal(rig_open(s.engine, &next), KFE_OK);
        kit_free(&next);
    }
    for (uint32_t i = 0; i < KFE_SLOTS_MAX + 500; i++) {
        if (i % 1000 == 0)
            rig_pass(20000);
        assert_int_equal(open_named(&s, i), KFE_E_KEY_UNKNOWN);
    }
    assert_int_equal(inside->slots.n, KFE_SLOTS_MAX);
    unsigned calls = kfe_example_counted().get_key;
    assert_int_equal(rig_open(s.engine, &s.honest), KFE_OK);
    assert_int_equal(rig_open(s.engine, &pushed_out), KFE_OK);
    assert_int_equal(kfe_example_counted().get_key, calls);
    kit_free(&pushed_out);
    scene_free(&s);
}

/* ---- The cache ------------------------------------------------------------------------------- */

static void proven_sessions_are_pushed_out_by_proven_ones_alone(void **state)
{
    (void)state;
    scene s = scene_new();
    kfe_state *inside = atomic_load(&s.engine->state);
    if (rig_slow())
        inside->open_max = 300;
    size_t max = inside->open_max, good = max - 10;
    kit_record *sealed = calloc(max + 10, sizeof(*sealed));
    assert_non_null(sealed);
    for (size_t i = 1; i < max + 10; i++)
        sealed[i] = seal_next(&s);
    for (size_t i = 1; i < good; i++)
        assert_int_equal(rig_open(s.engine, &sealed[i]), KFE_OK);
    flood(&s, 0, 1000, KFE_E_AUTH, 1000);
    rig_pass(20000);
    flood(&s, 1000, 2000, KFE_E_AUTH, 1000);
    flood(&s, 2000, 2001, KFE_E_BUSY, 0);
    assert_int_equal(inside->open.n, max);
    unsigned derived = kfe_example_counted().derive;
    for (size_t i = 1; i < good; i++)
        assert_int_equal(rig_open(s.engine, &sealed[i]), KFE_OK);
    expect_honest(&s);
    assert_int_equal(kfe_example_counted().derive, derived);
    rig_pass(1000);
    for (size_t i = good; i < max + 10; i++) /* 10 unproven make room, then the 10 oldest proven */
        assert_int_equal(rig_open(s.engine, &sealed[i]), KFE_OK);
    assert_int_equal(inside->open.n, max);
    derived = kfe_example_counted().derive;
    for (size_t i = 11; i < max + 10; i++)
        assert_int_equal(rig_open(s.engine, &sealed[i]), KFE_OK);
    expect_honest(&s);
    assert_int_equal(kfe_example_counted().derive, derived);
    assert_int_equal(rig_open(s.engine, &sealed[1]), KFE_OK);
    assert_int_equal(kfe_example_counted().derive, derived + 1);
    for (size_t i = 1; i < max + 10; i++)
        kit_free(&sealed[i]);
    free(sealed);
    scene_free(&s);
}

/* ---- At once --------------------------------------------------------------------------------- */

typedef struct {
    const scene *s;
    const kit_record *record;
    _Atomic unsigned entered, failed;
} at_once;

static void open_together(void *arg, unsigned number)
{
    (void)number;
    at_once *a = arg;
    atomic_fetch_add(&a->entered, 1);
    if (rig_open(a->s->engine, a->record))
        atomic_fetch_add(&a->failed, 1);
}

static void threads_that_open_at_once_ask_once(void **state)
{
    (void)state;
    scene s = scene_new();
    kfe_key_ref other = {"other", 0};
    kit_record sealed;
    assert_int_equal(rig_seal(s.producer, &other, &sealed), KFE_OK);
    kfe_example_counts before = kfe_example_counted();
    at_once a = {.s = &s, .record = &sealed};
    rig_thread threads[16];
    pthread_barrier_t start;
    kfe_example_gate_close();
    rig_start(threads, 16, &start, open_together, &a);
    kfe_example_await(1);
    while (atomic_load(&a.entered) < 16)
        sched_yield();
    kfe_example_gate_open();
    rig_join(threads, 16, &start);
    kfe_example_counts after = kfe_example_counted();
    assert_int_equal(atomic_load(&a.failed), 0);
    assert_int_equal(after.get_key, before.get_key + 1);
    assert_int_equal(after.derive, before.derive + 1);
    assert_int_equal(atomic_load(&s.engine->state)->open.n, 2); /* but one is kept */
    flood(&s, 0, 1000, KFE_E_AUTH, 1000);                       /* and paid for by none */
    flood(&s, 1000, 1001, KFE_E_BUSY, 0);
    kit_free(&sealed);
    scene_free(&s);
}

static void a_failed_derivation_is_kept_for_a_moment(void **state)
{
    (void)state;
    scene s = scene_new();
    kit_record next = seal_next(&s);
    kfe_example_fail_derive(KFE_E_PROVIDER, 1);
    unsigned derived = kfe_example_counted().derive;
    for (int i = 0; i < 20; i++) /* asked once, believed for a moment */
        assert_int_equal(rig_open(s.engine, &next), KFE_E_PROVIDER);
    assert_int_equal(kfe_example_counted().derive, derived + 1);
    rig_pass(250);
    assert_int_equal(rig_open(s.engine, &next), KFE_OK);
    kit_free(&next);
    scene_free(&s);
    kfe_example_counts counts = kfe_example_counted();
    assert_int_equal(counts.handed_out, counts.release);
}

/* Each field is a call of the token there, so it is paid for until a tag verifies: nobody drowns a
 * token by one salt over and over, be it of a key that honest producers only wrap with. */
static void fields_of_a_direct_session_are_paid_for(void **state)
{
    (void)state;
    enum { FIELDS = 3 };
    kfe_example_kinds(1u << KFE_DIRECT, KFE_DIRECT, 0, 12);
    scene s = scene_new();
    kit_record next = seal_next(&s);
    kfe_record bad = kit_copy(&next.r);
    ((uint8_t *)(uintptr_t)bad.value.data)[0] ^= 1;
    unsigned before = kfe_example_counted().fields_opened;
    for (int i = 0; i < 2 * KFE_UNPROVEN_BURST; i++) {
        kit_record opened;
        bool paid = 1 + FIELDS * i < KFE_UNPROVEN_BURST;
        assert_int_equal(kit_open(s.engine, &bad, &opened), paid ? KFE_E_AUTH : KFE_E_BUSY);
        kit_free(&opened);
    }
    assert_int_equal(kfe_example_counted().fields_opened, before + 333 * FIELDS);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(rig_open(s.engine, &s.honest), KFE_OK);
    assert_int_equal(rig_open(s.engine, &next), KFE_E_BUSY);
    rig_pass(20);
    assert_int_equal(rig_open(s.engine, &next), KFE_OK); /* which gives all of it back */
    assert_int_equal(atomic_load(&s.engine->state)->tokens, KFE_UNPROVEN_BURST + 1);
    kit_drop(&bad);
    kit_free(&next);
    scene_free(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_up_sessions_empty_the_bucket),
        TEST(the_bucket_never_holds_more_than_a_burst),
        TEST(honest_sessions_give_their_token_back),
        TEST(a_session_proves_itself_late),
        TEST(fields_of_a_direct_session_are_paid_for),
        TEST(the_next_version_is_never_given_up),
        TEST(made_up_names_empty_the_bucket_and_no_more),
        TEST(unknown_names_are_due_one_by_one),
        TEST(a_flood_leaves_its_neighbours_alone),
        TEST(slots_of_unknown_keys_push_out_no_loaded_one),
        TEST(proven_sessions_are_pushed_out_by_proven_ones_alone),
        TEST(threads_that_open_at_once_ask_once),
        TEST(a_failed_derivation_is_kept_for_a_moment),
    };
    return cmocka_run_group_tests_name("opening", tests, NULL, NULL);
}
