/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_SECRETKEY_H
#define KFE_PKCS11_SECRETKEY_H

/* Keys as objects in the token: CKO_SECRET_KEY (or the private half of an RSA pair), private,
 * sensitive, never extractable. CKA_LABEL is the key's name, CKA_ID tells its version (id.h). What
 * else an object is decides what
 * kind of sessions it makes:
 *
 *   derived   CKK_GENERIC_SECRET, 32 bytes, CKA_SIGN: CKM_SHA256_HMAC
 *   wrapped   CKK_AES, 32 bytes, CKA_DECRYPT (and CKA_ENCRYPT to seal): CKM_AES_GCM;
 *             or CKA_UNWRAP (and CKA_WRAP to seal): CKM_AES_KEY_WRAP;
 *             or CKO_PRIVATE_KEY, CKK_RSA, 2048 to 4096 bits, CKA_DECRYPT (rsa.h), if allowed
 *   direct    CKK_AES, 16 or 32 bytes, CKA_DECRYPT (and CKA_ENCRYPT): CKM_AES_GCM */

#include <kfe/keys.h>

#include "pkcs11/session.h"

enum { KFE_P11_KEY_LEN = 32, KFE_P11_SHORT_LEN = 16 };

/* What it is and may. */
typedef struct {
    CK_KEY_TYPE type;
    CK_ULONG len; /* RSA: of the modulus */
    bool sign, encrypt, decrypt, wrap, unwrap;
} kfe_p11_use;

/* KFE_E_KEY_DENIED unless the object is such a key; the detail tells what is wrong with it. `use`
 * may be NULL, and is written for one that is refused, too. */
kfe_error kfe_p11_secretkey_look(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                                 const kfe_key_ref *ref, kfe_p11_use *use);

/* What such a key may be made for. */
typedef enum {
    KFE_P11_MAKE_DERIVED,
    KFE_P11_MAKE_WRAPPED,    /* by CKM_AES_GCM */
    KFE_P11_MAKE_KEY_WRAP,   /* wrapped by CKM_AES_KEY_WRAP, for tokens without CKM_AES_GCM */
    KFE_P11_MAKE_DIRECT,     /* for A256GCM */
    KFE_P11_MAKE_DIRECT_128, /* for A128GCM */
    KFE_P11_MAKE_RSA,        /* wrapped by RSA-OAEP */
} kfe_p11_make;

/* What to make for that purpose in this token (direct: for A256GCM). */
kfe_p11_make kfe_p11_secretkey_make_for(kfe_p11_session *session, kfe_key_purpose purpose);
/* What to make to have another key like that one: for the next version of a name. */
kfe_p11_make kfe_p11_secretkey_make_like(const kfe_p11_use *use);

/* Generates one of these but RSA inside the token, with the usages of its kind and no other (needs
 * a read-write session). */
kfe_error kfe_p11_secretkey_create(kfe_p11_session *session, const kfe_key_ref *ref,
                                   kfe_p11_make kind);

/* out = HMAC-SHA-256(key, in), computed by the token; zero after a failure. */
kfe_error kfe_p11_secretkey_mac(kfe_p11_session *session, CK_OBJECT_HANDLE key, const uint8_t *in,
                                size_t len, uint8_t out[32]);

#endif
