/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_AEAD_H
#define KFE_ENGINE_AEAD_H

/* What stands between the backends and who calls them: <kfe/gcm.h> and the record path. */

#include "engine/backend.h"

/* Expands into `key`: zeroed memory of backend->key_size bytes, aligned to 64, which the caller
 * wipes. */
kfe_error kfe_aead_key_expand(kfe_aead_key *key, const kfe_backend *backend,
                              const struct kfe_crypto *crypto, unsigned suite, const uint8_t *raw);

/* A key in memory of the heap, aligned to 64: a forked child has it too. With `crypto` NULL,
 * OpenSSL is the process's own (kfe_crypto_shared()). */
kfe_error kfe_aead_key_new_plain(kfe_aead_key **out, const kfe_backend *backend,
                                 const struct kfe_crypto *crypto, unsigned suite,
                                 const uint8_t *raw);
void kfe_aead_key_free_plain(kfe_aead_key *key); /* wipes; NULL is fine */

/* Runs a batch whatever backends its keys belong to, in their order, by portions of 64; nothing is
 * allocated. KFE_OK also when some are forged, as backend->open. After an error every out is zero.
 * `bytes`: op.prefix is the first member of a kfe_prefix; else it is the state alone, and
 * OpenSSL's tags are corrected for it. */
typedef struct {
    bool seal, bytes;
} kfe_aead_mode;
kfe_error kfe_aead_run_mixed(const kfe_aead_batch *batch, kfe_aead_mode mode);

/* *good: the backend gives the answers that it has to give, in batches, one by one and in pieces.
 * KFE_E_MEMORY: it was not asked. */
kfe_error kfe_known_answers(const kfe_backend *backend, const struct kfe_crypto *crypto,
                            bool *good);

#endif
