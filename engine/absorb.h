/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_ABSORB_H
#define KFE_ENGINE_ABSORB_H

/* The GHASH state of each record's P, under each group's key. States tell of the key: they go with
 * the call. */

#include "engine/plan.h"

/* For this call: hashes what of P is the same for all of a plan's records. */
kfe_error kfe_absorb_begin(kfe_plan *plan, kfe_work *work);

/* One record's P, by its bytes; `counter` is the group's, as it stands in them. Where
 * plan->steps is set the bytes are the plan's own, and may hold another record's counter. */
typedef struct {
    uint8_t *bytes;
    uint32_t len;
    uint64_t counter;
} kfe_absorb_p;
void kfe_absorb(const kfe_plan *plan, const kfe_group *group, const kfe_aead_key *key,
                const kfe_absorb_p *p, uint8_t state[16]);

#endif
