/* SPDX-License-Identifier: Apache-2.0 */
#include "intel/vec512.h"

#include "intel/backend.inc"

const kfe_backend kfe_vaes512_backend =
    GCM_BACKEND("vaes512", kfe_intel_has_vaes512, "AVX-512 (F, BW, DQ, VL), VAES and VPCLMULQDQ");
