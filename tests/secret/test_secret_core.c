/* SPDX-License-Identifier: Apache-2.0 */
/* Is a secret in a core file? Children die where that would hurt most: in a call of the token, as a
 * process does that somebody ends because its HSM hangs, or whose module crashes; and at rest, with
 * sessions in use and keys of a file. Whatever their core files hold is searched. */
#include "tests/secret/core.h"
#include "tests/secret/far.h"

#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kfe/pkcs11.h>

/* ---- The moment ----------------------------------------------------------------------------- */

typedef enum { OPEN, DERIVE, WRAP, UNWRAP, IMPORT } act;

typedef struct {
    const char *key; /* NULL: none is wanted */
    act act;
    const char *call; /* in which it dies */
    bool over;        /* when that was made, not before */
    int signal;
} moment;

static const moment *ahead; /* of the child */

static void look_on(const char *call, bool over)
{
    if (over == ahead->over && strcmp(call, ahead->call) == 0)
        core_now(ahead->signal);
}

static void die(void *arg)
{
    static const kfe_bytes aad = {(const uint8_t *)"bound", 5};
    kfe_config *config = far_token_config("right");
    kfe_key_provider *provider = NULL;
    kfe_key *key = NULL;
    uint8_t out[KFE_KEY_WRAPPED_MAX];
    size_t len = 0;
    uint32_t version = 0;
    ahead = arg;
    kit_set(config, "encryption.keyprovider.pkcs11.allow.rsa", "true");
    if (ahead->act == OPEN) {
        far_note_random(FAR_SALT);
        far_token_watch(look_on);
    }
    far_require(kfe_pkcs11.open(&provider, config) == KFE_OK);
    const kfe_key_ref ref = {ahead->key, 1};
    if (ahead->key != NULL)
        far_require(provider->ops->get_key(provider, &ref, &key) == KFE_OK);
    far_token_watch(look_on);
    if (ahead->act == DERIVE)
        (void)!key->ops->derive(key, (const uint8_t *)"x", 1, far_safe);
    hunt_get(far_secrets[ahead->act == IMPORT ? FAR_MOVED : FAR_SECRET], far_safe);
    if (ahead->act == WRAP)
        (void)!key->ops->wrap(key, aad, far_safe, out, &len);
    if (ahead->act == UNWRAP)
        (void)!key->ops->unwrap(key, aad, (kfe_bytes){far_told, far_told[0] == 2 ? 61 : 257},
                                far_safe);
    if (ahead->act == IMPORT)
        (void)!provider->ops->import(provider, "moved", far_safe, &version);
}

/* ---- The file ------------------------------------------------------------------------------- */

static hunt_find finds[HUNT_FINDS_MAX];

/* How many finds there are, but for those of one secret (-1: none), which are counted apart. */
static size_t search(const core_file *core, int apart, size_t *there)
{
    size_t n = hunt_in(far_secrets, FAR_SECRETS, core->bytes, core->len, finds), others = 0;
    *there = 0;
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++) {
        if (apart >= 0 && finds[i].secret == far_secrets[apart]) {
            ++*there;
            continue;
        }
        core_report(core, &finds[i]);
        others++;
    }
    return others;
}

static void must_be_clean(void (*body)(void *arg), void *arg, const char *when)
{
    size_t none;
    core_file core = core_of(body, arg);
    size_t n = search(&core, -1, &none);
    core_drop(&core);
    if (n > 0)
        fail_msg("%zu secrets in the core file of a process that died %s", n, when);
}

static void died(moment m)
{
    char when[80];
    snprintf(when, sizeof(when), "at the %s of %s", m.over ? "end" : "begin", m.call);
    must_be_clean(die, &m, when);
    far_token_reset();
}

/* ---- Controls ------------------------------------------------------------------------------- */

static void plant(void *on_stack)
{
    uint8_t here[64] = {0}, *heap = calloc(1, 64);
    far_require(heap != NULL);
    hunt_get(far_secrets[FAR_PIN], on_stack != NULL ? here : heap);
    far_require(here[0] + heap[0] > 0);
    core_now(SIGABRT);
}

static void a_planted_copy_is_found(void **state)
{
    (void)state;
    for (int on_stack = 0; on_stack < 2; on_stack++) {
        size_t there;
        core_file core = core_of(plant, on_stack ? finds : NULL);
        assert_int_equal(search(&core, FAR_PIN, &there), 0);
        assert_int_equal(there, 1);
        core_drop(&core);
    }
}

/* ---- In calls ------------------------------------------------------------------------------- */

static void logging_in(void **state)
{
    (void)state;
    died((moment){NULL, OPEN, "C_Login", false, SIGABRT});
    died((moment){NULL, OPEN, "C_Login", true, SIGSEGV});
    assert_int_equal(far_secrets[FAR_SALT]->len, 32);
}

static void deriving(void **state)
{
    (void)state;
    hunt_child(far_make_mac, NULL);
    died((moment){"derived", DERIVE, "C_Sign", true, SIGSEGV});
}

static void wrapping(void **state)
{
    (void)state;
    hunt_child(far_make_random, far_secrets[FAR_SECRET]);
    died((moment){"wrapped", WRAP, "C_Encrypt", false, SIGABRT});
    died((moment){"rfc3394", WRAP, "C_CreateObject", false, SIGSEGV});
    died((moment){"rfc3394", WRAP, "C_WrapKey", true, SIGABRT});
}

/* The object of the unwrapped secret is destroyed when it was read. */
static void unwrapping(void **state)
{
    (void)state;
    hunt_child(far_make_gcm, far_secrets[FAR_SECRET]);
    died((moment){"wrapped", UNWRAP, "C_Decrypt", true, SIGABRT});
    hunt_child(far_make_oaep, far_secrets[FAR_SECRET]);
    died((moment){"rsa", UNWRAP, "C_Decrypt", true, SIGSEGV});
}

static void importing(void **state)
{
    (void)state;
    hunt_child(far_make_random, far_secrets[FAR_MOVED]);
    died((moment){NULL, IMPORT, "C_CreateObject", false, SIGABRT});
}

/* ---- At rest -------------------------------------------------------------------------------- */

/* far_told: whether OpenSSL is the backend, the length of the envelope (2), the envelope. */
static void seal_and_die(void *arg)
{
    const moment *m = arg;
    const kfe_record in = {.topic = kit_text("t"), .key = kit_text("k"), .value = kit_text("v")};
    kit_record sealed, opened;
    kfe_engine *engine = NULL;
    kfe_config *config = far_token_config("right");
    kit_set(config, "encryption.keymanager.class", "topic");
    kit_set(config, "encryption.keymanager.default.key", m->key);
    kit_set(config, "encryption.keyprovider.pkcs11.session", m->call);
    far_require(kfe_engine_new(&engine, config) == KFE_OK);
    far_require(kit_seal(engine, &in, &sealed) == KFE_OK);
    far_require(kit_open(engine, &sealed.r, &opened) == KFE_OK);
    const kfe_bytes envelope = sealed.r.headers[0].value;
    far_told[0] = strcmp(kfe_engine_backend(engine), "openssl") == 0;
    far_told[1] = (uint8_t)(envelope.len >> 8);
    far_told[2] = (uint8_t)envelope.len;
    memcpy(far_told + 3, envelope.data, envelope.len);
    core_now(m->signal);
}

/* One OpenSSL context seals and one opens, as docs/threat-model.md says: each begins with the data
 * key. */
static void sessions_in_use(void **state)
{
    (void)state;
    static const moment moments[] = {{.key = "derived", .call = "derived", .signal = SIGABRT},
                                     {.key = "wrapped", .call = "wrapped", .signal = SIGSEGV},
                                     {.key = "rfc3394", .call = "wrapped", .signal = SIGABRT}};
    for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
        moment m = moments[i];
        size_t there;
        core_file core = core_of(seal_and_die, &m);
        const size_t contexts = far_told[0] ? 2 : 0;
        far_envelope e =
            far_envelope_of((kfe_bytes){far_told + 3, (size_t)far_told[1] << 8 | far_told[2]});
        hunt_child(far_make_session, &e);
        assert_int_equal(search(&core, FAR_DATA, &there), 0);
        assert_true(there <= contexts);
        core_drop(&core);
        far_token_reset();
    }
}

/* FAR_MOVED is the master key there, FAR_MAC what stands for it in the file. */
static void make_keystore(void *unused)
{
    kit_key key = {.name = "filed", .version = 1};
    unsigned char text[48];
    (void)unused;
    far_make_random(far_secrets[FAR_MOVED]);
    hunt_get(far_secrets[FAR_MOVED], key.key);
    EVP_EncodeBlock(text, key.key, sizeof(key.key));
    hunt_set(far_secrets[FAR_MAC], text, 44);
    kit_keystore("keys.json", &key, 1);
}

/* Its keys are at rest in this process. */
static void use_keystore_and_die(void *unused)
{
    const kfe_record in = {.topic = kit_text("t"), .key = kit_text("k"), .value = kit_text("v")};
    kit_record sealed, opened;
    kfe_engine *engine = NULL;
    (void)unused;
    kfe_config *config =
        kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                   "keys.json", "encryption.keymanager.class", "topic",
                   "encryption.keymanager.default.key", "filed", "encryption.encrypt.keys",
                   "deterministic", "encryption.keymanager.deterministic.key", "filed@1", NULL);
    far_require(kfe_engine_new(&engine, config) == KFE_OK);
    far_require(kit_seal(engine, &in, &sealed) == KFE_OK);
    far_require(kit_open(engine, &sealed.r, &opened) == KFE_OK);
    core_now(SIGSEGV);
}

static void keys_in_a_file(void **state)
{
    (void)state;
    hunt_child(make_keystore, NULL);
    must_be_clean(use_keystore_and_die, NULL, "with keys of a file");
}

/* ---- The command ---------------------------------------------------------------------------- */

static void make_key_file(void *unused)
{
    uint8_t key[32];
    char path[160];
    (void)unused;
    snprintf(path, sizeof(path), "%s/key.bin", kit_dir());
    far_make_random(far_secrets[FAR_MOVED]);
    hunt_get(far_secrets[FAR_MOVED], key);
    FILE *file = fopen(path, "w");
    far_require(file != NULL && fwrite(key, sizeof(key), 1, file) == 1 && fclose(file) == 0);
}

static void run_command(void *call)
{
    setenv(REMOTE_CRASH, call, 1);
    execl(KFE_TEST_COMMAND, "kfe", "keys", "import", "core", "key.bin", "-F", "kfe-right.conf",
          (char *)NULL);
}

static void the_command(void **state)
{
    (void)state;
    if (core_ways() != CORE_BY_KERNEL) /* nobody stops it for gcore */
        skip();
    hunt_child(make_key_file, NULL);
    far_token_conf(KFE_TEST_REMOTE, "right", "");
    must_be_clean(run_command, (void *)(uintptr_t) "C_Login", "in kfe keys import");
    must_be_clean(run_command, (void *)(uintptr_t) "C_FindObjectsInit", "in kfe keys import");
}

/* --------------------------------------------------------------------------------------------- */

int main(void)
{
    if (core_ways() == CORE_NONE) {
        const char *no_skip = getenv("KFE_NO_SKIP");
        puts("skipped: the kernel writes no core files into a folder here, and there is no gcore");
        return no_skip != NULL && strcmp(no_skip, "1") == 0 ? 1 : 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_planted_copy_is_found),
        cmocka_unit_test(logging_in),
        cmocka_unit_test(deriving),
        cmocka_unit_test(wrapping),
        cmocka_unit_test(unwrapping),
        cmocka_unit_test(importing),
        cmocka_unit_test(sessions_in_use),
        cmocka_unit_test(keys_in_a_file),
        cmocka_unit_test(the_command),
    };
    return cmocka_run_group_tests(tests, far_begin, NULL);
}
