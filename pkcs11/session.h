/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_SESSION_H
#define KFE_PKCS11_SESSION_H

/* A PKCS#11 session, lent to one thread for one piece of work. */

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include <kfe/error.h>

typedef struct {
    CK_FUNCTION_LIST_PTR calls;
    CK_SESSION_HANDLE handle;
    CK_SLOT_ID slot;
    uint64_t logins; /* object handles found under another number are stale */
    bool allow_rsa;  /* keys of RSA may be used: encryption.keyprovider.pkcs11.allow.rsa */
    bool sure;       /* false: handles may be stale in spite of it, find objects each time */
    CK_RV rv;        /* the first code that was not CKR_OK; decides on a second try */
    CK_RV doubt;     /* a code that may mean anything, and was taken for bad data; CKR_OK: none */
    bool changed;    /* something was written to the token: no second try */
    bool advanced; /* a part of the work was done for good: what was cured before may come again */
    /* kfe_p11_microseconds(): work that can be cut ends then, to be gone on with. */
    uint64_t enough;
    /* The session that lives as long as the login does; CK_INVALID_HANDLE but on the control
     * thread, whose it is. */
    CK_SESSION_HANDLE anchor;
    CK_OBJECT_HANDLE used; /* by object.c: the handle that the work was given */
} kfe_p11_session;

/* Remembers `rv` in the session and raises it (<pkcs11/ckr.h>). */
kfe_error kfe_p11_session_fail(kfe_p11_session *session, CK_RV rv, const char *call);

/* CKR_OK when the token answers and, where it asks for a login, we are logged in; of a session that
 * could not be opened the token alone is looked at. Without a login a search finds nothing and
 * reports no error, so "not found" is only believed after this. */
CK_RV kfe_p11_session_probe(const kfe_p11_session *session);

/* True for a code of an opening call that tells of its data: by itself, or as a token that answers
 * does not say more; session->doubt becomes the code for the latter, which asks for more (known.h).
 */
bool kfe_p11_bad_data(kfe_p11_session *session, CK_RV rv);

/* KFE_OK when "not found" is to be believed, else the error to give instead. */
kfe_error kfe_p11_session_verify(kfe_p11_session *session);

/* True in a session whose user is logged in. */
bool kfe_p11_session_has_login(CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE handle);

/* Before what may have been a moment's weakness of the token is tried again. */
void kfe_p11_pause_before_retry(void);

#endif
