/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BACKEND_RSP_H
#define TESTS_BACKEND_RSP_H

/* Reads vector files: NIST's CAVP .rsp (`[Name = 128]` above, `Name = hex` lines, a word FAIL), and
 * the ones like them of other makers (`NAME= "text"`, `Result = ...`). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RSP_VALUE_MAX = 2048 };

typedef struct {
    uint8_t bytes[RSP_VALUE_MAX];
    size_t len;
    bool given;
} rsp_value;

/* The values of one vector, by what they are, whatever the file calls them. */
typedef struct {
    rsp_value key, nonce, aad, plain, sealed, tag;
    bool fails; /* the file says that it must be refused */
} rsp_vector;

typedef void rsp_each(void *arg, const rsp_vector *vector);

/* Calls `each` for every vector. False: the file cannot be read, or a line is not understood;
 * `line` tells which. */
bool rsp_read(const char *path, rsp_each *each, void *arg, unsigned *line);

#endif
