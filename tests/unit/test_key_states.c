/* SPDX-License-Identifier: Apache-2.0 */

/* Does what happens to a key reach the sessions in time, and does what happens to its provider
 * reach them late enough? */
#include "tests/unit/rig.h"

#include <string.h>
#include <time.h>

enum { REFRESH = 60000, CACHE = 300000, OUTAGE = 250, UNKNOWN = 30000 }; /* the defaults, in ms */

typedef struct {
    kfe_config *config;
    kfe_engine *engine;
    kit_record old; /* sealed under version 1 at the start */
} scene;

static const kfe_key_ref orders_1 = {"orders", 1};

/* `ref` NULL: the manager's choice, the current version. */
static scene scene_new(const kfe_key_ref *ref)
{
    scene s = {.config = rig_config()};
    s.engine = kit_engine(s.config);
    if (rig_seal(s.engine, ref, &s.old) || rig_open(s.engine, &s.old))
        fail_msg("%s", kfe_error_detail());
    return s;
}

static void scene_free(scene *s)
{
    kit_free(&s->old);
    kfe_engine_free(s->engine);
    kfe_config_free(s->config);
}

static kfe_error seal(const scene *s, const kfe_key_ref *ref)
{
    kit_record sealed;
    kfe_error err = rig_seal(s->engine, ref, &sealed);
    if (err)
        assert_true(sealed.r.value.data == NULL && sealed.r.n_headers == 0);
    kit_free(&sealed);
    return err;
}

static unsigned calls(void)
{
    kfe_example_counts counts = kfe_example_counted();
    return counts.get_key + counts.get_current_key;
}

/* The version that the next record is sealed under. */
static uint32_t version(const scene *s)
{
    kit_record sealed;
    assert_int_equal(rig_seal(s->engine, NULL, &sealed), KFE_OK);
    assert_int_equal(rig_open(s->engine, &sealed), KFE_OK);
    uint32_t found = rig_place_of(&sealed).version;
    kit_free(&sealed);
    return found;
}

/* ---- Rotation -------------------------------------------------------------------------------- */

static void a_new_version_is_used_after_a_refresh(void **state)
{
    (void)state;
    scene s = scene_new(NULL);
    assert_int_equal(kfe_example_add("orders", NULL), KFE_OK);
    rig_pass(REFRESH / 10 * 9 - 1); /* up to a tenth earlier */
    assert_int_equal(version(&s), 1);
    rig_settle(s.engine);
    assert_int_equal(version(&s), 1);
    assert_int_equal(kfe_example_counted().get_current_key, 1);
    rig_pass(REFRESH / 10 + 1);
    assert_int_equal(version(&s), 1); /* asks for the refresh */
    rig_settle(s.engine);             /* and the keeper for the successor */
    assert_int_equal(version(&s), 2);
    assert_int_equal(kfe_example_counted().get_current_key, 2);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
    scene_free(&s);
}

typedef struct {
    scene *s;
    atomic_bool stop;
    _Atomic unsigned failed, under_new[4];
} traffic;

static void seal_all_the_time(void *arg, unsigned number)
{
    traffic *t = arg;
    while (!atomic_load(&t->stop)) {
        kit_record sealed;
        if (rig_seal(t->s->engine, NULL, &sealed) || rig_open(t->s->engine, &sealed) ||
            rig_open(t->s->engine, &t->s->old))
            atomic_fetch_add(&t->failed, 1);
        if (rig_place_of(&sealed).version == 4)
            atomic_fetch_add(&t->under_new[number], 1);
        kit_free(&sealed);
    }
}

/* By the real clock, with all options small: keys refreshed and expired, sessions replaced. */
static void rotation_under_load_loses_no_record(void **state)
{
    (void)state;
    rig_thaw();
    scene s = {.config = rig_config()};
    kit_set(s.config, "encryption.keyprovider.refresh.ms", "20");
    kit_set(s.config, "encryption.session.max.fields", "300");
    kit_set(s.config, "encryption.session.max.age.ms", "50");
    s.engine = kit_engine(s.config);
    assert_int_equal(rig_seal(s.engine, NULL, &s.old), KFE_OK);
    traffic t = {.s = &s};
    rig_thread threads[4];
    pthread_barrier_t start;
    rig_start(threads, 4, &start, seal_all_the_time, &t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kfe_example_add("orders", NULL), KFE_OK);
    const time_t end = time(NULL) + 60;
    bool all = true;
    for (int i = 0; i < 4; i++)
        while ((all = atomic_load(&t.under_new[i]) >= 20) == false && time(NULL) < end)
            sched_yield();
    atomic_store(&t.stop, true);
    rig_join(threads, 4, &start);
    assert_int_equal(atomic_load(&t.failed), 0);
    assert_true(all);
    scene_free(&s);
    kfe_example_counts counts = kfe_example_counted();
    assert_int_equal(counts.handed_out, counts.release);
}

/* Calls that waited for the provider, both ways. */
static uint64_t waits(const scene *s)
{
    const kfe_counts *counts = &atomic_load(&s->engine->state)->counts;
    return atomic_load(&counts->way[0].waits) + atomic_load(&counts->way[1].waits);
}

static scene scene_by_real_clock(const char *refresh_ms)
{
    rig_thaw();
    scene s = {.config = rig_config()};
    kit_set(s.config, "encryption.keyprovider.refresh.ms", refresh_ms);
    s.engine = kit_engine(s.config);
    assert_int_equal(rig_seal(s.engine, NULL, &s.old), KFE_OK);
    return s;
}

/* Whoever produces a record an hour does not pay for it with the first one after a rotation. */
static void a_sealer_between_records_is_kept_ready(void **state)
{
    (void)state;
    scene s = scene_by_real_clock("20");
    assert_int_equal(kfe_example_add("orders", NULL), KFE_OK);
    const time_t end = time(NULL) + 60;
    uint32_t found = 1;
    while (found == 1 && time(NULL) < end) { /* without a record */
        kfe_state *inside = atomic_load(&s.engine->state);
        pthread_mutex_lock(&inside->lock);
        found = ((kfe_sealer *)inside->sealers.newest)->session->version;
        pthread_mutex_unlock(&inside->lock);
        sched_yield();
    }
    assert_int_equal(found, 2);
    assert_int_equal(waits(&s), 1);
    assert_int_equal(version(&s), 2);
    scene_free(&s);
}

/* A provider that takes its time: nobody notices but who came first. */
static void no_record_waits_for_a_rotation(void **state)
{
    (void)state;
    scene s = scene_by_real_clock("20");
    kfe_example_delay(5);
    for (uint32_t v = 2; v <= 21; v++) {
        assert_int_equal(kfe_example_add("orders", NULL), KFE_OK);
        const time_t end = time(NULL) + 60;
        kit_record sealed;
        uint32_t found = 0;
        while (found != v && time(NULL) < end) {
            assert_int_equal(rig_seal(s.engine, NULL, &sealed), KFE_OK);
            found = rig_place_of(&sealed).version;
            kit_free(&sealed);
        }
        assert_int_equal(found, v);
    }
    assert_int_equal(waits(&s), 1);
    scene_free(&s);
}

/* ---- Retired, destroyed, unknown ------------------------------------------------------------- */

static void a_retired_key_opens_and_seals_nothing(void **state)
{
    (void)state;
    scene s = scene_new(&orders_1);
    assert_int_equal(kfe_example_set_state("orders", 1, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    rig_pass(CACHE);
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DENIED);
    assert_non_null(strstr(kfe_error_detail(), "retired"));
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DENIED);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
    unsigned before = calls();
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DENIED);
    assert_int_equal(calls(), before);
    scene_free(&s);
    s = (scene){.config = rig_config()}; /* the same for an engine that never knew it active */
    s.engine = kit_engine(s.config);
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DENIED);
    scene_free(&s);
}

static void retirement_reaches_a_session_in_constant_use(void **state)
{
    (void)state;
    scene s = scene_new(&orders_1);
    assert_int_equal(kfe_example_set_state("orders", 1, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    int64_t last = 0;
    for (int64_t t = 0; t <= CACHE; t += 5000, rig_pass(5000)) {
        if (seal(&s, &orders_1) == KFE_OK)
            last = t;
        assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
        rig_settle(s.engine);
    }
    assert_in_range(last, 5000, REFRESH);
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DENIED);
    scene_free(&s);
}

static void destruction_reaches_sessions_in_constant_use(void **state)
{
    (void)state;
    scene s = scene_new(&orders_1);
    assert_int_equal(kfe_example_set_state("orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    int64_t sealed = 0, opened = 0;
    for (int64_t t = 0; t < CACHE; t += 5000, rig_pass(5000)) {
        if (seal(&s, &orders_1) == KFE_OK)
            sealed = t;
        if (rig_open(s.engine, &s.old) == KFE_OK)
            opened = t;
        rig_settle(s.engine);
    }
    assert_in_range(sealed, 5000, REFRESH); /* what was loaded is used, not for longer */
    assert_in_range(opened, 5000, REFRESH);
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DESTROYED);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_E_KEY_DESTROYED);
    scene_free(&s);
}

/* Without the keeper, which looks ahead only when a key is used late in its time. */
static void destruction_reaches_idle_sessions(void **state)
{
    (void)state;
    scene s = scene_new(&orders_1);
    assert_int_equal(kfe_example_set_state("orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    rig_pass(REFRESH / 10 * 9 - 1);
    assert_int_equal(seal(&s, &orders_1), KFE_OK);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
    rig_settle(s.engine);
    rig_pass(CACHE - REFRESH / 10 * 9 + 1);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_E_KEY_DESTROYED);
    assert_int_equal(seal(&s, &orders_1), KFE_E_KEY_DESTROYED);
    scene_free(&s);
}

static void an_unknown_key_costs_a_call_in_30_to_40_seconds(void **state)
{
    (void)state;
    static const kfe_key_ref unknown[] = {{"nobody", 0}, {"nobody", 1}, {"orders", 9}};
    scene s = {.config = rig_config()};
    s.engine = kit_engine(s.config);
    for (size_t k = 0; k < 3; k++)
        for (unsigned round = 0; round < 3; round++) {
            unsigned before = calls();
            for (int i = 0; i < 500; i++)
                assert_int_equal(seal(&s, &unknown[k]), KFE_E_KEY_UNKNOWN);
            rig_pass(UNKNOWN - 1);
            assert_int_equal(seal(&s, &unknown[k]), KFE_E_KEY_UNKNOWN);
            assert_int_equal(calls(), before + 1);
            rig_pass(UNKNOWN / 3 + 1);
        }
    scene_free(&s);
}

static void what_a_key_may_not_do_is_asked_once_each_time_it_is_loaded(void **state)
{
    (void)state;
    scene s = {.config = rig_config()};
    s.engine = kit_engine(s.config);
    kfe_example_fail_derive(KFE_E_KEY_DENIED, 1000);
    for (unsigned times = 2; times < 8; times++) {
        for (int i = 0; i < 100; i++)
            assert_int_equal(seal(&s, NULL), KFE_E_KEY_DENIED);
        rig_settle(s.engine);
        assert_int_equal(kfe_example_counted().derive, times / 2);
        if (times % 2 == 0)
            continue;
        rig_pass(REFRESH);
        assert_int_equal(seal(&s, NULL), KFE_E_KEY_DENIED); /* asks the keeper to load it again */
        rig_settle(s.engine);
    }
    kfe_example_fail_derive(KFE_OK, 0);
    assert_int_equal(seal(&s, NULL), KFE_OK);
    scene_free(&s);
}

/* ---- Outage ---------------------------------------------------------------------------------- */

static void sessions_outlive_an_outage_until_their_key_is_too_old(void **state)
{
    (void)state;
    scene s = scene_new(&orders_1);
    unsigned before = calls();
    kfe_example_fail(KFE_E_PROVIDER, 1000000);
    for (int64_t t = 0; t < CACHE; t += 100, rig_pass(100)) {
        assert_int_equal(seal(&s, &orders_1), KFE_OK);
        assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
        rig_settle(s.engine);
    }
    const unsigned seconds = (CACHE - REFRESH / 10 * 9) / 1000; /* from the first refresh on */
    assert_in_range(calls() - before, 2, seconds + 1);
    for (int i = 0; i < 20; i++) { /* five seconds too late, and asked four times in each */
        before = calls();
        for (int n = 0; n < 10; n++) {
            assert_int_equal(seal(&s, &orders_1), KFE_E_PROVIDER);
            assert_non_null(strstr(kfe_error_detail(), i < 4 ? "orders@1 was last confirmed 300 s"
                                                             : "orders@1 was last confirmed 30"));
            assert_int_equal(rig_open(s.engine, &s.old), KFE_E_PROVIDER);
        }
        assert_int_equal(calls(), before + 1);
        rig_pass(OUTAGE);
    }
    kfe_example_fail(KFE_OK, 0);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
    assert_int_equal(seal(&s, &orders_1), KFE_OK);
    scene_free(&s);
}

static void an_outage_at_the_start_is_believed_for_a_moment(void **state)
{
    (void)state;
    scene s = {.config = rig_config()};
    s.engine = kit_engine(s.config);
    kfe_example_fail(KFE_E_PROVIDER, 1);
    assert_int_equal(seal(&s, NULL), KFE_E_PROVIDER);
    rig_pass(OUTAGE - 1);
    assert_int_equal(seal(&s, NULL), KFE_E_PROVIDER);
    assert_int_equal(calls(), 1);
    rig_pass(1);
    assert_int_equal(seal(&s, NULL), KFE_OK);
    scene_free(&s);
}

/* By the real clock, which may lag by a tick of the timer: every answer is older than its trust
 * when it arrives. */
static void a_provider_slower_than_its_trust_is_asked_once_per_call(void **state)
{
    (void)state;
    rig_thaw();
    scene s = {.config = rig_config()};
    kit_set(s.config, "encryption.keyprovider.cache.ms", "1");
    s.engine = kit_engine(s.config);
    kfe_example_delay(25);
    assert_int_equal(rig_seal(s.engine, NULL, &s.old), KFE_OK);
    assert_int_equal(kfe_example_counted().get_current_key, 1);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
    assert_int_equal(rig_open(s.engine, &s.old), KFE_OK);
    assert_int_equal(kfe_example_counted().get_key, 2);
    scene_free(&s);
}

/* Nothing that a provider says is a verdict on a record, and a key that is not the one asked for,
 * or that is destroyed, opens nothing. */
static void a_provider_that_breaks_its_contract(void **state)
{
    (void)state;
    const struct {
        kfe_key_state state;
        uint32_t version;
        kfe_error expected;
    } lies[] = {{KFE_KEY_DESTROYED, 0, KFE_E_KEY_DESTROYED},
                {(kfe_key_state)9, 0, KFE_E_PROVIDER},
                {0, 7, KFE_E_PROVIDER}};
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        scene s = scene_new(&orders_1);
        rig_pass(CACHE);
        kfe_example_lie(lies[i].state, lies[i].version);
        assert_int_equal(rig_open(s.engine, &s.old), lies[i].expected);
        assert_int_equal(seal(&s, &orders_1), lies[i].expected);
        kfe_example_lie(0, 0);
        scene_free(&s);
        kfe_example_counts counts = kfe_example_counted();
        assert_int_equal(counts.handed_out, counts.release); /* a refused key is given back */
    }
    const kfe_error codes[] = {KFE_E_AUTH, KFE_E_UNENCRYPTED, KFE_E_RECORD, KFE_E_IO, KFE_E_CONFIG};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        scene s = scene_new(NULL);
        kit_record next = s.old;
        rig_pass(CACHE);
        kfe_example_fail(codes[i], 1);
        assert_int_equal(rig_open(s.engine, &next), KFE_E_PROVIDER);
        rig_pass(OUTAGE);
        assert_int_equal(rig_open(s.engine, &next), KFE_OK);
        kit_record forged = rig_forge_salt(&s.old, 1);
        kfe_example_fail_derive(codes[i], 1);
        assert_int_equal(rig_open(s.engine, &forged), KFE_E_PROVIDER);
        kit_free(&forged);
        scene_free(&s);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_version_is_used_after_a_refresh),
        TEST(rotation_under_load_loses_no_record),
        TEST(a_sealer_between_records_is_kept_ready),
        TEST(no_record_waits_for_a_rotation),
        TEST(a_retired_key_opens_and_seals_nothing),
        TEST(retirement_reaches_a_session_in_constant_use),
        TEST(destruction_reaches_sessions_in_constant_use),
        TEST(destruction_reaches_idle_sessions),
        TEST(an_unknown_key_costs_a_call_in_30_to_40_seconds),
        TEST(what_a_key_may_not_do_is_asked_once_each_time_it_is_loaded),
        TEST(sessions_outlive_an_outage_until_their_key_is_too_old),
        TEST(an_outage_at_the_start_is_believed_for_a_moment),
        TEST(a_provider_slower_than_its_trust_is_asked_once_per_call),
        TEST(a_provider_that_breaks_its_contract),
    };
    return cmocka_run_group_tests_name("key_states", tests, NULL, NULL);
}
