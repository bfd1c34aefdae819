/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_RSA_EVP_H
#define KFE_PKCS11_RSA_EVP_H

/* RSA-OAEP by libp11, for tokens whose own lacks SHA-256: the key is an EVP_PKEY, the token does
 * CKM_RSA_X_509, and OpenSSL takes the padding off in constant time. libp11 sees the token through
 * front/front.h alone. Any thread, and any number of them. */

#include "pkcs11/rsa.h"

/* As kfe_p11_rsa_unwrap(), of the bytes behind the first one. KFE_E_KEY_DENIED: the token does no
 * raw RSA either; KFE_E_CONFIG: the front is not installed. */
kfe_error kfe_p11_rsa_evp_open(kfe_p11_session *session, CK_OBJECT_HANDLE key,
                               const kfe_p11_rsa_public *public, const uint8_t *in, size_t len,
                               uint8_t secret[32]);

#endif
