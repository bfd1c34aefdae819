/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_TALLY_H
#define KFE_ENGINE_TALLY_H

/* How many fields this process has sealed by a key of the direct kind: by its name and version,
 * over all engines and sessions, for the life of the process. All producers share the 2^32 random
 * IVs that a key may have; each takes 2^26 of them at most. A child goes on from what its parent
 * had counted. Thread-safe. */

#include <stdbool.h>
#include <stdint.h>

#include <kfe/error.h>

enum { KFE_TALLY_MAX = 1 << 26, KFE_TALLIES_MAX = 1 << 16 };

typedef struct kfe_tally kfe_tally;

/* That of a key; never freed. KFE_E_MEMORY; KFE_E_KEY_EXHAUSTED: too many keys are counted. */
kfe_error kfe_tally_of(kfe_tally **out, const char *name, uint32_t version);

/* Counts `n` fields; false when that is more than are left, which then stays so. */
bool kfe_tally_take(kfe_tally *tally, uint64_t n);

#endif
