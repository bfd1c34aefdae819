/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

/* How fast this core can possibly be: its rates of AES rounds and carry-less products, measured
 * with independent chains, and the time that a message cannot go below. */

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    int bits;        /* of the vector: 128, 256, 512 */
    double aes, mul; /* ns an instruction; 0: this CPU has none of that width */
    double both;     /* ns for 10 rounds and 3 products in one loop */
} port_width;

typedef struct {
    double ghz; /* of the core, beside the other measurements; 0: nothing could be measured */
    port_width width[3];
} port_rates;

void port_measure(port_rates *rates, double repetition);

/* The least ns for a message of so many blocks of text and AAD (means are fine) under a key of
 * `rounds` rounds, every lane of every vector in use: (blocks + 1) * (rounds - 1) AES rounds, as
 * the first one can be kept for each counter value, and 3 products for each hashed block, as far as
 * they do not run beside the rounds. Counts no load, store, logic, shuffle or reduction. 0: not
 * known. */
double port_limit(const port_rates *rates, double blocks, double aad_blocks, unsigned rounds);

/* AVX-512, VAES and VPCLMULQDQ: where the bars are asked for. */
bool port_is_wide(void);

#endif
