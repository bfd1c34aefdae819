/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/session.h"

#include <time.h>

#include "pkcs11/ckr.h"

enum { PAUSE_MS = 20 };

kfe_error kfe_p11_session_fail(kfe_p11_session *session, CK_RV rv, const char *call)
{
    if (session->rv == CKR_OK)
        session->rv = rv;
    return kfe_p11_ckr_fail(rv, call);
}

CK_RV kfe_p11_session_probe(const kfe_p11_session *session)
{
    CK_SESSION_INFO info;
    CK_TOKEN_INFO token;
    const bool none = session->handle == CK_INVALID_HANDLE;
    CK_RV rv = none ? CKR_OK : session->calls->C_GetSessionInfo(session->handle, &info);
    if (rv == CKR_OK)
        rv = session->calls->C_GetTokenInfo(session->slot, &token);
    if (rv != CKR_OK || none)
        return rv;
    bool user = info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
    return (token.flags & CKF_LOGIN_REQUIRED) && !user ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

/* A vendor's code, or one that no table has, may mean anything, too. */
static bool tells_nothing(CK_RV rv)
{
    kfe_p11_cure cure = kfe_p11_ckr_cure(rv);
    return cure == KFE_P11_AMBIGUOUS ||
           (cure == KFE_P11_NO_CURE && kfe_p11_ckr_error(rv) == KFE_E_PROVIDER);
}

bool kfe_p11_bad_data(kfe_p11_session *session, CK_RV rv)
{
    session->doubt = CKR_OK;
    if (kfe_p11_ckr_blames_data(rv))
        return true;
    if (tells_nothing(rv) && kfe_p11_session_probe(session) == CKR_OK)
        session->doubt = rv;
    return session->doubt != CKR_OK;
}

kfe_error kfe_p11_session_verify(kfe_p11_session *session)
{
    CK_RV rv = kfe_p11_session_probe(session);
    return rv == CKR_OK ? KFE_OK : kfe_p11_session_fail(session, rv, "a look at the token");
}

bool kfe_p11_session_has_login(CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE handle)
{
    CK_SESSION_INFO info;
    return calls->C_GetSessionInfo(handle, &info) == CKR_OK &&
           (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS);
}

void kfe_p11_pause_before_retry(void)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    nanosleep(&pause, NULL);
}
