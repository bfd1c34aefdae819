/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_MARKER_H
#define KFE_PKCS11_MARKER_H

/* Key states in a token: a small private object beside the key, as dates and changes of a key's
 * attributes are not portable. CKA_LABEL is the key's name. A data object, where the token keeps
 * such: CKA_APPLICATION "kfe key state", CKA_VALUE "decrypt-only N" or "destroyed N" with N the
 * version in decimal. Else a secret key that may do nothing, whose CKA_ID tells both (id.h).
 * Markers are only ever added: of several for one version the furthest counts. */

#include <kfe/keys.h>

#include "pkcs11/session.h"

#define KFE_P11_MARKER_APPLICATION "kfe key state"

enum { KFE_P11_MARKER_MAX = 32 }; /* bytes of a text, and a NUL */

/* Returns the length, 0 for a state that has no marker (active). */
size_t kfe_p11_marker_format(kfe_key_state state, uint32_t version, char text[KFE_P11_MARKER_MAX]);
/* False: not exactly what kfe_p11_marker_format() writes. */
bool kfe_p11_marker_parse(const uint8_t *text, size_t len, kfe_key_state *state, uint32_t *version);

/* Adds a marker (needs a read-write session): a secret key when the token refuses the data object.
 */
kfe_error kfe_p11_marker_write(kfe_p11_session *session, const kfe_key_ref *ref,
                               kfe_key_state state);

#endif
