/* SPDX-License-Identifier: Apache-2.0 */
/* What is got back after sessions, logins, handles or tokens are lost, and what is an error? */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "tests/pkcs11/derive_rig.h"

static void test_codes(void **state)
{
    const test_token *h = *state;
    static const struct {
        const char *function;
        CK_RV rv;
        kfe_error once, always; /* when one call fails so; when every call does */
        unsigned long logins;
    } cases[] = {
        {"C_SignInit", CKR_SESSION_HANDLE_INVALID, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_SESSION_CLOSED, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_SignInit", CKR_USER_NOT_LOGGED_IN, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_SignInit", CKR_OBJECT_HANDLE_INVALID, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_SignInit", CKR_KEY_HANDLE_INVALID, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_SignInit", CKR_OPERATION_ACTIVE, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_OPERATION_NOT_INITIALIZED, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_GENERAL_ERROR, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_FUNCTION_FAILED, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_DEVICE_ERROR, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_DEVICE_REMOVED, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_TOKEN_NOT_PRESENT, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_TOKEN_NOT_RECOGNIZED, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_SLOT_ID_INVALID, KFE_OK, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_VENDOR_DEFINED + 7, KFE_E_PROVIDER, KFE_E_PROVIDER, 0},
        {"C_Sign", CKR_HOST_MEMORY, KFE_E_MEMORY, KFE_E_MEMORY, 0},
        {"C_SignInit", CKR_MECHANISM_INVALID, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_ATTRIBUTE_READ_ONLY, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_ATTRIBUTE_SENSITIVE, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_ATTRIBUTE_TYPE_INVALID, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_ATTRIBUTE_VALUE_INVALID, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_ACTION_PROHIBITED, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_KEY_SIZE_RANGE, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_TEMPLATE_INCOMPLETE, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_TEMPLATE_INCONSISTENT, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_SESSION_READ_ONLY, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_KEY_NOT_WRAPPABLE, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_KEY_UNEXTRACTABLE, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_KEY_FUNCTION_NOT_PERMITTED, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
        {"C_SignInit", CKR_KEY_TYPE_INCONSISTENT, KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 0},
    };
    struct rig rig;
    rig_init(&rig, h);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        h->shim->reset();
        h->shim->inject(cases[i].function, SHIM_INSTEAD, cases[i].rv, 0, 1);
        kfe_error once = rig_derive(&rig);
        if (once != cases[i].once)
            fail_msg("%s 0x%lx once: %s: %s", cases[i].function, cases[i].rv, kfe_error_name(once),
                     kfe_error_detail());
        assert_true(h->shim->calls("C_SignInit") <= 2);
        h->shim->reset();
        h->shim->inject(cases[i].function, SHIM_INSTEAD, cases[i].rv, 0, 1000);
        kfe_error always = rig_derive(&rig);
        if (always != cases[i].always)
            fail_msg("%s 0x%lx: %s", cases[i].function, cases[i].rv, kfe_error_name(always));
        assert_non_null(strstr(kfe_error_detail(), cases[i].function));
        assert_true(h->shim->calls("C_SignInit") <= 2);
        assert_int_equal(h->shim->calls("C_Login"), cases[i].logins);
    }
    h->shim->reset();
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    rig_wipe(&rig);
}

/* A code that may mean a dead token: nothing is asked of it again when the probe fails too. */
static void test_dead_token(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_Sign", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    h->shim->inject("C_GetTokenInfo", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    assert_int_equal(h->shim->calls("C_SignInit"), 1);
    assert_non_null(strstr(kfe_error_detail(), "CKR_DEVICE_ERROR"));
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER); /* at once, the token is not asked */
    assert_non_null(strstr(kfe_error_detail(), "not reachable since"));
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    rig_wipe(&rig);
}

static void test_all_sessions_closed(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token raw;
    rig_init(&rig, h);
    for (int i = 0; i < 3; i++) {
        raw_open(&raw);
        assert_int_equal(raw.calls->C_CloseAllSessions(raw.slot), CKR_OK);
        h->shim->reset();
        assert_int_equal(rig_derive(&rig), KFE_OK);
        assert_int_equal(h->shim->calls("C_Login"), 1);
        assert_int_equal(h->shim->calls("C_SignInit"), 1); /* the old handle is not tried again */
    }
    rig_wipe(&rig);
}

static void test_logged_out(void **state)
{
    const test_token *h = *state;
    const kfe_key_ref ref = {"k", 1};
    struct rig rig;
    raw_token raw;
    kfe_key *key = NULL;
    rig_init(&rig, h);
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Logout(raw.session), CKR_OK);
    raw_close(&raw);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    /* Without a login a search finds nothing: that must not be taken for "unknown". */
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Logout(raw.session), CKR_OK);
    raw_close(&raw);
    assert_int_equal(rig.p->ops->get_key(rig.p, &ref, &key), KFE_OK);
    key->ops->release(key);
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Logout(raw.session), CKR_OK);
    raw_close(&raw);
    uint32_t version = 0;
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK);
    assert_int_equal(version, 2);
    rig_wipe(&rig);
}

static void test_finalised_by_others(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token raw;
    rig_init(&rig, h);
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Finalize(NULL), CKR_OK);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 1);
    rig_wipe(&rig);
    assert_int_equal(h->shim->calls("C_Finalize"), 1);
}

static int destroy_raw(void *arg)
{
    raw_token raw;
    CK_OBJECT_HANDLE key = 0;
    (void)arg;
    raw_open(&raw);
    if (raw_count(&raw, CKO_SECRET_KEY, "k", &key) != 1)
        return 1;
    return raw.calls->C_DestroyObject(raw.session, key) == CKR_OK ? 0 : 2;
}

static int destroy_by_kfe(void *arg)
{
    const kfe_key_ref ref = {"k", 1};
    kfe_key_provider *p;
    if (kfe_pkcs11.open(&p, arg) || p->ops->set_state(p, &ref, KFE_KEY_DESTROYED))
        return 1;
    return 0;
}

static void test_destroyed_elsewhere(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    assert_int_equal(in_child(destroy_raw, NULL), 0);
    assert_int_equal(rig_derive(&rig), KFE_E_KEY_UNKNOWN);
    rig_wipe(&rig);
}

static void test_destroyed_elsewhere_by_kfe(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    assert_int_equal(in_child(destroy_by_kfe, h->config), 0);
    assert_int_equal(rig_derive(&rig), KFE_E_KEY_DESTROYED);
    rig_wipe(&rig);
}

static kfe_error current_again(kfe_key_provider *p, kfe_key **key)
{
    kfe_error err = p->ops->get_current_key(p, "k", key);
    for (int ms = 0; err == KFE_E_PROVIDER && ms < 10000; ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        err = p->ops->get_current_key(p, "k", key);
    }
    return err;
}

/* "Not found" is not believed when the token does not answer. */
static void test_not_found_is_checked(void **state)
{
    const test_token *h = *state;
    kfe_key *key = NULL;
    kfe_key_provider *p = test_token_open(h);
    h->shim->inject("C_GetTokenInfo", SHIM_INSTEAD, CKR_GENERAL_ERROR, 0, 1000);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_PROVIDER);
    h->shim->reset();
    assert_int_equal(current_again(p, &key), KFE_E_KEY_UNKNOWN);
    h->shim->inject("C_FindObjects", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1000);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_PROVIDER);
    h->shim->reset();
    h->shim->inject("C_FindObjects", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_KEY_UNKNOWN);
    h->shim->inject("C_FindObjectsFinal", SHIM_INSTEAD, CKR_SESSION_CLOSED, 0, 1);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_KEY_UNKNOWN);
    assert_null(key);
    p->ops->free(p);
}

/* What was written may not be written again: a second key of that version would be ambiguous. */
static void test_writes_are_not_repeated(void **state)
{
    const test_token *h = *state;
    uint32_t version = 0;
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_GenerateKey", SHIM_AFTER, CKR_SESSION_CLOSED, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    assert_int_equal(h->shim->calls("C_GenerateKey"), 1);
    h->shim->inject("C_GenerateKey", SHIM_AFTER, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    assert_int_equal(h->shim->calls("C_GenerateKey"), 2);
    h->shim->inject("C_GenerateKey", SHIM_INSTEAD, CKR_SESSION_HANDLE_INVALID, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK); /* surely not made */
    assert_int_equal(version, 4);
    h->shim->inject("C_GenerateKey", SHIM_INSTEAD, CKR_TOKEN_WRITE_PROTECTED, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_KEY_DENIED);
    h->shim->inject("C_GetAttributeValue", SHIM_INSTEAD, CKR_USER_NOT_LOGGED_IN, 6, 1);
    assert_int_not_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK);
    assert_true(h->shim->calls("C_GenerateKey") <= 6);
    rig_wipe(&rig);
}

/* A module whose server died writes to a closed socket. */
static void test_sigpipe(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    sigset_t waiting, mask;
    rig_init(&rig, h);
    signal(SIGPIPE, SIG_DFL);
    h->shim->inject("C_SignInit", SHIM_PIPE, CKR_DEVICE_ERROR, 0, 1000);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    sigpending(&waiting);
    assert_int_equal(sigismember(&waiting, SIGPIPE), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    h->shim->reset();
    rig_wipe(&rig);
}

static void test_openssl_queue(void **state)
{
    struct rig rig;
    ERR_clear_error();
    rig_init(&rig, *state);
    uint32_t version;
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK);
    rig_wipe(&rig);
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_USER, 77); /* the application's own entry stays */
    kfe_key_provider *p = test_token_open(*state);
    p->ops->free(p);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 77);
    assert_int_equal(ERR_get_error(), 0);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_codes),
        TOKEN_TEST(test_dead_token),
        TOKEN_TEST(test_all_sessions_closed),
        TOKEN_TEST(test_logged_out),
        TOKEN_TEST(test_finalised_by_others),
        TOKEN_TEST(test_destroyed_elsewhere),
        TOKEN_TEST(test_destroyed_elsewhere_by_kfe),
        TOKEN_TEST(test_not_found_is_checked),
        TOKEN_TEST(test_writes_are_not_repeated),
        TOKEN_TEST(test_sigpipe),
        TOKEN_TEST(test_openssl_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
