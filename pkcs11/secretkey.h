/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_SECRETKEY_H
#define KFE_PKCS11_SECRETKEY_H

/* A master key as an object in the token: CKO_SECRET_KEY, CKK_GENERIC_SECRET, 32 bytes, private,
 * sensitive, never extractable, for CKM_SHA256_HMAC. CKA_LABEL is the key's name, CKA_ID its
 * version in 4 bytes, big endian. */

#include <kfe/keys.h>

#include "pkcs11/session.h"

enum { KFE_P11_KEY_LEN = 32 };

/* KFE_E_KEY_DENIED unless the object is such a key; the detail tells what is wrong with it. */
kfe_error kfe_p11_secretkey_check(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                                  const kfe_key_ref *ref);

/* Generates one inside the token (needs a read-write session). */
kfe_error kfe_p11_secretkey_create(kfe_p11_session *session, const kfe_key_ref *ref,
                                   CK_OBJECT_HANDLE *out);

/* out = HMAC-SHA-256(key, in), computed by the token; zero after a failure. */
kfe_error kfe_p11_secretkey_mac(kfe_p11_session *session, CK_OBJECT_HANDLE key, const uint8_t *in,
                                size_t len, uint8_t out[32]);

#endif
