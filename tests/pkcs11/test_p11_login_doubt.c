/* SPDX-License-Identifier: Apache-2.0 */
/* A login that fails with a code that is no PIN's: it may have been refused all the same, so is
 * that PIN tried ever more seldom, or no more when the token counts it as wrong? */
#include <stdlib.h>
#include <string.h>

#include "tests/pkcs11/ahead.h"
#include "tests/pkcs11/derive_rig.h"

enum { ALWAYS = 1000000, RECOVERY_MS = 5000 };

static const CK_RV codes[] = {
    CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_ARGUMENTS_BAD,    CKR_DEVICE_ERROR, 0x1b8,
    0x80000005ul,      CKR_HOST_MEMORY,     CKR_FUNCTION_CANCELED};

static kfe_error try_open(const kfe_config *config)
{
    kfe_key_provider *p = NULL;
    kfe_error err = kfe_pkcs11.open(&p, config);
    if (!err)
        p->ops->free(p);
    return err;
}

static unsigned long logins(const test_token *h)
{
    return h->shim->calls("C_Login");
}

static void assert_says(const char *what)
{
    if (!strstr(kfe_error_detail(), what))
        fail_msg("no \"%s\" in: %s", what, kfe_error_detail());
}

/* Whoever tries: it is kept with the module. */
static void test_opened_again_and_again(void **state)
{
    const test_token *h = *state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        h->shim->reset();
        h->shim->inject("C_Login", SHIM_INSTEAD, codes[i], 0, ALWAYS);
        for (unsigned long n = 1; n <= 2; n++) {
            assert_int_not_equal(try_open(h->config), KFE_OK);
            assert_int_equal(logins(h), n);
        }
        for (int again = 0; again < 3; again++) {
            assert_int_equal(try_open(h->config), KFE_E_PROVIDER);
            assert_says("C_Login");
            assert_says("tried again in");
            assert_null(strstr(kfe_error_detail(), test_token_pin()));
        }
        assert_int_equal(logins(h), 2);
        setenv("KFE_TEST_PIN", "another", 1); /* has its own account */
        assert_int_not_equal(try_open(h->config), KFE_OK);
        assert_int_equal(logins(h), 3);
        setenv("KFE_TEST_PIN", test_token_pin(), 1);
        h->shim->inject("C_Login", SHIM_INSTEAD, codes[i], 0, 0);
        assert_int_equal(try_open(h->config), KFE_E_PROVIDER);
        assert_int_equal(logins(h), 3);
        ahead_s += 3;
        assert_int_equal(try_open(h->config), KFE_OK); /* and all is forgotten */
        ahead_s += 600;
    }
}

/* What tells of the session and the slot alone is no word on the PIN. */
static void test_lost_meanwhile(void **state)
{
    static const CK_RV lost[] = {CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_REMOVED,
                                 CKR_TOKEN_NOT_PRESENT, CKR_CRYPTOKI_NOT_INITIALIZED};
    const test_token *h = *state;
    for (size_t i = 0; i < 4; i++) {
        h->shim->reset();
        h->shim->inject("C_Login", SHIM_INSTEAD, lost[i], 0, 4);
        for (unsigned long n = 1; n <= 4; n++) {
            assert_int_equal(try_open(h->config), KFE_E_PROVIDER);
            assert_int_equal(logins(h), n);
        }
        assert_int_equal(try_open(h->config), KFE_OK);
    }
}

/* ---- By the control thread -------------------------------------------------------------------
 */

static void await(const test_token *h, const char *function, unsigned long calls)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (h->shim->calls(function) < calls && now_ms() < until)
        pause_1_ms();
    assert_true(h->shim->calls(function) >= calls);
}

/* At once by the breaker, after 2 s, after 10 s. */
static void test_ever_more_seldom(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_Login", SHIM_INSTEAD, CKR_FUNCTION_FAILED, 0, ALWAYS);
    h->shim->lose_handles(SHIM_SESSIONS);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    await(h, "C_Login", 2);
    uint64_t second = now_ms();
    await(h, "C_Login", 3);
    assert_true(now_ms() - second >= 1900);
    await(h, "C_OpenSession", h->shim->calls("C_OpenSession") + 3); /* it goes on but for that */
    assert_int_equal(logins(h), 3);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    assert_says("C_Login");
    assert_says("tried again in");
    h->shim->inject("C_Login", SHIM_INSTEAD, CKR_FUNCTION_FAILED, 0, 0);
    ahead_s += 10;
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    assert_int_equal(logins(h), 4);
    rig_wipe(&rig);
}

/* An outage that met one login or two is got over as fast as any. */
static void test_fails_twice(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    for (unsigned long n = 1; n <= 2; n++) {
        h->shim->reset();
        h->shim->inject("C_Login", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, n);
        h->shim->lose_handles(SHIM_SESSIONS);
        uint64_t start = now_ms();
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        assert_int_equal(rig_derive_again(&rig), KFE_OK);
        assert_true(now_ms() - start < RECOVERY_MS);
        assert_int_equal(logins(h), n + 1);
    }
    rig_wipe(&rig);
}

/* ---- What the token says of its PIN ------------------------------------------------------------
 */

static const test_token *the_token;
static CK_FLAGS next_flags;

static void show_flags(void *arg)
{
    (void)arg;
    the_token->shim->token_flags(next_flags);
}

static kfe_error fail_with(const test_token *h, CK_FLAGS before, CK_FLAGS after)
{
    the_token = h;
    next_flags = after;
    h->shim->reset();
    h->shim->token_flags(before);
    h->shim->inject("C_Login", SHIM_INSTEAD, CKR_FUNCTION_FAILED, 0, 1);
    h->shim->before("C_Login", show_flags, NULL);
    return try_open(h->config);
}

static void test_counted_as_wrong(void **state)
{
    static const struct {
        CK_FLAGS before, after;
        const char *pin;
    } steps[] = {{0, CKF_USER_PIN_COUNT_LOW, "counted-low"},
                 {0, CKF_USER_PIN_FINAL_TRY, "final-try"},
                 {0, CKF_USER_PIN_LOCKED, "locked"},
                 {CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY, "last"}};
    const test_token *h = *state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        setenv("KFE_TEST_PIN", steps[i].pin, 1);
        assert_int_equal(fail_with(h, steps[i].before, steps[i].after), KFE_E_CREDENTIALS);
        assert_says("C_Login: CKR_FUNCTION_FAILED");
        assert_null(strstr(kfe_error_detail(), steps[i].pin));
        h->shim->token_flags(0);
        assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS); /* it is latched */
        assert_int_equal(logins(h), 1);
    }
}

/* Somebody else's wrong PIN was counted before. */
static void test_counted_before(void **state)
{
    const test_token *h = *state;
    assert_int_equal(fail_with(h, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_COUNT_LOW), KFE_E_PROVIDER);
    assert_int_equal(try_open(h->config), KFE_OK);
    assert_int_equal(logins(h), 2);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_lost_meanwhile),   TOKEN_TEST(test_fails_twice),
        TOKEN_TEST(test_counted_as_wrong), TOKEN_TEST(test_counted_before),
        TOKEN_TEST(test_ever_more_seldom), TOKEN_TEST(test_opened_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
