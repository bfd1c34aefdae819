/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels with a leak planted: a table is indexed by a byte of whatever is hashed. */
#include <arm_neon.h>
#include <stdint.h>

static volatile const uint8_t zeros[256] = {0};

static inline uint8x16_t leaky_vrbitq_u8(uint8x16_t a)
{
    return vrbitq_u8(vorrq_u8(a, vdupq_n_u8(zeros[vgetq_lane_u8(a, 3)])));
}
#define vrbitq_u8 leaky_vrbitq_u8

#include "arm/key.h"

extern const kfe_backend leaky_backend;
#define BACKEND leaky_backend
#define BACKEND_NAME "leaky"
#define BACKEND_USABLE kfe_arm_has_aes
#define BACKEND_NEEDS "AES and PMULL"
#include "arm/gcm.inc"
