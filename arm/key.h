/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ARM_KEY_H
#define KFE_ARM_KEY_H

/* The expanded key of both backends for AArch64, and what they ask of the CPU. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend.h"

enum {
    GCM_POWERS = 54, /* of H; what needs more reduces in between */
    GCM_ROUNDS_MAX = 14,
};

/* Counter blocks that differ in their last byte alone differ, after the first round, in the first
 * 4 bytes alone, and that difference does not depend on the nonce. first[c] is the state after
 * round 1 of a block whose last byte is c, xored with that of the same block with 0 there; the
 * upper half, all zero, is left out. Indexed by the block counter, which is public. */
typedef struct {
    kfe_aead_key base;
    uint32_t rounds;  /* 10, 12 or 14 */
    uint64_t x128[2]; /* x^128 modulo the polynomial, twice; here, one load gets it */
    _Alignas(64) uint32_t words[4 * (GCM_ROUNDS_MAX + 1)]; /* the schedule: 4 make a round key */
    _Alignas(64) uint64_t first[256];
    /* power[GCM_POWERS - k] is H^k, so that they fall as addresses rise, like the exponents of a
     * message's blocks: bits in the order of the polynomial, then the same with halves exchanged.
     */
    _Alignas(64) uint64_t power[GCM_POWERS][4];
} gcm_key;

static inline const uint8_t *gcm_round_key(const gcm_key *key, unsigned round)
{
    return (const uint8_t *)(key->words + 4 * round);
}

/* Where H^k stands, with H^(k - 1) and all lower ones behind it; 1 <= k <= GCM_POWERS. */
static inline const uint64_t *gcm_power(const gcm_key *key, size_t k)
{
    return key->power[GCM_POWERS - k];
}

bool kfe_arm_has_aes(void);  /* AES and PMULL */
bool kfe_arm_has_eor3(void); /* those and EOR3 (SHA3) */

#endif
