/* SPDX-License-Identifier: Apache-2.0 */
/* Does an engine whose keys are in a token keep secrets where they belong? While it lives, data
 * keys are in protected memory, and nothing of PIN, master keys and session secrets is anywhere;
 * once it is gone, neither are those. Nor is any of it in statistics, in errors, or in what the
 * tool prints. The token is in another process, so what is found was left by us. */
#include "tests/secret/far.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Engines -------------------------------------------------------------------------------- */

static void reported(void *arg, const char *json, size_t len)
{
    bool *once = arg;
    if (len > 0 && json[len] == '\0')
        __atomic_store_n(once, true, __ATOMIC_RELEASE);
}

static kfe_engine *engine_new(kfe_config *config, const char *name, const char *kind)
{
    kit_set(config, "encryption.keymanager.class", "topic");
    kit_set(config, "encryption.keymanager.default.key", name);
    kit_set(config, "encryption.keyprovider.pkcs11.session", kind);
    kit_set(config, "encryption.statistics.interval.ms", "100");
    return kit_engine(config);
}

static void say_statistics(kfe_engine *engine)
{
    char *json = NULL;
    assert_int_equal(kfe_engine_statistics(engine, &json), KFE_OK);
    far_say(json);
    free(json);
}

/* Seals, opens, and refuses a forgery. *out lives as long as `sealed`. */
static void use(kfe_engine *engine, kit_record *sealed, far_envelope *out)
{
    const kfe_record in = {.topic = kit_text("t"), .key = kit_text("k"), .value = kit_text("v")};
    kit_record opened;
    if (kit_seal(engine, &in, sealed) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
    assert_int_equal(kit_open(engine, &sealed->r, &opened), KFE_OK);
    kit_free(&opened);
    *out = far_envelope_of(sealed->r.headers[0].value);
    kfe_record forged = kit_copy(&sealed->r);
    ((uint8_t *)(uintptr_t)forged.headers[0]
         .value.data)[out->wire - sealed->r.headers[0].value.data + 5] ^= 1;
    far_say_error(kit_open(engine, &forged, &opened));
    kit_free(&opened);
    kit_drop(&forged);
}

static void sessions(const char *name, const char *kind, bool commit)
{
    bool once = false;
    kit_record sealed;
    far_envelope e;
    kfe_config *config = far_token_config("right");
    kit_set(config, "encryption.commit", commit ? "true" : "false");
    kfe_engine *engine = engine_new(config, name, kind);
    assert_int_equal(kfe_engine_on_statistics(engine, reported, &once), KFE_OK);
    use(engine, &sealed, &e);
    hunt_child(far_make_session, &e);
    say_statistics(engine);
    bool openssl = strcmp(kfe_engine_backend(engine), "openssl") == 0;
    far_found(FAR_DATA, 2, openssl ? 2 : 0, "sealing and opening"); /* each way has its own */
    while (!__atomic_load_n(&once, __ATOMIC_ACQUIRE))
        sched_yield();
    far_found(FAR_DATA, 2, openssl ? 2 : 0, "reporting");
    kfe_engine_free(engine);
    far_nothing("the engine is gone");
    kit_free(&sealed);
    kfe_config_free(config);
    far_nothing_was_said();
}

static void derived(void **state)
{
    (void)state;
    sessions("derived", "derived", false);
    sessions("derived", "derived", true);
}

static void wrapped_by_gcm(void **state)
{
    (void)state;
    sessions("wrapped", "wrapped", false);
    sessions("wrapped", "wrapped", true);
}

static void wrapped_by_rfc3394(void **state)
{
    (void)state;
    sessions("rfc3394", "wrapped", false);
}

static void sealing(const char *name, const char *call)
{
    const kfe_record in = {.topic = kit_text("t"), .value = kit_text("v")};
    kit_record sealed;
    kfe_config *config = far_token_config("right");
    kfe_engine *engine = engine_new(config, name, "wrapped");
    far_watch(-1, 0);
    far_note_random(FAR_SECRET);
    assert_int_equal(kit_seal(engine, &in, &sealed), KFE_OK);
    far_watch_end();
    far_watched(FAR_SECRET, 2, call); /* the engine's and the provider's */
    far_nothing("sealing");
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void sealing_wrapped(void **state)
{
    (void)state;
    sealing("wrapped", "C_Encrypt");
    sealing("rfc3394", "C_CreateObject");
}

/* What another engine sealed: so all secrets of the session are known while it is made here. */
static void opening(const char *name, const char *kind, int secret, const char *call)
{
    kit_record sealed, opened;
    far_envelope e;
    kfe_config *config = far_token_config("right");
    kit_set(config, "encryption.commit", "true");
    kfe_engine *engine = engine_new(config, name, kind);
    bool openssl = strcmp(kfe_engine_backend(engine), "openssl") == 0;
    use(engine, &sealed, &e);
    kfe_engine_free(engine);
    hunt_child(far_make_session, &e);
    far_nothing("the engine that sealed is gone");
    far_watch(FAR_DATA, openssl ? 1 : 0);
    engine = kit_engine(config);
    assert_int_equal(kit_open(engine, &sealed.r, &opened), KFE_OK);
    kit_free(&opened);
    kfe_engine_free(engine);
    far_watch_end();
    far_watched(FAR_PIN, 1, "C_Login");
    far_watched(secret, 1, call);
    far_nothing("the engine that opened is gone");
    kit_free(&sealed);
    kfe_config_free(config);
    far_nothing_was_said();
}

static void opening_derived(void **state)
{
    (void)state;
    opening("derived", "derived", FAR_DATA, "C_Sign");
}

static void opening_wrapped(void **state)
{
    (void)state;
    opening("wrapped", "wrapped", FAR_SECRET, "C_Decrypt");
    opening("rfc3394", "wrapped", FAR_SECRET, "C_GetAttributeValue");
}

/* ---- The tool ------------------------------------------------------------------------------- */

static void run(const char *arguments, const char *pin)
{
    char command[512];
    snprintf(command, sizeof(command), "%s %s -F kfe-%s.conf </dev/null 2>&1 || true",
             KFE_TEST_COMMAND, arguments, pin); /* some are to fail */
    far_say_what(command);
}

/* A key for it to import, in a file. */
static void make_key_file(void *unused)
{
    (void)unused;
    char path[160];
    uint8_t key[32];
    snprintf(path, sizeof(path), "%s/key.hex", kit_dir());
    FILE *file = fopen(path, "w"), *random = fopen("/dev/urandom", "r");
    far_require(file && random && fread(key, 32, 1, random) == 1);
    hunt_set(far_secrets[FAR_MOVED], key, 32);
    for (int i = 0; i < 32; i++)
        fprintf(file, "%02x", key[i]);
    far_require(fclose(file) == 0);
}

static void what_the_tool_prints(void **state)
{
    (void)state;
    static const char *const right[] = {"keys list",
                                        "keys probe",
                                        "keys create tool",
                                        "keys rotate tool",
                                        "keys retire tool@1",
                                        "keys import tool key.hex",
                                        "keys rotate none",
                                        "keys import \"\" key.hex",
                                        "keys export-wrapped loose@1 --kek rfc3394",
                                        "keys export-wrapped derived@1 --kek rfc3394",
                                        "doctor",
                                        "doctor --stats"};
    static const char manager[] = "encryption.keymanager.class=topic\n"
                                  "encryption.keymanager.default.key=derived\n";
    static const char *const wrong[] = {"keys list", "keys create more", "doctor"};
    hunt_child(make_key_file, NULL);
    far_token_conf(KFE_TEST_SOFTHSM, "right", manager);
    far_token_conf(KFE_TEST_SOFTHSM, "wrong", manager);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        run(right[i], "right");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        run(wrong[i], "wrong");
    far_nothing_was_said();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derived),
        cmocka_unit_test(wrapped_by_gcm),
        cmocka_unit_test(wrapped_by_rfc3394),
        cmocka_unit_test(sealing_wrapped),
        cmocka_unit_test(opening_derived),
        cmocka_unit_test(opening_wrapped),
        cmocka_unit_test(what_the_tool_prints),
    };
    return cmocka_run_group_tests(tests, far_begin, NULL);
}
