/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_IMPORT_H
#define KFE_PKCS11_IMPORT_H

/* Master keys that come from outside of the token, or leave it wrapped (<kfe/keys.h>). Wrapped is
 * RFC 3394 (CKM_AES_KEY_WRAP), 40 bytes, under an AES key object of the token, which is found by
 * its CKA_LABEL: private, with CKA_WRAP to export and CKA_UNWRAP to import. */

#include <kfe/keys.h>

#include "pkcs11/token.h"

/* The key is destroyed in this process's copies, not in the caller's. */
kfe_error kfe_p11_import(kfe_p11_token *token, const char *name, const uint8_t key[32],
                         uint32_t *version);
kfe_error kfe_p11_import_wrapped(kfe_p11_token *token, const char *name, const char *kek,
                                 kfe_bytes wrapped, uint32_t *version);
/* *len: room, then bytes. KFE_E_KEY_DENIED: the key is not extractable, as are all that kfe makes;
 * or the token does not wrap it. */
kfe_error kfe_p11_export_wrapped(kfe_p11_token *token, const kfe_key_ref *ref, const char *kek,
                                 uint8_t *out, size_t *len);

#endif
