/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_KEY_H
#define KFE_INTEL_KEY_H

/* The expanded key of all three backends for x86-64. */

#include <string.h>

#include "engine/backend.h"

enum {
    GCM_POWERS = 80, /* of H; what needs more reduces in between */
    GCM_POWERS_ROOM = 4,
    GCM_ROUNDS_MAX = 14,
};

typedef struct {
    kfe_aead_key base;
    uint32_t rounds; /* 10, 12 or 14 */
    _Alignas(64) uint8_t round_key[GCM_ROUNDS_MAX + 1][16];
    /* power[GCM_POWERS - k] is H^k, so that they fall as addresses rise, like the exponents of a
     * message's blocks. Byte-reversed and multiplied by x, as v_reduce() wants one factor.
     * Zeros behind H^1: a vector may begin at any power. */
    _Alignas(64) uint8_t power[GCM_POWERS + GCM_POWERS_ROOM][16];
    /* Both halves of a power xored, twice: Karatsuba's third factor, at the same index. */
    _Alignas(64) uint8_t fold[GCM_POWERS + GCM_POWERS_ROOM][16];
} gcm_key;

/* From a power to its fold. */
#define GCM_FOLD (offsetof(gcm_key, fold) - offsetof(gcm_key, power))

static inline const uint8_t *gcm_power(const gcm_key *key, size_t k)
{
    return key->power[GCM_POWERS - k];
}

#endif
