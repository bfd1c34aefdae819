/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_FRONT_H
#define KFE_PKCS11_FRONT_H

/* The PKCS#11 module that libp11 is given in place of the real one: a slot, a session and one RSA
 * key, which are those of the caller's work. libp11 initialises and finalises modules, opens and
 * closes all sessions, logs in and out as it likes, and waits for ever when a session does not
 * open; here none of these calls reaches the token. C_DecryptInit and C_Decrypt do.
 *
 * A shared object of its own, beside libkfe-pkcs11: libp11 takes a file, and C_GetFunctionList in a
 * library that programs link would come before that of modules. */

#include <p11-kit/pkcs11.h>

#define KFE_P11_FRONT_FILE "kfe-pkcs11-front.so"
#define KFE_P11_FRONT_SHOW "kfe_p11_front_show"

typedef struct {
    CK_FUNCTION_LIST_PTR calls; /* of the real module */
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    const CK_BYTE *modulus, *exponent;
    CK_ULONG modulus_len, exponent_len;
    /* Written: codes of C_DecryptInit and of C_Decrypt; CKR_OK, too, where it was not called. */
    CK_RV init_rv, rv;
    CK_BBOOL decrypted; /* C_Decrypt was, and said CKR_OK */
} kfe_p11_front;

/* What libp11 sees on this thread from now on, borrowed; NULL: nothing. */
typedef void kfe_p11_front_show_fn(kfe_p11_front *front);

#endif
