/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_KEK_H
#define KFE_PKCS11_KEK_H

/* Session secrets wrapped by an AES-256 key that never leaves the token (docs/format.md, 5.4):
 * form 2, a small AES-GCM envelope, is preferred, as the secret is no object in the token then and
 * the whole context is bound; form 1 is RFC 3394 (CKM_AES_KEY_WRAP). */

#include <kfe/keys.h>

#include "pkcs11/gcm.h"
#include "pkcs11/session.h"

enum { KFE_P11_SECRET_LEN = 32, KFE_P11_RFC3394_LEN = 40 };

/* Both write or read the whole wrapped secret, its first byte included. Secrets come and go in
 * memory for secrets (<kfe/secret.h>). */
kfe_error kfe_p11_kek_wrap_gcm(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_bytes aad,
                               const uint8_t secret[KFE_P11_SECRET_LEN],
                               uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len);
kfe_error kfe_p11_kek_wrap_rfc3394(kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                                   const uint8_t secret[KFE_P11_SECRET_LEN],
                                   uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len);

/* A secret wrapped in form 2 as a message to be opened; `out` and `work` are the caller's to add.
 */
void kfe_p11_kek_message(kfe_bytes aad, const uint8_t *wrapped, kfe_p11_message *m);

/* KFE_E_AUTH, in the same words for every form and reason: a forger learns nothing from them. */
kfe_error kfe_p11_kek_refused(void);

/* KFE_E_AUTH: it does not unwrap to 32 bytes. KFE_E_KEY_DENIED: form 3, or the key may not. */
kfe_error kfe_p11_kek_unwrap(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_bytes aad,
                             kfe_bytes wrapped, uint8_t secret[KFE_P11_SECRET_LEN]);

#endif
