/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_DIRECT_H
#define KFE_PKCS11_DIRECT_H

/* Fields sealed and opened by a key in the token, which never leaves it: the seal(), open() and
 * iv_size() of <kfe/keys.h>. Works with the key's session copy where the token makes one. Some
 * fields at a time in one session. Any thread. */

#include "pkcs11/object.h"
#include "pkcs11/token.h"

/* How long the IVs are that the token uses: asked once a login, by sealing a few bytes. */
kfe_error kfe_p11_direct_iv_size(kfe_p11_token *token, kfe_p11_object *object, bool opens,
                                 unsigned *len);
kfe_error kfe_p11_direct_seal(kfe_p11_token *token, kfe_p11_object *object, kfe_key_field *fields,
                              size_t n);
kfe_error kfe_p11_direct_open(kfe_p11_token *token, kfe_p11_object *object, kfe_key_field *fields,
                              size_t n);

#endif
