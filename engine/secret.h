/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_SECRET_H
#define KFE_ENGINE_SECRET_H

/* Memory for secrets, and what goes with it. Behind <kfe/secret.h> is one arena per process: locked
 * (mlock), left out of core dumps (MADV_DONTDUMP), zero in every forked child (MADV_WIPEONFORK),
 * with a guard page at each end of every slab.
 *
 * All of the arena's own state lives in a wipe-on-fork page too: a child starts with an empty,
 * unlocked arena, whatever its parent's other threads were doing. A block that a parent
 * allocated reads as zeros there; giving it to kfe_secret_free() is harmless. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kfe/config.h>
#include <kfe/secret.h>

/* Text with keys in it, of any size: pages of its own, left out of core dumps and wiped in a child,
 * locked where the limit allows. Not aligned to more than 16 bytes. NULL: KFE_E_MEMORY. */
void *kfe_secret_text(size_t len);
void kfe_secret_text_free(void *text); /* wipes; NULL is fine */

/* True when equal; time depends on `len` only. */
bool kfe_equal_ct(const void *a, const void *b, size_t len);

/* `len` bytes from getrandom(2). KFE_E_RANDOM; never a partial result. */
kfe_error kfe_random(void *out, size_t len);

#endif
