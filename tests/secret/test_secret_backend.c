/* SPDX-License-Identifier: Apache-2.0 */
/* Does an expanded key stay where it should, and is it gone when it is freed? While it lives, the
 * key, its round keys and its powers of H are found in its own memory alone (for the engine's: in
 * protected memory alone); then nowhere. Once per backend (argv[1]). */
#include "tests/backend/lab.h"
#include "tests/secret/hunt.h"

#include <stdlib.h>
#include <string.h>

#include "engine/secret.h"

enum { PIECES = 24, SECRETS = 1 + PIECES, LOOK_DIFFERENT = 10 };

static hunt_secret *secrets[SECRETS];
static hunt_find finds[HUNT_FINDS_MAX];
static kfe_crypto *crypto;
static size_t used;

static void make_raw(void *unused)
{
    (void)unused;
    uint8_t raw[32];
    if (kfe_random(raw, sizeof(raw)) != KFE_OK)
        _Exit(1);
    hunt_set(secrets[0], raw, sizeof(raw));
}

/* Not padding, a count or a pointer. */
static bool looks_random(const uint8_t *at)
{
    bool seen[256] = {false};
    int different = 0;
    for (int i = 0; i < HUNT_WINDOW; i++) {
        different += !seen[at[i]];
        seen[at[i]] = true;
    }
    return different >= LOOK_DIFFERENT;
}

/* Takes all that looks like it as secrets. */
static void learn(const kfe_aead_key *key)
{
    const uint8_t *from = (const uint8_t *)key;
    size_t len = 0;
    used = 1;
    for (size_t at = 0; at + 16 <= lab_backend->key_size; at += 16) {
        bool random = looks_random(from + at);
        len += random ? 16 : 0;
        if (len == 0 || (random && len < HUNT_SECRET_MAX && at + 32 <= lab_backend->key_size))
            continue;
        assert_true(used < SECRETS);
        hunt_set(secrets[used++], from + at + (random ? 16 : 0) - len, len);
        len = 0;
    }
    assert_true(used > 3);
}

static void forget(void)
{
    for (size_t i = 0; i < SECRETS; i++)
        secrets[i]->len = 0;
}

static bool within(const hunt_find *find, const kfe_aead_key *key)
{
    const uint8_t *from = (const uint8_t *)key;
    return find->at >= from && find->at < from + lab_backend->key_size;
}

static void only_in(const kfe_aead_key *key, bool protected)
{
    size_t n = hunt(secrets, used, finds), outside = 0;
    assert_true(n >= used - 1);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++) {
        if (within(&finds[i], key) && (!protected || hunt_protected(&finds[i])))
            continue;
        hunt_report(&finds[i]);
        outside++;
    }
    assert_int_equal(outside, 0);
}

static void nowhere(void)
{
    size_t n = hunt(secrets, used, finds);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++)
        hunt_report(&finds[i]);
    assert_int_equal(n, 0);
}

/* Sealing and opening in between, as a key is used. */
static void use(const kfe_aead_key *key)
{
    static uint8_t text[40][300], tags[40][16], nonces[40][12];
    static kfe_aead_op ops[40];
    for (uint32_t i = 0; i < 40; i++) {
        nonces[i][0] = (uint8_t)i;
        ops[i] = (kfe_aead_op){.key = key,
                               .nonce = nonces[i],
                               .in = text[i],
                               .out = text[i],
                               .tag = tags[i],
                               .len = i % 4 == 0 ? 7 * i : 300};
    }
    assert_int_equal(kfe_gcm_seal(ops, 40), KFE_OK);
    tags[3][3] ^= 1;
    assert_int_equal(kfe_gcm_open(ops, 40, NULL), KFE_E_AUTH);
    tags[3][3] ^= 1;
}

static void key_of_the_engine(void **state)
{
    (void)state;
    for (int i = 0; i < LAB_SUITES; i++) {
        if (!lab_does(lab_suites[i]))
            continue;
        kfe_aead_key *key = NULL;
        hunt_child(make_raw, NULL);
        uint8_t *raw = kfe_secret_alloc(32);
        assert_non_null(raw);
        hunt_get(secrets[0], raw);
        assert_int_equal(kfe_aead_key_new(&key, lab_backend, crypto, lab_suites[i], raw), KFE_OK);
        kfe_secret_free(raw);
        learn(key);
        use(key);
        only_in(key, true);
        kfe_aead_key_free(key);
        nowhere();
        forget();
    }
}

static void key_of_a_caller(void **state)
{
    (void)state;
    static const size_t lens[] = {16, 24, 32};
    for (int i = 0; i < 3; i++) {
        kfe_gcm_key *key = NULL;
        hunt_child(make_raw, NULL);
        uint8_t *raw = kfe_secret_alloc(32);
        assert_non_null(raw);
        hunt_get(secrets[0], raw);
        assert_int_equal(kfe_gcm_key_new(&key, raw, lens[i], lab_backend->name), KFE_OK);
        kfe_secret_free(raw);
        learn(key);
        use(key);
        only_in(key, false);
        kfe_gcm_key_free(key);
        nowhere();
        forget();
    }
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    static const char *const name[] = {"the key", "an expanded key"};
    for (int i = 0; i < SECRETS; i++)
        secrets[i] = hunt_new(name[i > 0]);
    if (kfe_crypto_new(&crypto, NULL) != KFE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_of_the_engine),
        cmocka_unit_test(key_of_a_caller),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kfe_crypto_free(crypto);
    lab_end();
    return failed;
}
