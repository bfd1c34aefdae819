/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_MARK_H
#define KFE_PKCS11_MARK_H

/* Tells whether session and object handles still mean what they did. An application may finalise
 * and initialise the module by itself: all our handles are void then, and their numbers soon belong
 * to other sessions and objects, which nothing in PKCS#11 shows. So a session object with a random
 * label is made at login: whoever comes later cannot have one like it. It is a data object, or
 * where the token knows none a secret key that nobody uses. */

#include "pkcs11/session.h"

#define KFE_P11_MARK_NAME "kfe login" /* its CKA_APPLICATION, or CKA_ID */

enum { KFE_P11_MARK_LEN = 32 };

typedef struct {
    CK_OBJECT_HANDLE object; /* CK_INVALID_HANDLE: the token takes neither */
    CK_BYTE label[KFE_P11_MARK_LEN];
} kfe_p11_mark;

/* Makes one in that session: it goes with the session, a private one also with the login. A token
 * that refuses leaves `object` invalid, which is no error. KFE_E_RANDOM. */
kfe_error kfe_p11_mark_make(kfe_p11_mark *mark, CK_FUNCTION_LIST_PTR calls,
                            CK_SESSION_HANDLE session, bool private);

/* CKR_OK when it is there, or was never made. CKR_OBJECT_HANDLE_INVALID: it is gone, or the handle
 * is another object's. Else what the module says. */
CK_RV kfe_p11_mark_check(const kfe_p11_mark *mark, CK_FUNCTION_LIST_PTR calls,
                         CK_SESSION_HANDLE session);

#endif
