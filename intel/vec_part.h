/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_VEC_PART_H
#define KFE_INTEL_VEC_PART_H

/* Parts of a block where memory has no byte masks: two accesses that overlap, so that no byte
 * outside is touched. SSE4.1. Lengths are public. */

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Shifts of 0 to 64 bits, in bytes. */
static inline uint64_t shift_up(uint64_t a, size_t bytes)
{
    return a << (4 * bytes) << (4 * bytes);
}

static inline uint64_t shift_down(uint64_t a, size_t bytes)
{
    return a >> (4 * bytes) >> (4 * bytes);
}

/* The first `len` bytes, 0 to 16; zeros behind them. No other byte is touched. */
static inline __m128i part_load(const void *from, size_t len)
{
    const uint8_t *p = from;
    uint64_t low = 0, high = 0;
    if (len >= 8) {
        memcpy(&low, p, 8);
        memcpy(&high, p + len - 8, 8);
        high = shift_down(high, 16 - len);
    } else if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, p, 4);
        memcpy(&last, p + len - 4, 4);
        low = first | (uint64_t)last << (8 * (len - 4));
    } else if (len > 0) {
        low = p[0] | (uint64_t)p[len / 2] << (8 * (len / 2)) |
              (uint64_t)p[len - 1] << (8 * (len - 1));
    }
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

/* 12 bytes; zeros behind them. */
static inline __m128i nonce_load(const void *from)
{
    uint32_t last;
    memcpy(&last, (const uint8_t *)from + 8, 4);
    return _mm_insert_epi32(_mm_loadl_epi64(from), (int)last, 2);
}

static inline void part_store(void *to, __m128i a, size_t len)
{
    uint8_t *p = to;
    uint64_t low = (uint64_t)_mm_cvtsi128_si64(a);
    if (len >= 8) {
        uint64_t high = (uint64_t)_mm_extract_epi64(a, 1);
        high = shift_down(low, len - 8) | shift_up(high, 16 - len);
        memcpy(p, &low, 8);
        memcpy(p + len - 8, &high, 8);
    } else if (len >= 4) {
        uint32_t first = (uint32_t)low, last = (uint32_t)(low >> (8 * (len - 4)));
        memcpy(p, &first, 4);
        memcpy(p + len - 4, &last, 4);
    } else if (len > 0) {
        p[0] = (uint8_t)low;
        p[len / 2] = (uint8_t)(low >> (8 * (len / 2)));
        p[len - 1] = (uint8_t)(low >> (8 * (len - 1)));
    }
}

static inline __m128i counter_block(const uint8_t nonce[12])
{
    int last;
    memcpy(&last, nonce + 8, 4);
    __m128i block = _mm_insert_epi32(_mm_loadl_epi64((const __m128i *)nonce), last, 2);
    return _mm_insert_epi32(block, 0x01000000, 3);
}

/* From part_mask + 32 - n: n bytes of ones, then zeros. */
static const uint8_t part_mask[64] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

#endif
