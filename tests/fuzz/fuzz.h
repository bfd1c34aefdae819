/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/* What fuzz targets share. A target is one function with libFuzzer's name; linked with replay.c it
 * runs over files instead. What must never happen ends the program, so that the input is kept. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program with a line that says what went wrong, unless it holds. */
void fuzz_want(int holds, const char *what);

/* A NUL-terminated copy in memory of its very size; free() it. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
