/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_RSA_H
#define KFE_PKCS11_RSA_H

/* Session secrets wrapped by RSAES-OAEP with SHA-256, MGF1 with SHA-256 and no label: form 3 of
 * docs/format.md, 5.4. The key is the private half, in the token; what is public of it is read from
 * that object, which shows to who is logged in alone, and encrypts in this process.
 *
 * Whoever knows modulus and exponent can make sessions that open: nothing proves who wrapped. */

#include <kfe/keys.h>

#include "pkcs11/session.h"

#define KFE_P11_ALLOW_RSA_OPTION "encryption.keyprovider.pkcs11.allow.rsa"

enum { KFE_P11_RSA_MIN = 256, KFE_P11_RSA_MAX = 512, KFE_P11_RSA_MADE_BITS = 3072 };

/* Big endian, the modulus without leading zeros. */
typedef struct {
    uint8_t modulus[KFE_P11_RSA_MAX + 1], exponent[8]; /* one more for a zero in front */
    CK_ULONG modulus_len, exponent_len;
} kfe_p11_rsa_public;

/* KFE_E_KEY_DENIED: it tells none, or not of 2048 to 4096 bits. */
kfe_error kfe_p11_rsa_public_read(kfe_p11_session *session, CK_OBJECT_HANDLE key,
                                  kfe_p11_rsa_public *out);

/* Makes a pair of 3072 bits: the private half as secretkey.h wants keys, with CKA_DECRYPT and no
 * other usage; of the public half nothing stays but what the private one has. */
kfe_error kfe_p11_rsa_create(kfe_p11_session *session, const kfe_key_ref *ref);

/* The whole wrapped secret, its first byte included. Makes one call of the token, which reads. */
kfe_error kfe_p11_rsa_wrap(kfe_p11_session *session, CK_OBJECT_HANDLE key, const uint8_t secret[32],
                           uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len);

/* By the token's own CKM_RSA_PKCS_OAEP; when it does not take SHA-256 there, *raw becomes true, and
 * rsa_evp.h is asked, as it is at once where *raw is true before. KFE_E_AUTH: it does not unwrap to
 * 32 bytes, which is one error whatever the reason. */
kfe_error kfe_p11_rsa_unwrap(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_bytes wrapped,
                             bool *raw, uint8_t secret[32]);

#endif
