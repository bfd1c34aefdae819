/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_COUNTER_H
#define KFE_ENGINE_COUNTER_H

/* The nonce counter of one sealing session, and what is left of its limits. Lives in wipe-on-fork
 * memory: in a child, also after a raw clone, it is dead, so no child ever draws what its parent
 * may draw. Thread-safe. */

#include <stdatomic.h>
#include <stdbool.h>

#include <kfe/error.h>

typedef struct {
    _Atomic uint64_t alive, next, fields, blocks;
} kfe_counter;

/* What sealing takes: envelopes draw a counter value each; fields are invocations of the cipher
 * (SP 800-38D section 8.3), blocks its 16-byte blocks. */
typedef struct {
    uint64_t envelopes, fields, blocks;
} kfe_use;

/* Hard limits; options only set lower, soft ones. */
#define KFE_HARD_FIELDS ((uint64_t)1 << 32)
#define KFE_HARD_BLOCKS ((uint64_t)1 << 36)
#define KFE_HARD_AGE_MS ((int64_t)24 * 3600 * 1000)

kfe_counter *kfe_counter_new(void); /* NULL: KFE_E_MEMORY */
void kfe_counter_free(kfe_counter *counter);

/* Leases use->envelopes counter values in one go: *first and the next ones, which nobody else gets.
 * KFE_E_KEY_EXHAUSTED: a hard limit, or this process is not the one that made it; nothing is drawn
 * then. */
kfe_error kfe_counter_draw(kfe_counter *counter, const kfe_use *use, uint64_t *first);

bool kfe_counter_alive(const kfe_counter *counter);
/* True when it has passed these (soft) limits. */
bool kfe_counter_past(const kfe_counter *counter, uint64_t fields, uint64_t bytes);

#endif
