/* SPDX-License-Identifier: Apache-2.0 */
/* Do keys or passphrases leak? While an engine lives, its keys are in locked memory that no core
 * dump and no child gets (but for the round keys that OpenSSL expands in its own memory); once it
 * is gone, no 16 bytes of them are anywhere. */
#include "tests/secret/hunt.h"
#include "tests/secret/session.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base64.h"
#include "engine/keystore.h"
#include "engine/secret.h"

enum { MASTER, MASTER_TEXT, DATA, SIV, PASSPHRASE, STRETCHED, SECRETS };

static hunt_secret *secrets[SECRETS];
static hunt_find finds[HUNT_FINDS_MAX];
static char store[128], sealed_store[128], passphrase_file[160];

/* ---- What children make ------------------------------------------------------------------------
 */

static void require(bool fact)
{
    if (!fact)
        _Exit(1);
}

static void set_master(const uint8_t key[32])
{
    char text[48];
    hunt_set(secrets[MASTER], key, 32);
    kfe_base64_encode(key, 32, text);
    hunt_set(secrets[MASTER_TEXT], text, 44);
}

static void make_store(void *arg)
{
    (void)arg;
    kit_key key = {.name = "orders", .version = 1};
    require(kfe_random(key.key, 32) == KFE_OK);
    set_master(key.key);
    kit_keystore("keys.json", &key, 1);
}

/* docs/format.md, 5.2. */
static void derive(const char *label, uint32_t bits, const uint8_t *context, uint8_t *out)
{
    uint8_t master[32], input[128];
    size_t c = 1 + 1 + 6 + 4 + 16, n = strlen(label) + 1;
    hunt_get(secrets[MASTER], master);
    for (uint8_t i = 1; i <= bits / 256; i++) {
        const uint8_t number[4] = {0, 0, 0, i};
        const uint8_t length[4] = {0, 0, (uint8_t)(bits >> 8), (uint8_t)bits};
        memcpy(input, number, 4);
        memcpy(input + 4, label, n);
        memcpy(input + 4 + n, context, c);
        memcpy(input + 4 + n + c, length, 4);
        require(HMAC(EVP_sha256(), master, 32, input, 8 + n + c, out + 32 * (i - 1), NULL) != NULL);
    }
}

static void make_derived(void *arg)
{
    const session *s = arg;
    uint8_t context[28] = {s->suite, 6, 'o', 'r', 'd', 'e', 'r', 's', 0, 0, 0, 1}, out[64];
    memcpy(context + 12, s->salt, 16);
    derive("kfe1 data key", 256, context, out);
    hunt_set(secrets[DATA], out, 32);
    context[0] = 0;
    memset(context + 12, 0, 16);
    derive("kfe1 deterministic", 512, context, out);
    hunt_set(secrets[SIV], out, 64);
}

static void make_hmac(void *unused)
{
    (void)unused;
    uint8_t master[32], out[32];
    hunt_get(secrets[MASTER], master);
    require(HMAC(EVP_sha256(), master, 32, (const uint8_t *)"x", 1, out, NULL) != NULL);
    hunt_set(secrets[DATA], out, 32);
}

/* A random passphrase in its file, and a key file sealed by it. */
static void make_sealed_store(void *arg)
{
    (void)arg;
    uint8_t random[24];
    char passphrase[48];
    require(kfe_random(random, sizeof(random)) == KFE_OK);
    kfe_base64_encode(random, sizeof(random), passphrase);
    hunt_set(secrets[PASSPHRASE], passphrase, 32);
    FILE *file = fopen(passphrase_file, "w");
    require(file != NULL && fprintf(file, "%.32s\n", passphrase) == 33 && fclose(file) == 0);

    kfe_keyseal seal = {0};
    kfe_keystore *keys = NULL;
    kfe_crypto *crypto = NULL;
    char option[192];
    snprintf(option, sizeof(option), "file:%s", passphrase_file);
    kfe_config *config = kit_config("encryption.keyprovider.file.passphrase", option, NULL);
    require(kfe_crypto_new(&crypto, NULL) == KFE_OK && kfe_keystore_new(&keys) == KFE_OK);
    require(kfe_keystore_add(keys, "orders", 1, NULL) == KFE_OK);
    keys->sealed = true;
    kfe_keystore_place place = {sealed_store, config, crypto, &seal};
    require(kfe_keystore_save(&place, keys) == KFE_OK);
    set_master(keys->keys[0].master->key);
    hunt_set(secrets[STRETCHED], seal.key, 32);
}

/* The key of version `*arg` in the file that the test's own provider wrote. */
static void read_master(void *arg)
{
    char *text = NULL;
    size_t len = 0;
    kfe_keyfile_id id;
    kfe_keystore *keys = NULL;
    require(kfe_keyfile_read(store, &text, &len, &id) == KFE_OK);
    require(kfe_keystore_read(&keys, text, len) == KFE_OK);
    set_master(kfe_keystore_find(keys, "orders", *(uint32_t *)arg)->master->key);
}

/* ---- Looking ------------------------------------------------------------------------------------
 */

/* Of each secret: finds in protected memory and outside of it. */
typedef struct {
    size_t inside[SECRETS], outside[SECRETS];
} tally;

static tally count(bool report_inside)
{
    tally t = {{0}, {0}};
    size_t n = hunt(secrets, SECRETS, finds);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++)
        for (int s = 0; s < SECRETS; s++) {
            if (finds[i].secret != secrets[s])
                continue;
            bool inside = hunt_protected(&finds[i]);
            t.inside[s] += inside;
            t.outside[s] += !inside;
            if (!inside || report_inside)
                hunt_report(&finds[i]);
        }
    return t;
}

static void nothing_is_left(void)
{
    tally t = count(true);
    for (int s = 0; s < SECRETS; s++) {
        assert_int_equal(t.inside[s], 0);
        assert_int_equal(t.outside[s], 0);
    }
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[SECRETS] = {"master key",   "master key in base64",
                                               "data key",     "SIV key",
                                               "a passphrase", "key made of a passphrase"};
    for (int s = 0; s < SECRETS; s++)
        secrets[s] = hunt_new(names[s]);
    snprintf(store, sizeof(store), "%s/keys.json", kit_dir());
    snprintf(sealed_store, sizeof(sealed_store), "%s/sealed.json", kit_dir());
    snprintf(passphrase_file, sizeof(passphrase_file), "%s/passphrase", kit_dir());
    umask(077);
    return 0;
}

/* ---- The tests ----------------------------------------------------------------------------------
 */

/* Does the hunt find what is there? */
static void a_planted_copy_is_found(void **state)
{
    (void)state;
    hunt_child(make_store, NULL);
    nothing_is_left();
    uint8_t *planted = malloc(64), *locked = kfe_secret_alloc(64);
    assert_non_null(planted);
    assert_non_null(locked);
    hunt_get(secrets[MASTER], planted + 13);
    planted[13] ^= 1; /* a part of it is enough */
    hunt_get(secrets[MASTER], locked);
    tally t = count(true);
    assert_int_equal(t.outside[MASTER], 1);
    assert_int_equal(t.inside[MASTER], 1);
    kfe_wipe(planted, 64);
    free(planted);
    kfe_secret_free(locked);
    nothing_is_left();
}

static kfe_config *engine_config(const char *suite)
{
    return kit_config(
        "encryption.keyprovider.class", "file", "encryption.keyprovider.file.path", store,
        "encryption.keymanager.class", "topic", "encryption.keymanager.default.key", "orders",
        "encryption.keymanager.deterministic.key", "orders@1", "encryption.encrypt.keys",
        "deterministic", "encryption.algorithms", suite, "encryption.commit", "true", NULL);
}

static void seal_and_open(kfe_engine *engine, session *out)
{
    const kfe_header header = {.name = kit_text("h"), .value = kit_text("v")};
    const kfe_record in = {.topic = kit_text("t"),
                           .key = kit_text("customer"),
                           .value = kit_text("three pieces"),
                           .headers = &header,
                           .n_headers = 1};
    kit_record sealed, opened;
    assert_int_equal(kit_seal(engine, &in, &sealed), KFE_OK);
    assert_int_equal(kit_open(engine, &sealed.r, &opened), KFE_OK);
    *out = session_of(&sealed.r);
    kit_free(&opened);
    kit_free(&sealed);
}

static void keys_of_an_engine(const char *suite)
{
    hunt_child(make_store, NULL);
    kfe_config *config = engine_config(suite);
    kfe_engine *engine = kit_engine(config);
    session s;
    seal_and_open(engine, &s);
    hunt_child(make_derived, &s);
    tally t = count(false);
    assert_true(t.inside[MASTER] > 0);
    assert_true(t.inside[SIV] > 0);
    assert_int_equal(t.outside[MASTER], 0);
    assert_int_equal(t.outside[SIV], 0);
    assert_int_equal(t.inside[MASTER_TEXT] + t.outside[MASTER_TEXT], 0);
    /* OpenSSL's cipher contexts begin with the key: one that seals and one that opens. */
    bool openssl =
        strcmp(kfe_engine_backend(engine), "openssl") == 0 || strcmp(suite, "C20P1305") == 0;
    assert_true(t.outside[DATA] <= (openssl ? 2 : 0));
    assert_true(t.inside[DATA] + t.outside[DATA] > 0);
    kfe_engine_free(engine);
    kfe_config_free(config);
    nothing_is_left();
}

static void aes256(void **state)
{
    (void)state;
    keys_of_an_engine("A256GCM");
}

static void aes128(void **state)
{
    (void)state;
    keys_of_an_engine("A128GCM");
}

static void chacha(void **state)
{
    (void)state;
    keys_of_an_engine("C20P1305");
}

static void keys_that_a_provider_makes(void **state)
{
    (void)state;
    uint32_t version = 0;
    kfe_key_provider *provider = NULL;
    hunt_child(make_store, NULL);
    kfe_config *config = kit_config("encryption.keyprovider.class", "file",
                                    "encryption.keyprovider.file.path", store, NULL);
    assert_int_equal(kfe_key_provider_open(&provider, config), KFE_OK);
    assert_int_equal(provider->ops->rotate(provider, "orders", &version), KFE_OK);
    assert_int_equal(version, 2);
    hunt_child(read_master, &version);
    tally t = count(false);
    assert_int_equal(t.outside[MASTER] + t.outside[MASTER_TEXT], 0);
    kfe_key_ref destroyed = {"orders", 2};
    assert_int_equal(provider->ops->set_state(provider, &destroyed, KFE_KEY_DESTROYED), KFE_OK);
    nothing_is_left();
    kfe_key_provider_close(provider);
    kfe_config_free(config);
    nothing_is_left();
}

static void open_sealed_store(kfe_config *config)
{
    kfe_key_provider *provider = NULL;
    kfe_key *key = NULL;
    if (kfe_key_provider_open(&provider, config) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
    assert_int_equal(provider->ops->get_current_key(provider, "orders", &key), KFE_OK);
    uint8_t derived[32];
    assert_int_equal(key->ops->derive(key, (const uint8_t *)"x", 1, derived), KFE_OK);
    tally t = count(false);
    assert_true(t.inside[MASTER] > 0);
    for (int s = 0; s < SECRETS; s++)
        assert_int_equal(t.outside[s], 0);
    assert_int_equal(t.inside[PASSPHRASE], 0);
    key->ops->release(key);
    kfe_key_provider_close(provider);
    nothing_is_left();
}

static void a_passphrase_from_a_file(void **state)
{
    (void)state;
    char option[192];
    snprintf(option, sizeof(option), "file:%s", passphrase_file);
    hunt_child(make_sealed_store, NULL);
    kfe_config *config =
        kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                   sealed_store, "encryption.keyprovider.file.passphrase", option, NULL);
    open_sealed_store(config);
    kfe_config_free(config);
    nothing_is_left();
}

static long tell(void *arg, const char *option, uint8_t *out, size_t cap)
{
    const hunt_secret *passphrase = arg;
    if (strcmp(option, "encryption.keyprovider.file.passphrase") != 0 || cap < passphrase->len)
        return -1;
    hunt_get(passphrase, out);
    return (long)passphrase->len;
}

static void a_passphrase_asked_for(void **state)
{
    (void)state;
    hunt_child(make_sealed_store, NULL);
    kfe_config *config = kit_config("encryption.keyprovider.class", "file",
                                    "encryption.keyprovider.file.path", sealed_store, NULL);
    kfe_config_on_secret(config, tell, secrets[PASSPHRASE]);
    open_sealed_store(config);
    kfe_config_free(config);
}

typedef struct {
    kfe_config *config;
    kfe_key *key;
    uint8_t *out;
} calling;

static kfe_error fetch(void *arg)
{
    const calling *c = arg;
    size_t len = 0;
    return kfe_config_secret(c->config, "encryption.keyprovider.file.passphrase", c->out, 64, &len);
}

static kfe_error derive_one(void *arg)
{
    const calling *c = arg;
    return c->key->ops->derive(c->key, (const uint8_t *)"x", 1, c->out);
}

static void right_after_a_call(void **state)
{
    (void)state;
    char option[192];
    kfe_key_provider *provider = NULL;
    calling c = {.out = kfe_secret_alloc(64)};
    snprintf(option, sizeof(option), "file:%s", passphrase_file);
    hunt_child(make_sealed_store, NULL);
    c.config = kit_config("encryption.keyprovider.file.passphrase", option, NULL);
    assert_int_equal(hunt_below(fetch, &c), KFE_OK);
    tally t = count(false);
    assert_int_equal(t.inside[PASSPHRASE], 1);
    assert_int_equal(t.outside[PASSPHRASE], 0);
    kfe_config_free(c.config);

    hunt_child(make_store, NULL);
    hunt_child(make_hmac, NULL);
    c.config = kit_config("encryption.keyprovider.class", "file",
                          "encryption.keyprovider.file.path", store, NULL);
    assert_int_equal(kfe_key_provider_open(&provider, c.config), KFE_OK);
    assert_int_equal(provider->ops->get_current_key(provider, "orders", &c.key), KFE_OK);
    assert_int_equal(hunt_below(derive_one, &c), KFE_OK);
    t = count(false);
    assert_int_equal(t.inside[DATA], 1);
    assert_int_equal(t.outside[DATA], 0);
    c.key->ops->release(c.key);
    kfe_key_provider_close(provider);
    kfe_config_free(c.config);
    kfe_secret_free(c.out);
    nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_planted_copy_is_found),
        cmocka_unit_test(aes256),
        cmocka_unit_test(aes128),
        cmocka_unit_test(chacha),
        cmocka_unit_test(keys_that_a_provider_makes),
        cmocka_unit_test(a_passphrase_from_a_file),
        cmocka_unit_test(a_passphrase_asked_for),
        cmocka_unit_test(right_after_a_call),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
