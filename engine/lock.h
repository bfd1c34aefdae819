/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_LOCK_H
#define KFE_ENGINE_LOCK_H

/* A lock whose free state is all zeros. Placed in wipe-on-fork memory (a block of
 * kfe_secret_alloc()), it is free in every forked child, also after a raw clone, whatever
 * the parent's other threads were doing. What it protects belongs into the same block, or must
 * be found stale by the child. Not recursive; not for use in signal handlers. */

#include <stdatomic.h>

typedef struct {
    atomic_uint state; /* 0 free, 1 taken, 2 taken and waited for */
} kfe_lock;

void kfe_lock_take(kfe_lock *lock);
void kfe_lock_drop(kfe_lock *lock);

#endif
