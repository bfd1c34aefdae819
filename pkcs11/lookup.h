/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_LOOKUP_H
#define KFE_PKCS11_LOOKUP_H

/* From a KeyReference to the one key object that may be used for it. */

#include "pkcs11/catalog.h"
#include "pkcs11/secretkey.h"

/* ref->version 0: the current one, the highest that is active. KFE_E_KEY_UNKNOWN,
 * KFE_E_KEY_DESTROYED; KFE_E_KEY_DENIED: two objects carry that name and version, the object is
 * no good master key (secretkey.h), or every version is retired. `use` may be NULL.
 *
 * It costs one search, also of a key that somebody made up. One that is `expected`, as it was there
 * or somebody configured it, is searched for more thoroughly before it is said to be unknown: that
 * it is being destroyed may have escaped the first look (catalog.h). */
kfe_error kfe_p11_lookup(kfe_p11_session *session, const kfe_key_ref *ref, bool expected,
                         kfe_p11_entry *out, kfe_p11_use *use);

/* Raises KFE_E_KEY_DENIED for an entry with several objects, naming it. */
kfe_error kfe_p11_ambiguous(const kfe_p11_entry *entry);

#endif
