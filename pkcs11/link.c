/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/random.h>

#include "pkcs11/ckr.h"
#include "pkcs11/login.h"
#include "pkcs11/parts.h"
#include "pkcs11/slot.h"

enum { ASK_AGAIN_MS = 60000 };

/* ---- The PIN ------------------------------------------------------------------------- */

/* While a thread waits in open it is the one to ask: a callback may want to talk to a terminal from
 * there. With the lock held. */
static kfe_error pin_from_opener(kfe_p11_token *token, uint8_t pin[KFE_P11_PIN_MAX], size_t *len)
{
    token->pin = pin;
    pthread_cond_broadcast(&token->changed);
    while (token->pin && token->opening) /* open gives it, or ends at its deadline */
        pthread_cond_wait(&token->changed, &token->lock);
    if (token->pin) {
        token->pin = NULL;
        return kfe_fail(KFE_E_PROVIDER, "nobody waits for the token any more");
    }
    *len = token->pin_len;
    return token->pin_err ? kfe_fail(token->pin_err, "%s", token->why) : KFE_OK;
}

/* Somebody at a terminal is not to be asked at each try to get the token back. */
static kfe_error ask(kfe_p11_token *token, uint8_t pin[KFE_P11_PIN_MAX], size_t *len)
{
    uint64_t now = kfe_p11_milliseconds();
    token->pin_asked = kfe_config_get(token->config, KFE_P11_PIN_OPTION) == NULL;
    if (token->pin_asked && now < token->ask_again) {
        token->pin_asked = false;
        return kfe_fail(KFE_E_CREDENTIALS,
                        "the PIN that was given was refused, another is asked for in %llu s",
                        (unsigned long long)(token->ask_again - now) / 1000 + 1);
    }
    return kfe_config_secret(token->config, KFE_P11_PIN_OPTION, pin, KFE_P11_PIN_MAX, len);
}

static kfe_error pin_get(void *arg, uint8_t pin[KFE_P11_PIN_MAX], size_t *len)
{
    kfe_p11_token *token = arg;
    pthread_mutex_lock(&token->lock);
    bool opening = token->opening, closing = token->closing;
    kfe_error err = opening ? pin_from_opener(token, pin, len) : KFE_OK;
    pthread_mutex_unlock(&token->lock);
    if (opening)
        return err;
    if (!closing)
        err = ask(token, pin, len);
    /* It may have taken any time: who has closed meanwhile is not logged in. */
    pthread_mutex_lock(&token->lock);
    closing = token->closing;
    pthread_mutex_unlock(&token->lock);
    return closing ? kfe_fail(KFE_E_PROVIDER, "the KeyProvider was closed") : err;
}

/* ---- Connecting, by the control thread ------------------------------------------------ */

/* Read-write where the token has them: some have no others. */
static CK_RV open_session(CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID slot, bool *read_only,
                          CK_SESSION_HANDLE *out)
{
    CK_RV rv = CKR_OK;
    if (!*read_only) {
        rv = calls->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, out);
        if (rv != CKR_SESSION_COUNT && rv != CKR_TOKEN_WRITE_PROTECTED)
            return rv;
    }
    rv = calls->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, out);
    *read_only = *read_only || rv == CKR_OK;
    return rv;
}

static kfe_error log_in(kfe_p11_token *token, CK_SLOT_ID slot, CK_SESSION_HANDLE anchor,
                        kfe_p11_mark *mark)
{
    const kfe_p11_pin_source source = {pin_get, token};
    uint64_t start = kfe_p11_microseconds();
    token->pin_asked = false;
    kfe_error err = kfe_p11_login(token->module, slot, anchor, &source);
    if (err == KFE_E_CREDENTIALS && token->pin_asked)
        token->ask_again = kfe_p11_milliseconds() + ASK_AGAIN_MS;
    kfe_p11_meter_count(&token->meter, KFE_P11_LOGIN, kfe_p11_microseconds() - start);
    if (err)
        return err;
    if (token->logins > 0)
        atomic_fetch_add(&token->meter.reconnects, 1);
    /* Who needs no login has no private objects either. */
    bool private = kfe_p11_session_has_login(token->calls, anchor);
    return kfe_p11_mark_make(mark, token->calls, anchor, private);
}

/* Finds the token, opens the anchor, logs in. Every older session and handle is void then. */
static kfe_error connect(kfe_p11_token *token)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE anchor = CK_INVALID_HANDLE;
    kfe_p11_mark ours, now;
    bool read_only = false;
    kfe_error err = kfe_p11_slot_find(&token->uri, token->calls, &slot, &info);
    if (err)
        return err;
    CK_RV rv = open_session(token->calls, slot, &read_only, &anchor);
    if (rv != CKR_OK)
        return kfe_p11_ckr_fail(rv, "C_OpenSession");
    err = kfe_p11_mark_make(&ours, token->calls, anchor, false);
    if (!err)
        err = log_in(token, slot, anchor, &now);
    if (err) {
        token->calls->C_CloseSession(anchor);
        return err;
    }
    pthread_mutex_lock(&token->lock);
    token->slot = slot;
    token->info = info;
    token->anchor = anchor;
    token->read_only = read_only;
    token->ours = ours;
    token->ours_now = now;
    token->epoch++;
    token->logins++;
    token->max = token->sessions;
    token->fewer_until = 0;
    pthread_mutex_unlock(&token->lock);
    return KFE_OK;
}

static kfe_error within(kfe_p11_token *token, kfe_error (*step)(kfe_p11_token *token))
{
    kfe_p11_module_enter(token->module);
    kfe_error err = step(token);
    kfe_p11_module_leave(token->module);
    return err;
}

/* Of a start that comes while this goes on the sessions may be: then a loss is blamed on it. */
static kfe_error connect_anew(kfe_p11_token *token)
{
    const uint64_t starts = kfe_p11_module_starts(token->module);
    kfe_error err = within(token, connect);
    if (!err)
        token->starts = starts;
    return err;
}

/* What of the link is still there? The control thread alone writes what is read here. */
typedef enum { LINK_WHOLE, LINK_NO_LOGIN, LINK_GONE } link_state;

static link_state look(kfe_p11_token *token, CK_RV *rv)
{
    CK_SESSION_INFO session;
    CK_TOKEN_INFO info;
    CK_INFO module;
    *rv = token->calls->C_GetInfo(&module);
    if (*rv == CKR_OK)
        *rv = token->anchor == CK_INVALID_HANDLE
                  ? CKR_SESSION_HANDLE_INVALID
                  : token->calls->C_GetSessionInfo(token->anchor, &session);
    if (*rv == CKR_OK)
        *rv = kfe_p11_mark_check(&token->ours, token->calls, token->anchor);
    if (*rv == CKR_OK)
        *rv = token->calls->C_GetTokenInfo(token->slot, &info);
    if (*rv != CKR_OK)
        return LINK_GONE;
    bool login = !(info.flags & CKF_LOGIN_REQUIRED) ||
                 kfe_p11_session_has_login(token->calls, token->anchor);
    if (login && kfe_p11_mark_check(&token->ours_now, token->calls, token->anchor) == CKR_OK)
        return LINK_WHOLE;
    return LINK_NO_LOGIN;
}

static kfe_error log_in_again(kfe_p11_token *token)
{
    kfe_p11_mark now;
    kfe_error err = log_in(token, token->slot, token->anchor, &now);
    if (err)
        return err;
    pthread_mutex_lock(&token->lock);
    token->ours_now = now;
    token->logins++;
    pthread_mutex_unlock(&token->lock);
    return KFE_OK;
}

/* So do some modules that somebody finalised, and say no word of it. */
static bool shows_nothing(kfe_p11_token *token)
{
    CK_ULONG n = 0;
    kfe_p11_module_enter(token->module);
    CK_RV rv = token->calls->C_GetSlotList(CK_TRUE, NULL, &n);
    kfe_p11_module_leave(token->module);
    return rv == CKR_OK && n == 0;
}

/* The application may have finalised the module and started it again: it is his then. */
static void tell_of_loss(kfe_p11_token *token, CK_RV rv)
{
    const bool finalised = rv == CKR_CRYPTOKI_NOT_INITIALIZED;
    if (finalised || (token->anchor != CK_INVALID_HANDLE &&
                      (rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_OBJECT_HANDLE_INVALID)))
        kfe_p11_module_lost(token->module, token->starts, finalised);
}

/* What an earlier start gave is void; that it is gone is no sign of anything then. */
static kfe_error restart(kfe_p11_token *token, bool anew)
{
    uint64_t starts = token->starts;
    kfe_error err = kfe_p11_module_restart(token->module, anew, &token->info, &starts);
    pthread_mutex_lock(&token->lock);
    if (starts != token->starts)
        token->anchor = CK_INVALID_HANDLE;
    token->starts = starts;
    pthread_mutex_unlock(&token->lock);
    return err;
}

static kfe_error get_back(kfe_p11_token *token, bool anew)
{
    CK_RV rv;
    kfe_p11_module_enter(token->module);
    link_state state = look(token, &rv);
    kfe_p11_module_leave(token->module);
    if (state == LINK_WHOLE)
        return KFE_OK;
    if (state == LINK_NO_LOGIN)
        return within(token, log_in_again);
    tell_of_loss(token, rv);
    /* Sessions that are only out of reach would be lost for ever by opening others. */
    kfe_p11_cure cure = kfe_p11_ckr_cure(rv);
    if (!anew && cure != KFE_P11_SESSION_LOST && cure != KFE_P11_OBJECT_LOST)
        return kfe_p11_ckr_fail(rv, "a look at the token");
    if (anew || rv == CKR_CRYPTOKI_NOT_INITIALIZED) {
        kfe_error err = restart(token, anew);
        if (err)
            return err;
    }
    kfe_error err = connect_anew(token);
    if (err != KFE_E_PROVIDER || anew || !shows_nothing(token))
        return err;
    err = restart(token, false);
    return err ? err : connect_anew(token);
}

static kfe_error first_time(kfe_p11_token *token)
{
    kfe_p11_module *module = NULL;
    uint64_t starts = 0;
    kfe_error err = kfe_p11_module_get(&module, token->uri.module_path, token->init_args, &starts);
    if (err)
        return err;
    pthread_mutex_lock(&token->lock);
    token->module = module;
    token->starts = starts;
    token->calls = kfe_p11_module_calls(module);
    pthread_mutex_unlock(&token->lock);
    err = get_back(token, false); /* up for others of us, or finalised by somebody */
    /* What was left up may be dead, and nobody else would finalise it. */
    const bool reached = atomic_load(&token->meter.calls[KFE_P11_LOGIN]) > 0;
    return err == KFE_E_PROVIDER && !reached && kfe_p11_module_left_up(module)
               ? get_back(token, true)
               : err;
}

kfe_error kfe_p11_link_try(kfe_p11_token *token, bool anew)
{
    pthread_mutex_lock(&token->lock);
    token->linking = true;
    pthread_mutex_unlock(&token->lock);
    kfe_error err = token->module ? get_back(token, anew) : first_time(token);
    pthread_mutex_lock(&token->lock);
    token->linking = false;
    token->attempts++;
    if (err)
        kfe_p11_trip(token, err, kfe_error_detail());
    else
        kfe_p11_breaker_close(&token->breaker);
    pthread_cond_broadcast(&token->changed);
    pthread_mutex_unlock(&token->lock);
    return err;
}

kfe_error kfe_p11_link_heal(kfe_p11_worker *self, uint64_t lost)
{
    kfe_p11_token *token = self->token;
    if (self == &token->control_worker)
        return token->logins == lost ? kfe_p11_link_try(token, false) : KFE_OK;
    pthread_mutex_lock(&token->lock);
    uint64_t before = token->attempts;
    if (token->logins == lost) {
        token->wanted = true;
        pthread_cond_signal(&token->control);
    }
    /* The control thread sees `wanted` after what it is at, or with the breaker's next try; each
     * try counts. One that hangs is its callers' loss, who have deadlines, and ours until close. */
    while (token->logins == lost && token->attempts == before && !token->closing)
        pthread_cond_wait(&token->changed, &token->lock);
    kfe_error err = kfe_p11_refusal(token);
    pthread_mutex_unlock(&token->lock);
    return err;
}

/* ---- Sessions of workers -------------------------------------------------------------- */

static CK_RV take_session(kfe_p11_worker *self, CK_SLOT_ID slot, uint64_t epoch, bool read_only,
                          CK_SESSION_HANDLE anchor)
{
    kfe_p11_token *token = self->token;
    CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
    CK_RV rv = open_session(token->calls, slot, &read_only, &handle);
    bool borrow = rv == CKR_SESSION_COUNT && self == &token->control_worker;
    if (rv != CKR_OK && !borrow)
        return rv;
    pthread_mutex_lock(&token->lock);
    self->session = borrow ? anchor : handle;
    self->borrowed = borrow;
    self->epoch = epoch;
    if (token->epoch == epoch)
        token->read_only = read_only;
    pthread_mutex_unlock(&token->lock);
    return CKR_OK;
}

kfe_error kfe_p11_link_session(kfe_p11_worker *self, kfe_p11_session *session)
{
    kfe_p11_token *token = self->token;
    pthread_mutex_lock(&token->lock);
    if (self->epoch != token->epoch)
        self->session = CK_INVALID_HANDLE;
    *session = (kfe_p11_session){.calls = token->calls,
                                 .handle = self->session,
                                 .slot = token->slot,
                                 .logins = token->logins,
                                 .anchor = self == &token->control_worker ? token->anchor
                                                                          : CK_INVALID_HANDLE,
                                 .allow_rsa = token->allow_rsa,
                                 .sure = token->ours_now.object != CK_INVALID_HANDLE};
    uint64_t epoch = token->epoch;
    bool read_only = token->read_only;
    CK_SESSION_HANDLE anchor = token->anchor;
    kfe_p11_mark mark = token->ours_now;
    pthread_mutex_unlock(&token->lock);
    if (anchor == CK_INVALID_HANDLE)
        return kfe_p11_session_fail(session, CKR_SESSION_HANDLE_INVALID,
                                    "the session of the login");
    if (session->handle == CK_INVALID_HANDLE) {
        CK_RV rv = take_session(self, session->slot, epoch, read_only, anchor);
        if (rv != CKR_OK)
            return kfe_p11_session_fail(session, rv, "C_OpenSession");
        session->handle = self->session;
    }
    CK_RV rv = kfe_p11_mark_check(&mark, session->calls, session->handle);
    if (rv == CKR_OBJECT_HANDLE_INVALID) /* so every handle is void */
        rv = CKR_USER_NOT_LOGGED_IN;
    return rv == CKR_OK ? KFE_OK : kfe_p11_session_fail(session, rv, "a look at our own object");
}

/* With the anchor go login and marks, so it is no anchor then: whoever comes next gets the link
 * back first, or would take the one session that the token has for himself. */
void kfe_p11_link_drop(kfe_p11_worker *self, bool close)
{
    kfe_p11_token *token = self->token;
    pthread_mutex_lock(&token->lock);
    CK_SESSION_HANDLE session = self->epoch == token->epoch ? self->session : CK_INVALID_HANDLE;
    self->session = CK_INVALID_HANDLE;
    if (close && self->borrowed && session != CK_INVALID_HANDLE)
        token->anchor = CK_INVALID_HANDLE;
    self->borrowed = false;
    pthread_mutex_unlock(&token->lock);
    if (close && session != CK_INVALID_HANDLE)
        token->calls->C_CloseSession(session);
}

void kfe_p11_link_close(kfe_p11_token *token)
{
    if (!token->module)
        return;
    kfe_p11_module_enter(token->module);
    /* Unless their numbers belong to somebody else by now, and the module with them. */
    CK_RV rv = token->anchor == CK_INVALID_HANDLE
                   ? CKR_SESSION_HANDLE_INVALID
                   : kfe_p11_mark_check(&token->ours, token->calls, token->anchor);
    bool ours = rv == CKR_OK;
    for (size_t i = 0; i < sizeof(token->workers) / sizeof(token->workers[0]); i++)
        kfe_p11_link_drop(&token->workers[i], ours);
    kfe_p11_link_drop(&token->control_worker, ours && !token->control_worker.borrowed);
    if (ours)
        token->calls->C_CloseSession(token->anchor);
    kfe_p11_module_leave(token->module);
    tell_of_loss(token, rv);
    kfe_p11_module_put(token->module);
    token->module = NULL;
}
