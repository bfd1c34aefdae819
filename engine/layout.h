/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_LAYOUT_H
#define KFE_ENGINE_LAYOUT_H

/* From a record and its plan to messages of the batch, and what becomes of it afterwards. */

#include "engine/engine.h"

/* Writes out[index] and the record's messages. `key` is the key as stored in K: the plaintext's,
 * or a deterministic one. *at moves on in the space; item->laid tells what was written there. */
kfe_error kfe_layout(const kfe_job *job, size_t index, kfe_bytes key, uint8_t **at);

/* After the backend: copies rows that were worked on elsewhere (item->text) back to the fields. */
void kfe_layout_scatter(const kfe_job *job, size_t index);

/* Zeroes everything that was written for a record that failed. */
void kfe_layout_blank(const kfe_job *job, size_t index);

#endif
