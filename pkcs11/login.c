/* SPDX-License-Identifier: Apache-2.0 */
#include <kfe/secret.h>

#include "pkcs11/ckr.h"
#include "pkcs11/latch.h"
#include "pkcs11/login.h"
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

/* Look, try and remember are one step: of two threads with the same wrong PIN, one tries it. */
static kfe_error try_pin(kfe_p11_module *module, CK_SESSION_HANDLE session, uint64_t word,
                         uint8_t *pin, size_t len)
{
    kfe_error err = kfe_p11_module_lock(module);
    if (err)
        return err;
    if (kfe_p11_latch_is_set(word)) {
        err = kfe_fail(KFE_E_CREDENTIALS, "the token refused this PIN before, it is not tried "
                                          "again: correct what " KFE_P11_PIN_OPTION " points to");
    } else {
        CK_RV rv = kfe_p11_module_calls(module)->C_Login(session, CKU_USER, pin, len);
        if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
            err = kfe_p11_ckr_fail(rv, "C_Login");
        if (err == KFE_E_CREDENTIALS)
            kfe_p11_latch_set(word);
    }
    kfe_p11_module_unlock(module);
    return err;
}

/* The PIN is in memory for secrets as long as it is here: a core file that is written while the
 * token hangs has it no more than one that is written later. */
static kfe_error log_in(kfe_p11_module *module, const CK_TOKEN_INFO *token,
                        CK_SESSION_HANDLE session, const kfe_p11_pin_source *source)
{
    uint8_t *pin = kfe_secret_alloc(KFE_P11_PIN_MAX);
    size_t len = 0;
    uint64_t word = 0;
    if (!pin)
        return KFE_E_MEMORY;
    kfe_error err = source->get(source->arg, pin, &len);
    if (!err && len == 0)
        err = kfe_fail(KFE_E_CONFIG, "what " KFE_P11_PIN_OPTION " points to is empty");
    if (!err)
        err = kfe_p11_latch_word(kfe_p11_module_path(module), token, pin, len, &word);
    if (!err)
        err = try_pin(module, session, word, pin, len);
    kfe_secret_free(pin);
    return err;
}

kfe_error kfe_p11_login(kfe_p11_module *module, CK_SLOT_ID slot, CK_SESSION_HANDLE session,
                        const kfe_p11_pin_source *source)
{
    CK_FUNCTION_LIST_PTR calls = kfe_p11_module_calls(module);
    CK_TOKEN_INFO token;
    CK_RV rv = calls->C_GetTokenInfo(slot, &token);
    if (rv != CKR_OK)
        return kfe_p11_ckr_fail(rv, "C_GetTokenInfo");
    if (!(token.flags & CKF_LOGIN_REQUIRED) || kfe_p11_session_has_login(calls, session))
        return KFE_OK;
    kfe_error err = check_flags(&token);
    return err ? err : log_in(module, &token, session, source);
}
