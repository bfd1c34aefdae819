/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens with ways of their own: what becomes of calls when the token is out of reach, gives few
 * sessions, or is particular about buffers? */
#include <pthread.h>
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/derive_rig.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static kfe_key_provider_statistics statistics(const struct rig *rig)
{
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    rig->p->ops->statistics(rig->p, &s);
    return s;
}

/* ---- Sessions ----------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 30 };

static void *derive_on(void *arg)
{
    struct rig *rig = arg;
    uintptr_t failed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t out[32];
        failed += rig->key->ops->derive(rig->key, rig_input, sizeof(rig_input), out) != KFE_OK ||
                  memcmp(out, rig->good, sizeof(out)) != 0;
    }
    return (void *)failed;
}

/* What the token gives serves everybody, and is not asked for more. */
static void test_few_sessions(void **state)
{
    const test_token *h = *state;
    rig_make_key(h);
    for (unsigned limit = 1; limit <= 4; limit++) {
        struct rig rig;
        pthread_t threads[THREADS];
        h->shim->reset();
        h->shim->limit(limit);
        rig_open(&rig, h->config);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, derive_on, &rig), 0);
        for (int i = 0; i < THREADS; i++) {
            void *failed;
            pthread_join(threads[i], &failed);
            assert_null(failed);
        }
        assert_in_range(statistics(&rig).sessions, 1, limit);
        assert_true(h->shim->calls("C_OpenSession") < 2 * THREADS + 2 * limit + 4);
        assert_int_equal(statistics(&rig).breaker, KFE_BREAKER_CLOSED);
        rig_wipe(&rig);
    }
}

/* ---- Outages ------------------------------------------------------------------------------ */

static void wait_for(const test_token *h, const char *function, unsigned long calls)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (h->shim->calls(function) < calls && now_ms() < until)
        pause_1_ms();
    assert_true(h->shim->calls(function) >= calls);
}

/* As a token behind a network: dead until the module is started again, empty until that is done
 * after its return. */
static void test_out_of_reach(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    for (unsigned long i = 1; i <= 2; i++) {
        h->shim->out_of_reach(true);
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        assert_int_not_equal(statistics(&rig).breaker, KFE_BREAKER_CLOSED);
        wait_for(h, "C_Initialize", h->shim->calls("C_Initialize") + 2); /* there are no slots */
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        assert_non_null(strstr(kfe_error_detail(), "not reachable since"));
        h->shim->out_of_reach(false);
        assert_int_equal(rig_derive_again(&rig), KFE_OK);
        assert_int_equal(h->shim->calls("C_Login"), i);
        assert_int_equal(statistics(&rig).reconnects, i);
        assert_true(h->shim->calls("C_Finalize") >= 2 * i);
        assert_int_equal(statistics(&rig).breaker, KFE_BREAKER_CLOSED);
    }
    rig_wipe(&rig);
}

/* ---- Buffers ------------------------------------------------------------------------------ */

static const uint8_t aad_bytes[] = "ways", secret[32] = {1, 2, 3};
static const kfe_bytes aad = {aad_bytes, sizeof(aad_bytes)};

static kfe_error round_trip(kfe_key *key)
{
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX], back[32];
    size_t len = 0;
    kfe_error err = key->ops->wrap(key, aad, secret, wrapped, &len);
    if (!err)
        err = key->ops->unwrap(key, aad, (kfe_bytes){wrapped, len}, back);
    if (!err)
        assert_memory_equal(back, secret, sizeof(back));
    return err;
}

/* A size that a token tells is not believed: it is not asked for. */
static void test_size(void **state)
{
    static const unsigned usages[] = {AES_CRYPT, AES_KEY_WRAP};
    static const int off[] = {-8, 1000};
    const test_token *h = *state;
    aes_import("kek", 1, 32, usages[0]);
    aes_import("kek", 2, 32, usages[1]);
    for (int i = 0; i < 4; i++) {
        h->shim->reset();
        h->shim->size(off[i / 2]);
        kfe_key_provider *p = test_token_open(h);
        kfe_key *key = aes_get(p, "kek", (uint32_t)(i % 2) + 1);
        assert_int_equal(round_trip(key), KFE_OK);
        assert_int_equal(h->shim->size_queries(), 0);
        key->ops->release(key);
        p->ops->free(p);
    }
}

/* 16 bytes more than needed are given. A token that wants more still fails that call, whether it
 * ends the operation with that or has it stand; the next call works. */
static void test_room(void **state)
{
    const test_token *h = *state;
    aes_import("kek", 1, 32, AES_CRYPT);
    kfe_key_provider *p = test_token_open(h);
    kfe_key *key = aes_get(p, "kek", 1);
    assert_int_equal(round_trip(key), KFE_OK);
    for (int ends = 0; ends < 2; ends++) {
        h->shim->reset();
        h->shim->room(16, ends);
        assert_int_equal(round_trip(key), KFE_OK);
        h->shim->room(17, ends);
        unsigned long tries = h->shim->calls("C_Encrypt");
        assert_int_equal(round_trip(key), KFE_E_PROVIDER);
        assert_non_null(strstr(kfe_error_detail(), "CKR_BUFFER_TOO_SMALL"));
        assert_int_equal(h->shim->calls("C_Encrypt"), tries + 1);
        h->shim->room(0, false);
        assert_int_equal(round_trip(key), KFE_OK);
        assert_int_equal(h->shim->calls("C_Login"), 0);
        kfe_key_provider_statistics s = {.size = sizeof(s)};
        p->ops->statistics(p, &s);
        assert_int_equal(s.breaker, KFE_BREAKER_CLOSED);
    }
    key->ops->release(key);
    p->ops->free(p);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_few_sessions),
        TOKEN_TEST(test_out_of_reach),
        TOKEN_TEST(test_size),
        TOKEN_TEST(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
