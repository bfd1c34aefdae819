/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_KEY_H
#define KFE_PKCS11_KEY_H

/* The kfe_key that stands for a key object. */

#include <kfe/keys.h>

#include "pkcs11/object.h"
#include "pkcs11/token.h"

typedef enum {
    KFE_P11_AUTO,
    KFE_P11_DERIVED,
    KFE_P11_WRAPPED,
    KFE_P11_DIRECT
} kfe_p11_session_kind;

/* What the keys of a provider have in common. */
typedef struct {
    kfe_p11_token *token;
    kfe_p11_objects objects;
    char *kinds; /* owned: encryption.keyprovider.pkcs11.session */
} kfe_p11_keys;

/* `token` is borrowed. KFE_E_MEMORY. */
kfe_error kfe_p11_keys_init(kfe_p11_keys *keys, kfe_p11_token *token, const kfe_config *config);
void kfe_p11_keys_wipe(kfe_p11_keys *keys); /* after every key was released */

/* What the configuration says of the key of that name. */
kfe_p11_session_kind kfe_p11_keys_kind(const kfe_p11_keys *keys, const char *name);

/* Finds it (lookup.h; version 0: the current one). `keys` must outlive the key. */
kfe_error kfe_p11_key_new(kfe_key **out, kfe_p11_keys *keys, const kfe_key_ref *ref);

#endif
