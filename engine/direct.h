/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_DIRECT_H
#define KFE_ENGINE_DIRECT_H

/* A key that seals where it is, in the dress of a backend: messages of a direct session go through
 * the record path like all others, but that op.tag has room for the IV before the tag, and op.nonce
 * is not looked at. Opening, a key that fails fails its own messages alone, as the error of their
 * prefix says: others of the batch have nothing to do with its token. */

#include <kfe/keys.h>

#include "engine/backend.h"

/* `key` is borrowed; iv_len is that of the IVs it will write, or of those it has to read.
 * kfe_aead_key_free() it. */
kfe_error kfe_direct_key_new(kfe_aead_key **out, kfe_key *key, unsigned iv_len);

#endif
