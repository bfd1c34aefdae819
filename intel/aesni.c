/* SPDX-License-Identifier: Apache-2.0 */
#include "intel/vec128.h"

#include "intel/backend.inc"

const kfe_backend kfe_aesni_backend =
    GCM_BACKEND("aesni", kfe_intel_has_aesni, "AES-NI, PCLMULQDQ and SSE4.1");
