/* SPDX-License-Identifier: Apache-2.0 */
/* What does each return code mean for a secret that is unwrapped, for a login, and for a module
 * that starts? Codes while deriving are in test_p11_faults.c. */
#include <string.h>

#include "tests/pkcs11/aes_key.h"

static const uint8_t aad_bytes[] = "codes", secret[32] = {1, 2, 3};
static const kfe_bytes aad = {aad_bytes, sizeof(aad_bytes)};

typedef struct {
    const test_token *h;
    kfe_key_provider *provider;
    kfe_key *key;
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX];
    size_t len;
} scene;

static scene scene_new(void **state, unsigned usages)
{
    aes_import("kek", 1, 32, usages);
    scene s = {.h = *state, .provider = test_token_open(*state)};
    s.key = aes_get(s.provider, "kek", 1);
    assert_int_equal(s.key->ops->wrap(s.key, aad, secret, s.wrapped, &s.len), KFE_OK);
    return s;
}

static void scene_free(scene *s)
{
    s->key->ops->release(s->key);
    s->provider->ops->free(s->provider);
}

/* Nothing of the secret comes out with an error. */
static kfe_error unwrap(scene *s)
{
    static const uint8_t zero[32];
    uint8_t back[32];
    memset(back, 0xee, sizeof(back));
    kfe_error err = s->key->ops->unwrap(s->key, aad, (kfe_bytes){s->wrapped, s->len}, back);
    assert_memory_equal(back, err ? zero : secret, 32);
    return err;
}

typedef struct {
    const char *function;
    CK_RV rv;
    kfe_error once;      /* when one call fails so */
    unsigned long calls; /* of that function then: 2 when it is tried again */
} row;

/* After each row the token is asked as before: the code was no outage. */
static void check(scene *s, const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const row *r = &rows[i];
        s->h->shim->reset();
        s->h->shim->inject(r->function, SHIM_INSTEAD, r->rv, 0, 1);
        kfe_error err = unwrap(s);
        if (err != r->once || s->h->shim->calls(r->function) != r->calls)
            fail_msg("%s 0x%lx: %s after %lu calls: %s", r->function, r->rv, kfe_error_name(err),
                     s->h->shim->calls(r->function), kfe_error_detail());
        assert_int_equal(s->h->shim->calls("C_Login"), 0);
        s->h->shim->reset();
        err = unwrap(s);
        if (err)
            fail_msg("after %s 0x%lx: %s", r->function, r->rv, kfe_error_detail());
        assert_int_equal(s->h->shim->calls(r->function), 1);
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_decrypt(void **state)
{
    static const row rows[] = {
        {"C_Decrypt", CKR_ENCRYPTED_DATA_INVALID, KFE_E_AUTH, 1},
        {"C_Decrypt", CKR_ENCRYPTED_DATA_LEN_RANGE, KFE_E_AUTH, 1},
        {"C_Decrypt", 0x42, KFE_E_AUTH, 1}, /* CKR_AEAD_DECRYPT_FAILED, of PKCS#11 3.0 */
        {"C_Decrypt", CKR_DATA_INVALID, KFE_E_AUTH, 1},
        {"C_Decrypt", CKR_DATA_LEN_RANGE, KFE_E_AUTH, 1},
        {"C_Decrypt", CKR_GENERAL_ERROR, KFE_OK, 2}, /* said twice, it is bad data */
        {"C_Decrypt", CKR_FUNCTION_FAILED, KFE_OK, 2},
        {"C_Decrypt", CKR_DEVICE_ERROR, KFE_OK, 2},
        {"C_Decrypt", CKR_DEVICE_MEMORY, KFE_OK, 2},
        {"C_DecryptInit", CKR_FUNCTION_NOT_SUPPORTED, KFE_E_KEY_DENIED, 1},
        {"C_DecryptInit", CKR_KEY_TYPE_INCONSISTENT, KFE_E_KEY_DENIED, 1},
        {"C_DecryptInit", CKR_KEY_FUNCTION_NOT_PERMITTED, KFE_E_KEY_DENIED, 1},
        {"C_DecryptInit", CKR_MECHANISM_INVALID, KFE_E_KEY_DENIED, 1},
        {"C_DecryptInit", CKR_MECHANISM_PARAM_INVALID, KFE_E_KEY_DENIED, 1},
        {"C_DecryptInit", CKR_SESSION_HANDLE_INVALID, KFE_OK, 2},
        {"C_DecryptInit", CKR_SESSION_CLOSED, KFE_OK, 2},
        {"C_DecryptInit", CKR_USER_NOT_LOGGED_IN, KFE_OK, 2},
        {"C_DecryptInit", CKR_KEY_HANDLE_INVALID, KFE_OK, 2},
        {"C_DecryptInit", CKR_OBJECT_HANDLE_INVALID, KFE_OK, 2},
        {"C_DecryptInit", CKR_OPERATION_ACTIVE, KFE_OK, 2},
        {"C_Decrypt", CKR_OPERATION_NOT_INITIALIZED, KFE_OK, 2},
        {"C_Decrypt", CKR_HOST_MEMORY, KFE_E_MEMORY, 1},
    };
    scene s = scene_new(state, AES_CRYPT);
    check(&s, rows, COUNT(rows));
    scene_free(&s);
}

static void test_unwrap(void **state)
{
    static const row rows[] = {
        {"C_UnwrapKey", CKR_WRAPPED_KEY_INVALID, KFE_E_AUTH, 1},
        {"C_UnwrapKey", CKR_WRAPPED_KEY_LEN_RANGE, KFE_E_AUTH, 1},
        {"C_UnwrapKey", CKR_ENCRYPTED_DATA_INVALID, KFE_E_AUTH, 1},
        {"C_UnwrapKey", CKR_GENERAL_ERROR, KFE_OK, 2},
        {"C_UnwrapKey", CKR_FUNCTION_FAILED, KFE_OK, 2},
        {"C_UnwrapKey", CKR_WRAPPING_KEY_HANDLE_INVALID, KFE_E_KEY_DENIED, 1},
        {"C_UnwrapKey", CKR_KEY_FUNCTION_NOT_PERMITTED, KFE_E_KEY_DENIED, 1},
        {"C_UnwrapKey", CKR_MECHANISM_INVALID, KFE_E_KEY_DENIED, 1},
        {"C_UnwrapKey", CKR_SESSION_HANDLE_INVALID, KFE_OK, 2},
        {"C_UnwrapKey", CKR_KEY_HANDLE_INVALID, KFE_OK, 2},
        {"C_UnwrapKey", CKR_OPERATION_ACTIVE, KFE_OK, 2},
    };
    scene s = scene_new(state, AES_KEY_WRAP);
    check(&s, rows, COUNT(rows));
    scene_free(&s);
}

static void test_already(void **state)
{
    static const struct {
        const char *function;
        CK_RV rv;
    } rows[] = {{"C_Login", CKR_USER_ALREADY_LOGGED_IN},
                {"C_Initialize", CKR_CRYPTOKI_ALREADY_INITIALIZED}};
    const test_token *h = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        h->shim->reset();
        h->shim->inject(rows[i].function, SHIM_AFTER, rows[i].rv, 0, 1);
        kfe_key_provider *p = test_token_open(h);
        assert_int_equal(h->shim->calls(rows[i].function), 1);
        p->ops->free(p);
    }
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_decrypt),
        TOKEN_TEST(test_unwrap),
        TOKEN_TEST(test_already),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
