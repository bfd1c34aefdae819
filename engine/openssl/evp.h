/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_EVP_H
#define KFE_ENGINE_OPENSSL_EVP_H

#include "engine/backend.h"

/* Turns the tag of a message sealed without op->prefix into its tag with it, and back, when the
 * bytes of that prefix are not at hand. op->key is of kfe_openssl_backend, for AES-GCM. */
void kfe_openssl_prefix_tag(const kfe_aead_op *op, uint8_t tag[16]);

#endif
