/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_GHASH_H
#define KFE_ENGINE_OPENSSL_GHASH_H

/* GHASH (SP 800-38D, 6.4) in plain C, for what EVP keeps to itself: no table, no branch and no
 * address depends on data. Slow; a message's text never comes here. `h` is the hash key, 16 bytes
 * as the standard writes them. */

#include <stddef.h>
#include <stdint.h>

/* state = (state ^ block) * H for each of `blocks` blocks of 16 bytes. */
void kfe_ghash(const uint8_t h[16], uint8_t state[16], const uint8_t *data, size_t blocks);

/* state = state * H^n: what n blocks of zeros make of it, in a time that goes with log n. The time
 * depends on n. */
void kfe_ghash_zeros(const uint8_t h[16], uint8_t state[16], uint64_t n);

#endif
