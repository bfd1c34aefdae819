/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM for every AArch64 with AES and PMULL. */
#define BACKEND kfe_armv8_backend
#define BACKEND_NAME "armv8"
#define BACKEND_USABLE kfe_arm_has_aes
#define BACKEND_NEEDS "AES and PMULL"
#include "arm/gcm.inc"
