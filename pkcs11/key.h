/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_KEY_H
#define KFE_PKCS11_KEY_H

/* The kfe_key that stands for a key object. */

#include <kfe/keys.h>

#include "pkcs11/token.h"

/* Finds it (lookup.h; version 0: the current one). `token` must outlive the key. */
kfe_error kfe_p11_key_new(kfe_key **out, kfe_p11_token *token, const kfe_key_ref *ref);

#endif
