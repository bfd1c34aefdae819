/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_PROBE_H
#define KFE_INTEL_PROBE_H

/* Can this CPU, under this system, run a backend? Every feature that its file is compiled for is
 * looked at, for masks of hypervisors and emulators need not make sense. */

#include <stdbool.h>

bool kfe_intel_has_aesni(void);
bool kfe_intel_has_vaes256(void);
bool kfe_intel_has_vaes512(void);

#endif
