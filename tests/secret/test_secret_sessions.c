/* SPDX-License-Identifier: Apache-2.0 */
/* Does an engine whose keys are in a token keep secrets where they belong? While it lives, data
 * keys are in protected memory, and nothing of PIN, master keys and session secrets is anywhere;
 * once it is gone, neither are those. Nor is any of it in statistics, in errors, or in what the
 * tool prints. The token is in another process, so what is found was left by us. */
#include "tests/secret/far.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- What children know ------------------------------------------------------------------------
 */

/* What docs/format.md says of a session. */
typedef struct {
    uint8_t suite;
    unsigned kind;
    const uint8_t *name;
    size_t name_len;
    const uint8_t *wire; /* salt, or wrapped secret */
    size_t len;
} envelope;

static envelope read_envelope(const kfe_record *sealed)
{
    const uint8_t *at = sealed->headers[0].value.data;
    envelope e = {.suite = at[1], .kind = at[2] >> 6};
    at += 4;
    at += 1 + (*at + 7) / 8; /* the header map */
    e.name_len = *at++;
    e.name = at;
    at += e.name_len + 1; /* a version of one byte */
    e.len = e.kind == KFE_WRAPPED ? *at++ : 16;
    e.wire = at;
    return e;
}

static void make_data_key(const uint8_t master[32], const envelope *e)
{
    uint8_t in[128], *at = in, out[32];
    memcpy(at, "\0\0\0\1kfe1 data key", 18);
    at += 18;
    *at++ = e->suite;
    *at++ = (uint8_t)e->name_len;
    memcpy(at, e->name, e->name_len);
    at += e->name_len;
    memcpy(at, "\0\0\0\1", 4);
    at += 4;
    if (e->kind == KFE_DERIVED) {
        memcpy(at, e->wire, 16);
        at += 16;
    }
    memcpy(at, "\0\0\1\0", 4);
    at += 4;
    far_require(HMAC(EVP_sha256(), master, 32, in, (size_t)(at - in), out, NULL) != NULL);
    hunt_set(far_secrets[FAR_DATA], out, 32);
}

/* Form 1 is RFC 3394. Form 2 is AES-GCM, whose tag is not looked at: of a wrong secret the data key
 * would not be found. */
static void make_secrets(void *arg)
{
    const envelope *e = arg;
    uint8_t key[32], out[48], iv[16] = {0};
    int len = 0;
    hunt_get(far_secrets[FAR_MASTER], key);
    if (e->kind == KFE_DERIVED) {
        make_data_key(key, e);
        return;
    }
    const bool rfc3394 = e->wire[0] == 1;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    hunt_get(far_secrets[rfc3394 ? FAR_KEY_WRAP : FAR_KEK], key);
    memcpy(iv, e->wire + 1, 12);
    iv[15] = 2; /* the counter of the first block */
    far_require(EVP_DecryptInit_ex(c, rfc3394 ? EVP_aes_256_wrap() : EVP_aes_256_ctr(), NULL, key,
                                   rfc3394 ? NULL : iv) == 1);
    far_require(EVP_DecryptUpdate(c, out, &len, e->wire + (rfc3394 ? 1 : 13), rfc3394 ? 40 : 32) ==
                1);
    far_require(len == 32);
    hunt_set(far_secrets[FAR_SECRET], out, 32);
    make_data_key(out, e);
}

/* ---- Engines
 * ------------------------------------------------------------------------------------- */

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
static void use(kfe_engine *engine, kit_record *sealed, envelope *out)
{
    const kfe_record in = {.topic = kit_text("t"), .key = kit_text("k"), .value = kit_text("v")};
    kit_record opened;
    if (kit_seal(engine, &in, sealed) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
    assert_int_equal(kit_open(engine, &sealed->r, &opened), KFE_OK);
    kit_free(&opened);
    *out = read_envelope(&sealed->r);
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
    envelope e;
    kfe_config *config = far_token_config("right");
    kit_set(config, "encryption.commit", commit ? "true" : "false");
    kfe_engine *engine = engine_new(config, name, kind);
    assert_int_equal(kfe_engine_on_statistics(engine, reported, &once), KFE_OK);
    use(engine, &sealed, &e);
    hunt_child(make_secrets, &e);
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

/* ---- The tool
 * ------------------------------------------------------------------------------------- */

/* In a shell, with whatever it says in a file. */
static void run_shell(void *command)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/said", kit_dir());
    far_require(freopen(path, "w", stdout) != NULL);
    execl("/bin/sh", "sh", "-c", (const char *)command, (char *)NULL);
    far_require(false);
}

static void run(const char *arguments, const char *pin)
{
    static char command[1024], line[4096];
    snprintf(command, sizeof(command),
             "D=%s; %s %s -F \"$D/kfe-%s.conf\" </dev/null 2>&1 || true # some are to fail",
             kit_dir(), KFE_TEST_COMMAND, arguments, pin);
    hunt_child(run_shell, command);
    snprintf(line, sizeof(line), "%s/said", kit_dir());
    FILE *file = fopen(line, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        far_say(line);
    assert_int_equal(fclose(file), 0);
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

static void write_conf(const char *pin)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/kfe-%s.conf", kit_dir(), pin);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "encryption.keyprovider.class=pkcs11\n"
            "encryption.keyprovider.pkcs11.uri=pkcs11:token=far%%20away?module-path=%s\n"
            "encryption.keyprovider.pkcs11.pin=file:%s\n"
            "encryption.keymanager.class=topic\n"
            "encryption.keymanager.default.key=derived\n",
            KFE_TEST_SOFTHSM, far_token_pin_file(pin));
    assert_int_equal(fclose(file), 0);
}

static void what_the_tool_prints(void **state)
{
    (void)state;
    static const char *const right[] = {"keys list",
                                        "keys probe",
                                        "keys create tool",
                                        "keys rotate tool",
                                        "keys retire tool@1",
                                        "keys import tool \"$D/key.hex\"",
                                        "keys rotate none",
                                        "keys import \"\" \"$D/key.hex\"",
                                        "keys export-wrapped loose@1 --kek rfc3394",
                                        "keys export-wrapped derived@1 --kek rfc3394",
                                        "doctor",
                                        "doctor --stats"};
    static const char *const wrong[] = {"keys list", "keys create more", "doctor"};
    hunt_child(make_key_file, NULL);
    write_conf("right");
    write_conf("wrong");
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
        cmocka_unit_test(what_the_tool_prints),
    };
    return cmocka_run_group_tests(tests, far_begin, NULL);
}
