/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_WRAPPING_H
#define KFE_PKCS11_WRAPPING_H

/* The wrap() and unwrap() of <kfe/keys.h> by a key in the token. An RSA key writes form 3 of
 * docs/format.md; of an AES key the first wrapping finds out which: the AES-GCM envelope where key
 * and token can, else RFC 3394. Any thread. */

#include "pkcs11/object.h"
#include "pkcs11/secretkey.h"
#include "pkcs11/token.h"

typedef struct {
    uint8_t bytes[KFE_KEY_WRAPPED_MAX];
    size_t len;
} kfe_p11_wrapped;

kfe_error kfe_p11_wrap(kfe_p11_token *token, kfe_p11_object *object, const kfe_p11_use *use,
                       kfe_bytes aad, const uint8_t secret[32], kfe_p11_wrapped *out);
kfe_error kfe_p11_unwrap(kfe_p11_token *token, kfe_p11_object *object, const kfe_p11_use *use,
                         kfe_bytes aad, kfe_bytes wrapped, uint8_t secret[32]);

#endif
