/* SPDX-License-Identifier: Apache-2.0 */
#include <kfe/secret.h>

#include "pkcs11/ckr.h"
#include "pkcs11/latch.h"
#include "pkcs11/login.h"
#include "pkcs11/meter.h"
#include "pkcs11/session.h"

static kfe_error check_flags(const CK_TOKEN_INFO *token)
{
    if (token->flags & CKF_USER_PIN_LOCKED)
        return kfe_fail(KFE_E_CREDENTIALS, "the token has locked its user PIN: its security "
                                           "officer must set a new one");
    if (token->flags & CKF_USER_PIN_FINAL_TRY)
        return kfe_fail(KFE_E_CREDENTIALS, "the token locks at the next wrong PIN, so none is "
                                           "tried: log in once by hand (pkcs11-tool --login -O)");
    return KFE_OK;
}

/* ---- Codes that may mean a refused PIN ------------------------------------------------ */

/* Where and by what a login is tried. */
typedef struct {
    kfe_p11_module *module;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO token; /* before it is */
    CK_SESSION_HANDLE session;
    uint64_t word; /* of the PIN */
} attempt;

/* A PIN's own account, or a free one, or the one that has not to wait for longest. */
static kfe_p11_login_doubt *doubt_of(const attempt *try)
{
    kfe_p11_login_doubt *all = kfe_p11_module_login_doubts(try->module), *best = &all[0];
    for (size_t i = 0; i < KFE_P11_LOGIN_DOUBTS; i++) {
        if (all[i].word == try->word)
            return &all[i];
        if (best->word != 0 && (all[i].word == 0 || all[i].next_ms < best->next_ms))
            best = &all[i];
    }
    *best = (kfe_p11_login_doubt){.word = try->word};
    return best;
}

static kfe_error check_doubt(const kfe_p11_login_doubt *doubt)
{
    const uint64_t now = kfe_p11_milliseconds();
    if (doubt->failed == 0 || now >= doubt->next_ms)
        return KFE_OK;
    return kfe_fail(KFE_E_PROVIDER,
                    "C_Login: %s (0x%lx), %u times: it may mean a refused PIN, so this one is "
                    "tried again in %llu s, another at once",
                    kfe_p11_ckr_name(doubt->rv), doubt->rv, doubt->failed,
                    (unsigned long long)(doubt->next_ms - now) / 1000 + 1);
}

static void remember_doubt(kfe_p11_login_doubt *doubt, CK_RV rv)
{
    static const uint64_t pauses_ms[] = {0, 2000, 10000, 60000};
    const unsigned last = sizeof(pauses_ms) / sizeof(pauses_ms[0]) - 1;
    doubt->next_ms =
        kfe_p11_milliseconds() + pauses_ms[doubt->failed < last ? doubt->failed : last];
    doubt->failed++;
    doubt->rv = rv;
}

static bool counts_as_wrong(const attempt *try)
{
    const CK_FLAGS wrong = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
    CK_TOKEN_INFO now;
    return kfe_p11_module_calls(try->module)->C_GetTokenInfo(try->slot, &now) == CKR_OK &&
           (now.flags & ~try->token.flags & wrong) != 0;
}

static kfe_error judge(const attempt *try, CK_RV rv, kfe_p11_login_doubt *doubt)
{
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) {
        doubt->word = 0;
        return KFE_OK;
    }
    kfe_error err = kfe_p11_ckr_fail(rv, "C_Login");
    if (err == KFE_E_CREDENTIALS || kfe_p11_ckr_cure(rv) == KFE_P11_SESSION_LOST)
        return err;
    if (counts_as_wrong(try))
        return kfe_fail(KFE_E_CREDENTIALS,
                        "C_Login: %s (0x%lx), and the token counts a wrong PIN: check the PIN",
                        kfe_p11_ckr_name(rv), rv);
    remember_doubt(doubt, rv);
    return err;
}

/* ---- Trying ---------------------------------------------------------------------------- */

static kfe_error try_unless_too_soon(const attempt *try, uint8_t *pin, size_t len)
{
    kfe_p11_login_doubt *doubt = doubt_of(try);
    kfe_error err = check_doubt(doubt);
    if (err)
        return err;
    CK_FUNCTION_LIST_PTR calls = kfe_p11_module_calls(try->module);
    err = judge(try, calls->C_Login(try->session, CKU_USER, pin, len), doubt);
    if (err == KFE_E_CREDENTIALS)
        kfe_p11_latch_set(try->word);
    return err;
}

/* Look, try and remember are one step: of two threads with the same wrong PIN, one tries it. */
static kfe_error try_pin(const attempt *try, uint8_t *pin, size_t len)
{
    kfe_error err = kfe_p11_module_lock(try->module);
    if (err)
        return err;
    if (kfe_p11_latch_is_set(try->word))
        err = kfe_fail(KFE_E_CREDENTIALS, "the token refused this PIN before, it is not tried "
                                          "again: correct what " KFE_P11_PIN_OPTION " points to");
    else
        err = try_unless_too_soon(try, pin, len);
    kfe_p11_module_unlock(try->module);
    return err;
}

/* The PIN is in memory for secrets as long as it is here: a core file that is written while the
 * token hangs has it no more than one that is written later. */
static kfe_error log_in(attempt *try, const kfe_p11_pin_source *source)
{
    uint8_t *pin = kfe_secret_alloc(KFE_P11_PIN_MAX);
    size_t len = 0;
    if (!pin)
        return KFE_E_MEMORY;
    kfe_error err = source->get(source->arg, pin, &len);
    if (!err && len == 0)
        err = kfe_fail(KFE_E_CONFIG, "what " KFE_P11_PIN_OPTION " points to is empty");
    if (!err)
        err =
            kfe_p11_latch_word(kfe_p11_module_path(try->module), &try->token, pin, len, &try->word);
    if (!err)
        err = try_pin(try, pin, len);
    kfe_secret_free(pin);
    return err;
}

kfe_error kfe_p11_login(kfe_p11_module *module, CK_SLOT_ID slot, CK_SESSION_HANDLE session,
                        const kfe_p11_pin_source *source)
{
    CK_FUNCTION_LIST_PTR calls = kfe_p11_module_calls(module);
    attempt try = {.module = module, .slot = slot, .session = session};
    CK_RV rv = calls->C_GetTokenInfo(slot, &try.token);
    if (rv != CKR_OK)
        return kfe_p11_ckr_fail(rv, "C_GetTokenInfo");
    kfe_error err = KFE_OK;
    if ((try.token.flags & CKF_LOGIN_REQUIRED) && !kfe_p11_session_has_login(calls, session)) {
        err = check_flags(&try.token);
        if (!err)
            err = log_in(&try, source);
    }
    if (!err)
        kfe_p11_module_serves(module, slot, &try.token);
    return err;
}
