/* SPDX-License-Identifier: Apache-2.0 */
/* The same kernels for CPUs that xor three vectors in one instruction. */
#define BACKEND kfe_armv8_eor3_backend
#define BACKEND_NAME "armv8-eor3"
#define BACKEND_USABLE kfe_arm_has_eor3
#define BACKEND_NEEDS "AES, PMULL and SHA3"
#include "arm/gcm.inc"
