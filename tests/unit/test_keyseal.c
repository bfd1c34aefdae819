/* SPDX-License-Identifier: Apache-2.0 */

/* Does only the right passphrase open a sealed key file, and does a hostile one cost nothing? */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/keystore.h"
#include "engine/secret.h"

#define PASSPHRASE "encryption.keyprovider.file.passphrase"

static kfe_crypto *crypto;
static char path[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/kfe-keyseal-%d", (int)getpid());
    return kfe_crypto_new(&crypto, NULL) == KFE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    kfe_crypto_free(crypto);
    return 0;
}

static kfe_keystore *some_keys(size_t n)
{
    kfe_keystore *store = NULL;
    assert_int_equal(kfe_keystore_new(&store), KFE_OK);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "key-%zu", i);
        assert_int_equal(kfe_keystore_add(store, name, (uint32_t)i + 1, NULL), KFE_OK);
    }
    return store;
}

/* Made by Python's hashlib.scrypt and cryptography's AESGCM, after docs/keys.md. */
static const char sealed_elsewhere[] =
    "{\"version\": 1, \"sealed\": {\"kdf\": \"scrypt\", \"log2_n\": 14, \"r\": 8, \"p\": 1, "
    "\"salt\": "
    "\"AAECAwQFBgcICQoLDA0ODw==\", \"cipher\": \"A256GCM\", \"nonce\": \"AAECAwQFBgcICQoL\", "
    "\"data\": "
    "\"3yms1js/nCPQzSAC2aiXbLYyRZretiy73Vq8QjjDjVlohhbct+3DqD0B4JZHxqQ5BzFojSl24S0VD91VbR7qWdqDpNb1"
    "Prz415qi8rWKwub3735gHXJzOu4RlyUTOYQN25DUE9c4eFk5TtOt9c60573ThEOPn4hyZGm2Jlf0ksWR6VNYf1EtXGCcN2"
    "Kb"
    "+8OggB8pjBRjjHkm9pT8dxso8Ms7rF5Ik3XS62m6vqN971rPsCNK14h8UCg240p7Wz6ZgtjN+qJXdl6UneGB/"
    "hOdldL6jCsK"
    "f0fDhdy/jLUSrjSpmV9hyC56eZk6p6doCYekxYpXLuxdFJ7D/sN8KKYLVykNzXyJdQnzmU8=\"}}";

static kfe_config *with_passphrase(const char *passphrase)
{
    kfe_config *config = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    if (passphrase != NULL) {
        assert_int_equal(setenv("KFE_TEST_PASSPHRASE", passphrase, 1), 0);
        assert_int_equal(kfe_config_set(config, PASSPHRASE, "env:KFE_TEST_PASSPHRASE"), KFE_OK);
    }
    return config;
}

static void put(const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    (void)close(fd);
}

/* Loads the file at `path`; `seal` NULL: a fresh one. */
static kfe_error load(const char *passphrase, kfe_keyseal *seal, kfe_keystore **out)
{
    kfe_keyseal own = {0};
    kfe_keyfile_id id;
    kfe_config *config = with_passphrase(passphrase);
    kfe_keystore_place place = {path, config, crypto, seal != NULL ? seal : &own};
    kfe_error err = kfe_keystore_load(&place, out, &id);
    kfe_config_free(config);
    return err;
}

static void opens_what_others_sealed(void **state)
{
    (void)state;
    kfe_keystore *store = NULL;
    put(sealed_elsewhere, strlen(sealed_elsewhere));
    assert_int_equal(load("correct horse", NULL, &store), KFE_OK);
    assert_true(store->sealed);
    assert_int_equal(store->n, 2);
    assert_string_equal(store->keys[0].name, "k\xc3\xb6rs \"a\\b\" \xf0\x9f\x94\x91");
    assert_int_equal(store->keys[0].master->key[31], 31);
    assert_int_equal(store->keys[1].state, KFE_KEY_DESTROYED);
    kfe_keystore_free(store);
    assert_int_equal(load("correct horsf", NULL, &store), KFE_E_CREDENTIALS);
    assert_null(strstr(kfe_error_detail(), "horsf"));
}

static void seals_and_opens(void **state)
{
    (void)state;
    kfe_keystore *store = some_keys(3), *back = NULL;
    kfe_keyseal *seal = kfe_secret_alloc(sizeof(*seal));
    kfe_config *config = with_passphrase("swordfish");
    kfe_keystore_place place = {path, config, crypto, seal};
    store->sealed = true;
    assert_int_equal(kfe_keystore_save(&place, store), KFE_OK);
    assert_true(seal->ready && seal->log2_n == 17 && seal->r == 8 && seal->p == 1);
    kfe_keyfile_id id;
    char *text = NULL, *again = NULL;
    size_t len = 0, again_len = 0;
    assert_int_equal(kfe_keyfile_read(path, &text, &len, &id), KFE_OK);
    assert_null(memmem(text, len, "key-0", 5));
    /* The second save has another nonce; the first may be read by the same seal, or a new one. */
    assert_int_equal(kfe_keystore_save(&place, store), KFE_OK);
    assert_int_equal(kfe_keyfile_read(path, &again, &again_len, &id), KFE_OK);
    assert_true(again_len == len && memcmp(text, again, len) != 0);
    put(text, len);
    assert_int_equal(load("something else", seal, &back), KFE_OK); /* no passphrase was asked */
    assert_memory_equal(back->keys[2].master->key, store->keys[2].master->key, 32);
    kfe_keystore_free(back);
    assert_int_equal(load("swordfish", NULL, &back), KFE_OK);
    assert_memory_equal(back->keys[2].master->key, store->keys[2].master->key, 32);
    kfe_keystore_free(back);
    kfe_secret_text_free(text);
    kfe_secret_text_free(again);
    kfe_config_free(config);
    kfe_secret_free(seal);
    kfe_keystore_free(store);
}

/* The elsewhere-sealed file with the first `from` turned into `to`. */
static void put_changed(const char *from, const char *to)
{
    char text[2048];
    const char *at = strstr(sealed_elsewhere, from);
    assert_non_null(at);
    int len = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - sealed_elsewhere),
                       sealed_elsewhere, to, at + strlen(from));
    put(text, (size_t)len);
}

static void refuses_boxes(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"14", "13"},
        {"14", "21"},
        {"14", "0"},
        {"14", "64"},
        {"14", "4294967295"},
        {"14", "-14"},
        {"14", "\"14\""},
        {"\"r\": 8", "\"r\": 0"},
        {"\"r\": 8", "\"r\": 33"},
        {"\"r\": 8", "\"r\": 4294967295"},
        {"\"p\": 1", "\"p\": 0"},
        {"\"p\": 1", "\"p\": 17"},
        {"14, \"r\": 8", "20, \"r\": 2"}, /* 256 MiB: the limit is just below */
        {"14, \"r\": 8, \"p\": 1", "17, \"r\": 8, \"p\": 17"},
        {"14, \"r\": 8, \"p\": 1", "17, \"r\": 15, \"p\": 16"}, /* too many steps */
        {"14, \"r\": 8", "16, \"r\": 1"},                       /* RFC 7914: N < 2^16 */
        {"scrypt", "pbkdf2"},
        {"A256GCM", "A128GCM"},
        {"\"kdf\"", "\"kdF\""},
        {"\"p\": 1", "\"p\": 1, \"p\": 1"},
        {"\"p\": 1", "\"p\": 1, \"q\": 1"},
        {"\"p\": 1, ", ""},
        {"\"kdf\": \"scrypt\", ", ""},
        {"AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0O"},
        {"AAECAwQFBgcICQoLDA0ODw==", ""},
        {"\"AAECAwQFBgcICQoL\"", "\"AAECAwQFBgcICQ==\""},
        {"\"version\": 1", "\"version\": 2"},
        {"\"version\": 1", "\"version\": 1, \"keys\": []"},
        {"3yms1js/nCPQ", "3yms1js*nCPQ"},
        {"3yms", "3ym"},
        {"mU8=\"}}", "mU8=\"}} x"},
        {"mU8=\"}}", "mU8=\"}"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        kfe_keystore *store = NULL;
        put_changed(changes[i][0], changes[i][1]);
        kfe_error err = load("correct horse", NULL, &store);
        if (err != KFE_E_CONFIG)
            fail_msg("%s for %s -> %s", kfe_error_name(err), changes[i][0], changes[i][1]);
    }
    put("{\"version\":1,\"sealed\":1}", 24);
    kfe_keystore *store = NULL;
    assert_int_equal(load("x", NULL, &store), KFE_E_CONFIG);
}

/* With the right key at hand, each parameter must still be the one that was sealed. */
static void parameters_are_authenticated(void **state)
{
    (void)state;
    kfe_keystore *store = NULL;
    kfe_keyseal good = {0}, seal;
    put(sealed_elsewhere, strlen(sealed_elsewhere));
    assert_int_equal(load("correct horse", &good, &store), KFE_OK);
    kfe_keystore_free(store);
    seal = good;
    seal.log2_n = 15;
    put_changed("14", "15");
    assert_int_equal(load("correct horse", &seal, &store), KFE_E_CREDENTIALS);
    assert_false(seal.ready);
    seal = good;
    seal.r = 9;
    put_changed("\"r\": 8", "\"r\": 9");
    assert_int_equal(load("correct horse", &seal, &store), KFE_E_CREDENTIALS);
    seal = good;
    seal.p = 2;
    put_changed("\"p\": 1", "\"p\": 2");
    assert_int_equal(load("correct horse", &seal, &store), KFE_E_CREDENTIALS);
    seal = good;
    seal.salt[0] ^= 4;
    put_changed("\"AAECAwQFBgcICQoLDA0ODw==", "\"BAECAwQFBgcICQoLDA0ODw==");
    assert_int_equal(load("correct horse", &seal, &store), KFE_E_CREDENTIALS);
    seal = good;
    put_changed("\"AAECAwQFBgcICQoL\"", "\"BAECAwQFBgcICQoL\""); /* the nonce */
    assert_int_equal(load("correct horse", &seal, &store), KFE_E_CREDENTIALS);
    seal = good;
    put_changed("3yms", "4yms");
    assert_int_equal(load("correct horse", &seal, &store), KFE_E_CREDENTIALS);
}

/* A cut file is damaged, not wrongly unlocked: the passphrase is not even tried. */
static void every_cut_of_a_sealed_file_is_refused(void **state)
{
    (void)state;
    kfe_keystore *store = NULL;
    kfe_keyseal seal = {0};
    for (size_t cut = 1; cut < sizeof(sealed_elsewhere) - 1; cut++) {
        put(sealed_elsewhere, cut);
        assert_int_equal(load("correct horse", &seal, &store), KFE_E_CONFIG);
    }
    assert_false(seal.ready);
}

static void passphrase_and_file_must_agree(void **state)
{
    (void)state;
    kfe_keystore *store = NULL;
    put("{\"version\":1,\"keys\":[]}", 23);
    assert_int_equal(load("correct horse", NULL, &store), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "not sealed"));
    assert_int_equal(load(NULL, NULL, &store), KFE_OK);
    kfe_keystore_free(store);
    put(sealed_elsewhere, strlen(sealed_elsewhere));
    assert_int_equal(load(NULL, NULL, &store), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "sealed by a passphrase"));
    assert_int_equal(load("", NULL, &store), KFE_E_CONFIG);
    assert_int_equal(load(NULL, NULL, &store), KFE_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_others_sealed),
        cmocka_unit_test(seals_and_opens),
        cmocka_unit_test(refuses_boxes),
        cmocka_unit_test(parameters_are_authenticated),
        cmocka_unit_test(every_cut_of_a_sealed_file_is_refused),
        cmocka_unit_test(passphrase_and_file_must_agree),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
