/* SPDX-License-Identifier: Apache-2.0 */
/* Is derive HMAC-SHA-256 of the key in the token, at one C_Sign a call, from any thread? */
#include <pthread.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/pkcs11/test_token.h"

enum { THREADS = 8, ROUNDS = 200 };

static const uint8_t master[32] = {0x4b, 0x46, 0x45, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff};

static void import(const char *name, uint32_t version)
{
    raw_token raw;
    raw_key key = raw_key_good(name, version, master);
    raw_open(&raw);
    raw_import(&raw, &key);
    raw_close(&raw);
}

static kfe_key *get(kfe_key_provider *p, const char *name, uint32_t version)
{
    kfe_key *key = NULL;
    const kfe_key_ref ref = {name, version};
    assert_int_equal(p->ops->get_key(p, &ref, &key), KFE_OK);
    return key;
}

static void expected(const uint8_t *in, size_t len, uint8_t out[32])
{
    assert_non_null(HMAC(EVP_sha256(), master, sizeof(master), in, len, out, NULL));
}

static void test_equals_hmac(void **state)
{
    uint8_t in[600], want[32], got[32];
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7);
    import("orders", 258);
    kfe_key_provider *p = test_token_open(*state);
    kfe_key *key = get(p, "orders", 258);
    assert_int_equal(key->version, 258);
    assert_int_equal(key->state, KFE_KEY_ACTIVE);
    assert_int_equal(key->ops->size, sizeof(kfe_key_ops));
    for (size_t len = 0; len < sizeof(in); len = len < 130 ? len + 1 : len + 77) {
        expected(in, len, want);
        assert_int_equal(key->ops->derive(key, in, len, got), KFE_OK);
        assert_memory_equal(got, want, 32);
    }
    key->ops->release(key);
    p->ops->free(p);
}

static void test_versions_differ(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    uint32_t version;
    uint8_t one[32], two[32], again[32];
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    kfe_key *k1 = get(p, "orders", 1), *k2 = get(p, "orders", 2), *same = get(p, "orders", 1);
    assert_int_equal(k1->ops->derive(k1, NULL, 0, one), KFE_OK);
    assert_int_equal(k2->ops->derive(k2, NULL, 0, two), KFE_OK);
    assert_int_equal(same->ops->derive(same, NULL, 0, again), KFE_OK);
    assert_memory_equal(one, again, 32);
    assert_memory_not_equal(one, two, 32);
    k1->ops->release(k1);
    k2->ops->release(k2);
    same->ops->release(same);
    p->ops->free(p);
}

static void test_calls(void **state)
{
    const test_token *h = *state;
    uint8_t out[32];
    import("orders", 1);
    kfe_key_provider *p = test_token_open(h);
    kfe_key *key = get(p, "orders", 1);
    assert_int_equal(key->ops->derive(key, master, 5, out), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 1);
    const char *const idle[] = {"C_Login",       "C_OpenSession",    "C_CloseSession",
                                "C_FindObjects", "C_GetSessionInfo", "C_GetTokenInfo"};
    unsigned long before[6], looks = h->shim->calls("C_GetAttributeValue"),
                             signs = h->shim->calls("C_Sign"), inits = h->shim->calls("C_SignInit");
    for (size_t i = 0; i < 6; i++)
        before[i] = h->shim->calls(idle[i]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(key->ops->derive(key, master, 5, out), KFE_OK);
    assert_int_equal(h->shim->calls("C_GetAttributeValue"), looks + 20); /* ours, and that key's? */
    assert_int_equal(h->shim->calls("C_Sign"), signs + 10);
    assert_int_equal(h->shim->calls("C_SignInit"), inits + 10);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(h->shim->calls(idle[i]), before[i]);
    key->ops->release(key);
    p->ops->free(p);
    assert_int_equal(h->shim->calls("C_OpenSession"), h->shim->calls("C_CloseSession"));
    assert_int_equal(h->shim->calls("C_Finalize"), 1);
}

struct worker {
    kfe_key *key;
    size_t wrong;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (uint8_t i = 0; i < ROUNDS; i++) {
        uint8_t in[3] = {i, (uint8_t)(uintptr_t)worker, 1}, want[32], got[32];
        HMAC(EVP_sha256(), master, sizeof(master), in, sizeof(in), want, NULL);
        if (worker->key->ops->derive(worker->key, in, sizeof(in), got) != KFE_OK ||
            memcmp(want, got, 32) != 0)
            worker->wrong++;
    }
    return NULL;
}

static void run_threads(kfe_key *key)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){key, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
}

static void test_threads(void **state)
{
    const test_token *h = *state;
    import("orders", 1);
    kfe_key_provider *p = test_token_open(h);
    kfe_key *key = get(p, "orders", 1);
    run_threads(key);
    assert_int_equal(h->shim->calls("C_Login"), 1);
    assert_int_equal(h->shim->calls("C_Sign"), THREADS * ROUNDS);
    assert_true(h->shim->calls("C_OpenSession") <= 10); /* 8, the control thread, the anchor */
    key->ops->release(key);
    p->ops->free(p);
}

/* A token that is out of sessions: threads share what there is. */
static void test_few_sessions(void **state)
{
    const test_token *h = *state;
    import("orders", 1);
    kfe_key_provider *p = test_token_open(h);
    kfe_key *key = get(p, "orders", 1);
    h->shim->inject("C_OpenSession", SHIM_INSTEAD, CKR_SESSION_COUNT, 0, 1000);
    run_threads(key);
    key->ops->release(key);
    p->ops->free(p);
}

static void test_two_providers(void **state)
{
    const test_token *h = *state;
    uint8_t one[32], two[32];
    import("orders", 1);
    kfe_key_provider *p = test_token_open(h), *q = test_token_open(h);
    kfe_key *k = get(p, "orders", 1), *l = get(q, "orders", 1);
    assert_int_equal(h->shim->calls("C_Initialize"), 1);
    assert_int_equal(h->shim->calls("C_Login"), 1);
    assert_int_equal(k->ops->derive(k, master, 9, one), KFE_OK);
    k->ops->release(k);
    p->ops->free(p);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    assert_int_equal(l->ops->derive(l, master, 9, two), KFE_OK);
    assert_memory_equal(one, two, 32);
    l->ops->release(l);
    q->ops->free(q);
    assert_int_equal(h->shim->calls("C_Finalize"), 1);
}

/* The application had initialised the module: it is not ours to finalise. */
static void test_shared_module(void **state)
{
    const test_token *h = *state;
    raw_token raw;
    CK_SESSION_INFO info;
    import("orders", 1);
    raw_open(&raw);
    kfe_key_provider *p = test_token_open(h);
    kfe_key *key = get(p, "orders", 1);
    key->ops->release(key);
    p->ops->free(p);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    assert_int_equal(raw.calls->C_GetSessionInfo(raw.session, &info), CKR_OK);
    assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
    raw_close(&raw);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_equals_hmac),   TOKEN_TEST(test_versions_differ),
        TOKEN_TEST(test_calls),         TOKEN_TEST(test_threads),
        TOKEN_TEST(test_few_sessions),  TOKEN_TEST(test_two_providers),
        TOKEN_TEST(test_shared_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
