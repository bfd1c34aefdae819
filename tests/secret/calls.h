/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_CALLS_H
#define TESTS_SECRET_CALLS_H

/* Runs one call on a stack of its own with known values in the registers that a callee must keep,
 * and looks at what it leaves: on that stack, in all vector registers, in the registers kept. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALL_STACK = 256 << 10, CALL_SECRETS_MAX = 16384 };

/* 16 bytes each; those without enough different bytes to be told from chance are left out. */
typedef struct {
    uint8_t bytes[CALL_SECRETS_MAX][16];
    const char *name[CALL_SECRETS_MAX];
    size_t n;
} call_secrets;

/* All whole 16 bytes from `at` on, and the same with their order reversed, as kernels hold them. */
void call_secret(call_secrets *secrets, const char *name, const void *at, size_t len);

/* A function of one argument: what is called. */
typedef void call_function(void *arg);

/* Two that leave something, for a test of the test: 16 bytes from `arg` on in a vector register, or
 * 32, so that its upper half is in use. */
call_function call_dirty_register, call_dirty_upper;

/* Runs it with all vector registers zero. NULL, or what it left behind; static storage. */
const char *call_watched(call_function *function, void *arg, const call_secrets *secrets);

#endif
