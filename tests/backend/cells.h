/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BACKEND_CELLS_H
#define TESTS_BACKEND_CELLS_H

/* Buffers, each in a cell of its own between pages that cannot be touched: at the cell's start, at
 * its end or somewhere within. What lies beside a buffer is set, and looked at afterwards. Not for
 * several threads at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cells cells;

/* Room for `small` buffers of up to CELL_SMALL bytes and `large` ones of up to `max` bytes at the
 * same time. Exits the program when there is no memory. */
enum { CELL_SMALL = 4096 };
cells *cells_new(uint64_t seed, size_t small, size_t large, size_t max);
void cells_free(cells *all);

uint32_t cells_below(cells *all, uint32_t n); /* chance, from the seed */

void cells_clear(cells *all); /* no buffer is in use */

/* A buffer that begins at a multiple of `align`. */
void *cells_take(cells *all, size_t len, size_t align);

/* A buffer of these bytes (`from` NULL: of 0xee), at any address. At times NULL for none of them.
 */
void *cells_copy(cells *all, const void *from, size_t len);

bool cells_intact(const cells *all); /* nothing was written beside a buffer in use */

#endif
