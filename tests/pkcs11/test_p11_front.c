/* SPDX-License-Identifier: Apache-2.0 */
/* Is what libp11 is given in place of a module a token with one session and one key, which nothing
 * but a decryption goes through? */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/front/front.h"

enum { SESSION = 77, KEY = 78 };

static void *module;
static kfe_p11_front_show_fn *show;

static CK_RV lists(CK_FUNCTION_LIST_PTR *out)
{
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    void *symbol = dlsym(module, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof(get));
    assert_non_null(get);
    return get(out);
}

/* ---- The token behind it, which decrypts and does no more ---------------------------------- */

static CK_RV init_says, decrypt_says;

static CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    assert_int_equal(session, SESSION);
    assert_int_equal(key, KEY);
    assert_int_equal(mechanism->mechanism, CKM_RSA_X_509);
    return init_says;
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                     CK_ULONG *n)
{
    assert_int_equal(session, SESSION);
    memcpy(out, in, len);
    *n = len;
    return decrypt_says;
}

static CK_FUNCTION_LIST token = {.C_DecryptInit = decrypt_init, .C_Decrypt = decrypt};
static const CK_BYTE modulus[256] = {1, 2, 3}, exponent[3] = {1, 0, 1};

static kfe_p11_front front;
static CK_FUNCTION_LIST_PTR calls;

static int setup(void **state)
{
    (void)state;
    front = (kfe_p11_front){.calls = &token,
                            .session = SESSION,
                            .key = KEY,
                            .modulus = modulus,
                            .exponent = exponent,
                            .modulus_len = sizeof(modulus),
                            .exponent_len = sizeof(exponent)};
    init_says = decrypt_says = CKR_OK;
    show(&front);
    return lists(&calls) == CKR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    show(NULL);
    return 0;
}

/* ---- What libp11 may do -------------------------------------------------------------------- */

static CK_RV decrypt_by(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = {CKM_RSA_X_509, NULL, 0};
    CK_BYTE in[] = "block", out[sizeof(in)];
    CK_ULONG n = sizeof(out);
    CK_RV rv = calls->C_DecryptInit(session, &mechanism, key);
    return rv == CKR_OK ? calls->C_Decrypt(session, in, sizeof(in), out, &n) : rv;
}

/* Each call below would be one of a function that the token does not have. */
static void test_nothing_else_reaches_the_token(void **state)
{
    CK_INFO info;
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO token_info;
    CK_SLOT_ID slot = 0;
    CK_ULONG n = 1;
    CK_BYTE pin[] = "1234";
    (void)state;
    assert_int_equal(calls->C_Initialize(NULL), CKR_OK);
    assert_int_equal(calls->C_GetInfo(&info), CKR_OK);
    assert_int_equal(calls->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(calls->C_GetSlotList(CK_TRUE, &slot, &n), CKR_OK);
    assert_int_equal(calls->C_GetSlotInfo(slot, &slot_info), CKR_OK);
    assert_true(slot_info.flags & CKF_TOKEN_PRESENT);
    assert_int_equal(calls->C_GetTokenInfo(slot, &token_info), CKR_OK);
    assert_true(token_info.flags & CKF_TOKEN_INITIALIZED);
    for (int i = 0; i < 2; i++) {
        CK_SESSION_HANDLE session = 0;
        assert_int_equal(calls->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session),
                         CKR_OK);
        assert_int_equal(session, SESSION);
        assert_int_equal(calls->C_Login(session, CKU_USER, pin, 4), CKR_USER_ALREADY_LOGGED_IN);
        assert_int_equal(calls->C_Logout(session), CKR_OK);
        assert_int_equal(calls->C_CloseSession(session), CKR_OK);
        assert_int_equal(calls->C_CloseAllSessions(slot), CKR_OK);
        assert_int_equal(decrypt_by(SESSION, KEY), CKR_OK);
    }
    assert_int_equal(calls->C_Finalize(NULL), CKR_OK);
    assert_int_equal(decrypt_by(SESSION, KEY), CKR_OK);
}

static CK_ULONG found(CK_ATTRIBUTE *wanted, CK_ULONG n)
{
    CK_OBJECT_HANDLE objects[2] = {0, 0};
    CK_ULONG got = 9, more = 9;
    assert_int_equal(calls->C_FindObjectsInit(SESSION, wanted, n), CKR_OK);
    assert_int_equal(calls->C_FindObjects(SESSION, objects, 2, &got), CKR_OK);
    assert_int_equal(calls->C_FindObjects(SESSION, objects + 1, 1, &more), CKR_OK);
    assert_int_equal(calls->C_FindObjectsFinal(SESSION), CKR_OK);
    assert_int_equal(objects[0], got == 1 ? KEY : 0);
    assert_int_equal(more, 0);
    return got;
}

/* No certificate, no public key: what has the private key's attributes would be taken for one. */
static void test_one_private_key(void **state)
{
    static const CK_OBJECT_CLASS others[] = {CKO_DATA, CKO_CERTIFICATE, CKO_PUBLIC_KEY,
                                             CKO_SECRET_KEY};
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted[] = {{CKA_TOKEN, &yes, sizeof(yes)}, {CKA_CLASS, &class, sizeof(class)}};
    (void)state;
    assert_int_equal(found(wanted, 2), 1);
    assert_int_equal(found(wanted + 1, 1), 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        class = others[i];
        assert_int_equal(found(wanted, 2), 0);
    }
    class = CKO_PRIVATE_KEY;
    assert_int_equal(calls->C_FindObjectsInit(SESSION, wanted, 2), CKR_OK); /* and given up */
    assert_int_equal(found(wanted, 1), 0);                                  /* of any class */
    wanted[1].ulValueLen = 1;
    assert_int_equal(found(wanted, 2), 0);
}

static void test_attributes(void **state)
{
    CK_BYTE n[sizeof(modulus)], e[sizeof(exponent)], label[8];
    CK_BBOOL always = CK_TRUE;
    CK_ATTRIBUTE a[] = {{CKA_MODULUS, NULL, 0},
                        {CKA_PUBLIC_EXPONENT, e, sizeof(e)},
                        {CKA_ALWAYS_AUTHENTICATE, &always, sizeof(always)},
                        {CKA_LABEL, label, sizeof(label)}};
    (void)state;
    assert_int_equal(calls->C_GetAttributeValue(SESSION, KEY, a, 4), CKR_OK);
    assert_int_equal(a[0].ulValueLen, sizeof(modulus));
    assert_memory_equal(e, exponent, sizeof(e));
    assert_int_equal(always, CK_FALSE);
    a[0] = (CK_ATTRIBUTE){CKA_MODULUS, n, sizeof(n)};
    assert_int_equal(calls->C_GetAttributeValue(SESSION, KEY, a, 1), CKR_OK);
    assert_memory_equal(n, modulus, sizeof(n));
    a[0].ulValueLen = sizeof(n) - 1;
    a[1] = (CK_ATTRIBUTE){CKA_PRIVATE_EXPONENT, e, sizeof(e)};
    assert_int_equal(calls->C_GetAttributeValue(SESSION, KEY, a, 2), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(a[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(a[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(calls->C_GetAttributeValue(SESSION, KEY, a + 1, 1),
                     CKR_ATTRIBUTE_TYPE_INVALID);
}

/* What libp11 makes of codes is lost in it: they are kept here. */
static void test_codes_are_kept(void **state)
{
    (void)state;
    assert_false(front.decrypted);
    decrypt_says = CKR_DEVICE_ERROR;
    assert_int_equal(decrypt_by(SESSION, KEY), CKR_DEVICE_ERROR);
    assert_int_equal(front.rv, CKR_DEVICE_ERROR);
    assert_int_equal(front.init_rv, CKR_OK);
    assert_false(front.decrypted);
    decrypt_says = CKR_OK;
    assert_int_equal(decrypt_by(SESSION, KEY), CKR_OK);
    assert_int_equal(front.rv, CKR_OK);
    assert_true(front.decrypted);
    init_says = CKR_KEY_HANDLE_INVALID;
    assert_int_equal(decrypt_by(SESSION, KEY), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(front.init_rv, CKR_KEY_HANDLE_INVALID);
}

static void *look(void *arg)
{
    CK_FUNCTION_LIST_PTR other;
    *(CK_RV *)arg = lists(&other);
    return NULL;
}

static void test_shown_to_one_thread(void **state)
{
    pthread_t thread;
    CK_RV rv = CKR_OK;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, look, &rv), 0);
    pthread_join(thread, NULL);
    assert_int_equal(rv, CKR_GENERAL_ERROR);
    show(NULL);
    assert_int_equal(lists(&calls), CKR_GENERAL_ERROR);
}

#define FRONT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(test_nothing_else_reaches_the_token),
        FRONT_TEST(test_one_private_key),
        FRONT_TEST(test_attributes),
        FRONT_TEST(test_codes_are_kept),
        FRONT_TEST(test_shown_to_one_thread),
    };
    module = dlopen(KFE_TEST_FRONT, RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, KFE_P11_FRONT_SHOW) : NULL;
    memcpy(&show, &symbol, sizeof(show));
    return symbol ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
