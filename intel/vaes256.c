/* SPDX-License-Identifier: Apache-2.0 */
#include "intel/vec256.h"

#include "intel/backend.inc"

const kfe_backend kfe_vaes256_backend =
    GCM_BACKEND("vaes256", kfe_intel_has_vaes256, "AVX2, BMI2, VAES and VPCLMULQDQ");
