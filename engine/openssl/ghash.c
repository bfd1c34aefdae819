/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/openssl/ghash.h"

#include <kfe/config.h>

/* An element of GF(2^128): the standard's bit 0 is the highest of `hi`. */
typedef struct {
    uint64_t hi, lo;
} element;

static element load(const uint8_t bytes[16])
{
    element e = {0, 0};
    for (int i = 0; i < 8; i++) {
        e.hi = e.hi << 8 | bytes[i];
        e.lo = e.lo << 8 | bytes[8 + i];
    }
    return e;
}

static void store(uint8_t bytes[16], element e)
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(e.hi >> (56 - 8 * i));
        bytes[8 + i] = (uint8_t)(e.lo >> (56 - 8 * i));
    }
}

/* The schoolbook's way, a bit of `a` per step: `b` is multiplied by x as it goes. */
static element times(element a, element b)
{
    element sum = {0, 0};
    for (int i = 0; i < 128; i++) {
        uint64_t take = 0 - (a.hi >> 63), over = 0 - (b.lo & 1);
        sum.hi ^= b.hi & take;
        sum.lo ^= b.lo & take;
        a.hi = a.hi << 1 | a.lo >> 63;
        a.lo <<= 1;
        b.lo = b.lo >> 1 | b.hi << 63;
        b.hi = b.hi >> 1 ^ (over & 0xe100000000000000u);
    }
    return sum;
}

void kfe_ghash(const uint8_t h[16], uint8_t state[16], const uint8_t *data, size_t blocks)
{
    element key = load(h), sum = load(state);
    for (; blocks > 0; blocks--, data += 16) {
        element block = load(data);
        sum = times((element){sum.hi ^ block.hi, sum.lo ^ block.lo}, key);
    }
    store(state, sum);
    kfe_wipe(&key, sizeof(key));
}

void kfe_ghash_zeros(const uint8_t h[16], uint8_t state[16], uint64_t n)
{
    element power = load(h), sum = load(state);
    for (; n > 0; n >>= 1) {
        if ((n & 1) != 0)
            sum = times(sum, power);
        if (n > 1)
            power = times(power, power);
    }
    store(state, sum);
    kfe_wipe(&power, sizeof(power));
}
