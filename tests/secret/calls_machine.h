/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_CALLS_MACHINE_H
#define TESTS_SECRET_CALLS_MACHINE_H

/* What calls.c needs of a machine: calls_intel.c, calls_arm.c. */

#include "tests/secret/calls.h"

/* Calls with all vector registers zero and known values in those that a callee must keep. */
void call_on_machine(call_function *function, void *arg);

/* Of the last call: NULL, or what it did that no callee may. */
const char *call_machine_fault(void);

/* All vector registers behind it. */
extern uint8_t call_image[];
extern size_t call_image_len;

#endif
