/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkcs11/ckr.h"
#include "pkcs11/guard.h"
#include "pkcs11/login.h"
#include "pkcs11/module.h"
#include "pkcs11/pool.h"
#include "pkcs11/slot.h"
#include "pkcs11/token.h"
#include "pkcs11/uri.h"

struct kfe_p11_token {
    pid_t pid;
    const kfe_config *config;
    kfe_p11_uri uri;
    kfe_p11_module *module;
    CK_FUNCTION_LIST_PTR calls;
    kfe_p11_pool pool;

    pthread_mutex_t lock; /* over what follows; held while a lost login is got back */
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE anchor;
    uint64_t logins;
};

/* ---- Connecting -------------------------------------------------------------------- */

static kfe_error log_in(kfe_p11_token *token)
{
    kfe_error err = kfe_p11_login(token->module, token->slot, token->anchor, token->config);
    if (!err)
        token->logins++;
    return err;
}

static kfe_error connect(kfe_p11_token *token)
{
    kfe_error err = kfe_p11_slot_find(&token->uri, token->calls, &token->slot, &token->info);
    if (err)
        return err;
    CK_RV rv =
        token->calls->C_OpenSession(token->slot, CKF_SERIAL_SESSION, NULL, NULL, &token->anchor);
    if (rv != CKR_OK) {
        token->anchor = CK_INVALID_HANDLE;
        return kfe_p11_ckr_fail(rv, "C_OpenSession");
    }
    return log_in(token);
}

static void disconnect(kfe_p11_token *token)
{
    kfe_p11_pool_close(&token->pool, token->calls);
    if (token->anchor != CK_INVALID_HANDLE)
        token->calls->C_CloseSession(token->anchor);
    kfe_p11_module_put(token->module);
}

static void token_free(kfe_p11_token *token)
{
    if (token->module)
        disconnect(token);
    pthread_mutex_destroy(&token->lock);
    kfe_p11_uri_wipe(&token->uri);
    free(token);
}

static kfe_error token_init(kfe_p11_token *token, const kfe_config *config)
{
    token->pid = getpid();
    token->config = config;
    pthread_mutex_init(&token->lock, NULL);
    kfe_error err =
        kfe_p11_uri_init(&token->uri, kfe_config_get(config, "encryption.keyprovider.pkcs11.uri"));
    if (err)
        return err;
    err = kfe_p11_module_get(&token->module, token->uri.module_path);
    if (err)
        return err;
    token->calls = kfe_p11_module_calls(token->module);
    kfe_p11_pool_init(&token->pool);
    return connect(token);
}

kfe_error kfe_p11_token_open(kfe_p11_token **out, const kfe_config *config)
{
    kfe_p11_token *token = calloc(1, sizeof(*token));
    if (!token)
        return kfe_fail(KFE_E_MEMORY, "no memory for a token");
    kfe_p11_guard guard;
    kfe_p11_guard_enter(&guard);
    kfe_error err = token_init(token, config);
    if (err)
        token_free(token);
    else
        *out = token;
    kfe_p11_guard_leave(&guard);
    return err;
}

void kfe_p11_token_close(kfe_p11_token *token)
{
    /* In a child its locks may be held by threads that are not there: it is left alone. */
    if (token->pid != getpid())
        return;
    kfe_p11_guard guard;
    kfe_p11_guard_enter(&guard);
    token_free(token);
    kfe_p11_guard_leave(&guard);
}

void kfe_p11_token_info(kfe_p11_token *token, CK_TOKEN_INFO *out)
{
    pthread_mutex_lock(&token->lock);
    *out = token->info;
    pthread_mutex_unlock(&token->lock);
}

/* ---- Getting back what was lost ---------------------------------------------------- */

static kfe_error reconnect(kfe_p11_token *token)
{
    CK_SESSION_INFO info;
    CK_RV rv = token->anchor == CK_INVALID_HANDLE
                   ? CKR_SESSION_HANDLE_INVALID
                   : token->calls->C_GetSessionInfo(token->anchor, &info);
    if (rv == CKR_OK) {
        if (kfe_p11_session_has_login(token->calls, token->anchor))
            return KFE_OK; /* one session was lost, no more: its thread takes another */
        return log_in(token);
    }
    kfe_p11_pool_forget(&token->pool);
    if (rv == CKR_CRYPTOKI_NOT_INITIALIZED) {
        kfe_error err = kfe_p11_module_restart(token->module);
        if (err)
            return err;
    }
    token->anchor = CK_INVALID_HANDLE;
    return connect(token);
}

/* The first thread that notices does it for all who lost the same login. */
static kfe_error recover(kfe_p11_token *token, const kfe_p11_session *lost)
{
    pthread_mutex_lock(&token->lock);
    kfe_error err = token->logins == lost->logins ? reconnect(token) : KFE_OK;
    pthread_mutex_unlock(&token->lock);
    return err;
}

/* ---- Work --------------------------------------------------------------------------- */

static kfe_error session_open(kfe_p11_token *token, bool write, kfe_p11_session *session)
{
    pthread_mutex_lock(&token->lock);
    *session =
        (kfe_p11_session){.calls = token->calls, .slot = token->slot, .logins = token->logins};
    pthread_mutex_unlock(&token->lock);
    CK_RV rv;
    if (write)
        rv = token->calls->C_OpenSession(session->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                         NULL, &session->handle);
    else
        rv = kfe_p11_pool_take(&token->pool, token->calls, session->slot, &session->handle,
                               &session->epoch);
    return rv == CKR_OK ? KFE_OK : kfe_p11_session_fail(session, rv, "C_OpenSession");
}

static void session_close(kfe_p11_token *token, bool write, const kfe_p11_session *session)
{
    if (write)
        token->calls->C_CloseSession(session->handle);
    else
        kfe_p11_pool_give(&token->pool, token->calls, session->handle, session->epoch,
                          session->rv == CKR_OK);
}

/* What would cure this failure. A code that may mean bad data or a dead token costs a probe: only
 * a token that answers is asked again. */
static kfe_p11_cure cure_for(const kfe_p11_session *session, bool write, bool opened)
{
    kfe_p11_cure cure = kfe_p11_ckr_cure(session->rv);
    if (write) /* only what says for sure that nothing was done */
        return cure == KFE_P11_SESSION_LOST && session->rv != CKR_SESSION_CLOSED &&
                       !session->changed
                   ? cure
                   : KFE_P11_NO_CURE;
    if (cure == KFE_P11_AMBIGUOUS && (!opened || kfe_p11_session_probe(session) != CKR_OK))
        return KFE_P11_NO_CURE;
    return cure;
}

static kfe_error attempt(kfe_p11_token *token, bool write, kfe_p11_work *work, void *arg,
                         kfe_p11_session *session, kfe_p11_cure *cure)
{
    kfe_error err = session_open(token, write, session);
    bool opened = !err;
    if (opened)
        err = work(session, arg);
    *cure = err ? cure_for(session, write, opened) : KFE_P11_NO_CURE;
    if (opened)
        session_close(token, write, session);
    return err;
}

static kfe_error run(kfe_p11_token *token, bool write, kfe_p11_work *work, void *arg)
{
    if (token->pid != getpid())
        return kfe_fail(KFE_E_PROVIDER, "the process forked: this provider belongs to the parent, "
                                        "open another one in the child");
    kfe_p11_session session;
    kfe_p11_cure cure;
    kfe_p11_guard guard;
    kfe_p11_guard_enter(&guard);
    kfe_error err = attempt(token, write, work, arg, &session, &cure);
    /* Each cure once: after a logout a handle turns stale first, then the search finds nothing. */
    for (unsigned tried = 0; cure != KFE_P11_NO_CURE && !(tried & 1u << cure);) {
        tried |= 1u << cure;
        err = cure == KFE_P11_SESSION_LOST ? recover(token, &session) : KFE_OK;
        if (err)
            break;
        err = attempt(token, write, work, arg, &session, &cure);
    }
    kfe_p11_guard_leave(&guard);
    return err;
}

kfe_error kfe_p11_token_read(kfe_p11_token *token, kfe_p11_work *work, void *arg)
{
    return run(token, false, work, arg);
}

kfe_error kfe_p11_token_write(kfe_p11_token *token, kfe_p11_work *work, void *arg)
{
    return run(token, true, work, arg);
}
