/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_ADMIN_H
#define KFE_PKCS11_ADMIN_H

/* What `kfe keys` does to a token; the contracts are those of <kfe/keys.h>. */

#include <kfe/keys.h>

#include "pkcs11/token.h"

/* By name, then version; destroyed versions too, whose `where` is NULL. */
kfe_error kfe_p11_admin_list(kfe_p11_token *token, kfe_key_each *each, void *arg);
/* KFE_E_ARGUMENT: the name was used before, be it by a destroyed key. */
kfe_error kfe_p11_admin_create(kfe_p11_token *token, const char *name, kfe_key_purpose purpose);
/* The version after the highest ever used, for the same kind of sessions as the newest that is
 * there. KFE_E_KEY_UNKNOWN: no such name. */
kfe_error kfe_p11_admin_rotate(kfe_p11_token *token, const char *name, uint32_t *version);
/* Forward only. Destroying writes the marker, then destroys the object: cut off between the two,
 * the version counts as destroyed and the same call finishes the work. */
kfe_error kfe_p11_admin_set_state(kfe_p11_token *token, const kfe_key_ref *ref,
                                  kfe_key_state state);

#endif
