/* SPDX-License-Identifier: Apache-2.0 */

/* Do the statistics count what was done, and come when they are asked for? */
#include "tests/unit/rig.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

static cJSON *statistics(kfe_engine *engine)
{
    char *text = NULL;
    assert_int_equal(kfe_engine_statistics(engine, &text), KFE_OK);
    assert_null(strchr(text, '\n'));
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

/* By a path like "seal.refused.KFE_E_AUTH"; 0 where nothing stands. */
static uint64_t number(const cJSON *json, const char *path)
{
    char name[64];
    while (json != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        json = cJSON_GetObjectItemCaseSensitive(json, name);
        path += len + (path[len] == '.');
    }
    return json == NULL ? 0 : (uint64_t)cJSON_GetNumberValue(json);
}

static void expect(const cJSON *json, const char *path, uint64_t want)
{
    if (number(json, path) != want)
        fail_msg("%s is %llu, not %llu", path, (unsigned long long)number(json, path),
                 (unsigned long long)want);
}

static const char *text(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

/* That list of `keys` has one entry, which is this. */
static const cJSON *only(const cJSON *json, const char *list)
{
    const cJSON *all = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "keys"), list);
    assert_int_equal(cJSON_GetArraySize(all), 1);
    return cJSON_GetArrayItem(all, 0);
}

static void calls_are_counted_by_what_came_of_them(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    static const kfe_key_ref unknown = {"nobody", 1};
    kit_record sealed, refused;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_OK);
        assert_int_equal(rig_open(engine, &sealed), KFE_OK);
        if (i < 4)
            kit_free(&sealed);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_seal(engine, &unknown, &refused), KFE_E_KEY_UNKNOWN);
        kit_free(&refused);
    }
    kit_record forged = rig_forge_salt(&sealed, 1);
    assert_int_equal(rig_open(engine, &forged), KFE_E_AUTH);
    cJSON *json = statistics(engine);
    expect(json, "seal.calls", 8);
    expect(json, "seal.records", 5);
    expect(json, "seal.fields", 15);
    expect(json, "seal.refused.KFE_E_KEY_UNKNOWN", 3);
    expect(json, "seal.waits", 1);
    expect(json, "open.calls", 6);
    expect(json, "open.records", 5);
    expect(json, "open.fields", 15);
    expect(json, "open.refused.KFE_E_AUTH", 1);
    expect(json, "open.waits", 2);
    assert_true(number(json, "seal.bytes") > 0);
    assert_int_equal(number(json, "seal.bytes"), number(json, "open.bytes"));
    expect(json, "provider.get_current_key.calls", 1);
    expect(json, "provider.get_key.calls", 2); /* orders@1 and nobody@1 */
    expect(json, "provider.session.calls", 3);
    expect(json, "provider.session.failures", 0);
    expect(json, "provider.token.calls.mac", kfe_example_counted().derive);
    expect(json, "keys.loaded", 2);
    expect(json, "keys.missing", 1);
    expect(json, "keys.opening", 2);
    expect(json, "keys.opening_proven", 1);
    assert_string_equal(text(only(json, "opened"), "key"), "orders");
    assert_string_equal(text(only(json, "opened"), "kind"), "derived");
    expect(only(json, "opened"), "version", 1);
    cJSON_Delete(json);
    kit_free(&forged);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void what_is_left_of_a_session_shrinks(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record sealed;
    assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_OK);
    kit_free(&sealed);
    rig_pass(1000);
    cJSON *json = statistics(engine);
    const cJSON *session = only(json, "sealing");
    assert_string_equal(text(session, "key"), "orders");
    assert_string_equal(text(session, "kind"), "derived");
    expect(session, "version", 1);
    expect(session, "age_ms", 1000);
    expect(session, "age_ms_left", 24 * 3600 * 1000 - 1000);
    expect(session, "fields_left", (UINT64_C(1) << 32) - 3);
    assert_in_range(number(session, "bytes_left"), (UINT64_C(1) << 40) - 1000,
                    (UINT64_C(1) << 40) - 48);
    expect(session, "trusted_ms_left", 299000);
    cJSON_Delete(json);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

/* The provider failed: it says so, and how long it took. */
static void failures_and_latencies_of_the_provider(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kfe_example_delay(3);
    kfe_example_fail(KFE_E_PROVIDER, 1);
    kit_record sealed;
    assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_E_PROVIDER);
    kit_free(&sealed);
    cJSON *json = statistics(engine);
    expect(json, "provider.get_current_key.calls", 1);
    expect(json, "provider.get_current_key.failures", 1);
    expect(json, "seal.refused.KFE_E_PROVIDER", 1);
    assert_true(number(json, "provider.get_current_key.latency_us.max") >= 3000);
    assert_true(number(json, "provider.get_current_key.latency_us.p50") >= 2048);
    assert_true(number(json, "provider.get_current_key.latency_us.p99") <=
                number(json, "provider.get_current_key.latency_us.max"));
    cJSON_Delete(json);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static const cJSON *opened_list(const cJSON *json)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(json, "keys"), "opened");
}

/* What somebody made up has opened nothing. */
static void nothing_opened_by_a_forgery(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record sealed;
    assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_OK);
    kit_record forged = rig_forge_salt(&sealed, 1);
    assert_int_equal(rig_open(engine, &forged), KFE_E_AUTH);
    cJSON *json = statistics(engine);
    expect(json, "keys.opening", 1);
    assert_int_equal(cJSON_GetArraySize(opened_list(json)), 0);
    cJSON_Delete(json);
    kit_free(&forged);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

/* A consumer of many versions: each once, whatever the number of its sessions. */
static void versions_that_opened(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kfe_engine *reader = kit_engine(config);
    for (uint32_t version = 1; version <= 3; version++) {
        for (int producer = 0; producer < 2; producer++) {
            kfe_engine *writer = kit_engine(config);
            kit_record sealed;
            assert_int_equal(rig_seal(writer, NULL, &sealed), KFE_OK);
            assert_int_equal(rig_open(reader, &sealed), KFE_OK);
            kit_free(&sealed);
            kfe_engine_free(writer);
        }
        uint32_t next = 0;
        assert_int_equal(kfe_example_add("orders", &next), KFE_OK);
    }
    cJSON *json = statistics(reader);
    const cJSON *opened = opened_list(json);
    expect(json, "keys.opening_proven", 6);
    assert_int_equal(cJSON_GetArraySize(opened), 3);
    for (int i = 0; i < 3; i++) /* the newest first */
        expect(cJSON_GetArrayItem(opened, i), "version", (uint64_t)(3 - i));
    cJSON_Delete(json);
    kfe_engine_free(reader);
    kfe_config_free(config);
}

/* Each figure of the provider's own stands under its name. */
static void what_the_provider_tells(void **state)
{
    (void)state;
    static const char *const kinds[] = {"login",   "find",    "mac",      "wrap", "unwrap",
                                        "encrypt", "decrypt", "generate", "other"};
    static const char *const breaker[] = {"closed", "open", "half-open", "unknown"};
    kfe_key_provider_statistics told = {.failures = 21,
                                        .timeouts = 22,
                                        .reconnects = 23,
                                        .sessions = 24,
                                        .latency = {[5] = 98, [12] = 2},
                                        .latency_max_us = 4000};
    for (unsigned i = 0; i < KFE_CALL_KINDS; i++)
        told.calls[i] = 31 + i;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    for (told.breaker = 0; told.breaker < 4; told.breaker++) {
        char path[64];
        kfe_example_tell(&told);
        cJSON *json = statistics(engine);
        const cJSON *provider = cJSON_GetObjectItem(json, "provider");
        const cJSON *token = cJSON_GetObjectItem(provider, "token");
        for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            snprintf(path, sizeof(path), "calls.%s", kinds[i]);
            expect(token, path, 31 + i);
        }
        expect(token, "failures", 21);
        expect(token, "timeouts", 22);
        expect(token, "reconnects", 23);
        expect(token, "sessions", 24);
        expect(token, "latency_us.p50", 32);
        expect(token, "latency_us.p99", 4000); /* the bucket's bound is 4096 */
        expect(token, "latency_us.max", 4000);
        assert_string_equal(text(token, "breaker"), breaker[told.breaker]);
        assert_string_equal(text(provider, "name"), "example");
        cJSON_Delete(json);
    }
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void shares_of_a_histogram(void **state)
{
    (void)state;
    uint64_t latency[KFE_LATENCY_BUCKETS] = {0};
    assert_int_equal(kfe_latency_below(latency, 0.5), 0);
    latency[3] = 98;
    latency[10] = 2;
    assert_int_equal(kfe_latency_below(latency, 0.5), 8);
    assert_int_equal(kfe_latency_below(latency, 0.98), 8);
    assert_int_equal(kfe_latency_below(latency, 0.99), 1024);
    for (unsigned i = 1; i < KFE_REFUSALS; i++)
        if (kfe_error_name(kfe_refusal_error(i))[0] == 'K')
            assert_int_equal(kfe_refusal_place(kfe_refusal_error(i)), i);
    assert_int_equal(kfe_refusal_place(KFE_E_IO), 28);
    assert_int_equal(kfe_refusal_place(KFE_OK), 0);
    assert_int_equal(kfe_refusal_place((kfe_error)999), 0);
}

static void note_report(void *arg, const char *json, size_t len)
{
    if (len == strlen(json) && json[0] == '{')
        atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void await_reports(_Atomic unsigned *reports, unsigned n)
{
    const time_t end = time(NULL) + 60;
    while (atomic_load(reports) < n && time(NULL) < end)
        sched_yield();
    assert_true(atomic_load(reports) >= n);
}

static void reports_come_at_an_interval(void **state)
{
    (void)state;
    _Atomic unsigned reports = 0, more = 0;
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    assert_int_equal(kfe_engine_on_statistics(engine, note_report, &reports), KFE_OK);
    assert_null(atomic_load(&engine->state)->reporter); /* the interval is 0 */
    kfe_engine_free(engine);
    kit_set(config, "encryption.statistics.interval.ms", "5");
    engine = kit_engine(config);
    assert_int_equal(kfe_engine_on_statistics(engine, note_report, &reports), KFE_OK);
    await_reports(&reports, 3);
    assert_int_equal(kfe_engine_on_statistics(engine, note_report, &more), KFE_OK);
    unsigned last = atomic_load(&reports);
    await_reports(&more, 3);
    assert_int_equal(atomic_load(&reports), last);
    assert_int_equal(kfe_engine_on_statistics(engine, NULL, NULL), KFE_OK);
    last = atomic_load(&more);
    assert_int_equal(kfe_engine_on_statistics(engine, note_report, &reports), KFE_OK);
    kfe_engine_free(engine); /* with a reporter at work */
    assert_int_equal(atomic_load(&more), last);
    kfe_config_free(config);
}

struct last {
    kfe_engine *engine;
    bool frees;
    _Atomic unsigned may, reports, done; /* may: who asked for reports is through with that */
};

static void report_no_more(void *arg, const char *json, size_t len)
{
    struct last *last = arg;
    if (atomic_load(&last->may) == 0)
        return;
    note_report(&last->reports, json, len);
    if (last->frees)
        kfe_engine_free(last->engine);
    else if (kfe_engine_on_statistics(last->engine, NULL, NULL) != KFE_OK)
        abort();
    atomic_store(&last->done, 1);
}

/* Who stops by himself waits for nobody; the sanitizers see that nothing is used afterwards. */
static void a_report_may_be_the_last(void **state)
{
    (void)state;
    _Atomic unsigned others = 0;
    struct last stops = {0}, frees = {.frees = true};
    kfe_config *config = rig_config();
    kit_set(config, "encryption.statistics.interval.ms", "5");
    stops.engine = kit_engine(config);
    frees.engine = kit_engine(config);
    assert_int_equal(kfe_engine_on_statistics(stops.engine, report_no_more, &stops), KFE_OK);
    assert_int_equal(kfe_engine_on_statistics(frees.engine, report_no_more, &frees), KFE_OK);
    atomic_store(&stops.may, 1);
    atomic_store(&frees.may, 1);
    await_reports(&stops.done, 1);
    await_reports(&frees.done, 1);
    assert_int_equal(kfe_engine_on_statistics(stops.engine, note_report, &others), KFE_OK);
    await_reports(&others, 3);
    assert_int_equal(atomic_load(&stops.reports), 1);
    assert_int_equal(atomic_load(&frees.reports), 1);
    kfe_engine_free(stops.engine);
    kfe_config_free(config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_counted_by_what_came_of_them),
        TEST(what_is_left_of_a_session_shrinks),
        TEST(failures_and_latencies_of_the_provider),
        TEST(nothing_opened_by_a_forgery),
        TEST(versions_that_opened),
        TEST(what_the_provider_tells),
        TEST(shares_of_a_histogram),
        TEST(reports_come_at_an_interval),
        TEST(a_report_may_be_the_last),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
