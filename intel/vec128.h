/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_VEC_H
#define KFE_INTEL_VEC_H

/* Vectors of one lane: AES-NI, PCLMULQDQ and SSE4.1, without AVX. The names are those of
 * vec512.h. */

#include "intel/vec_low.h"
#include "intel/vec_part.h"

typedef __m128i vec;
enum { LANES = 1, VEC_REGISTERS = 16 };

static inline vec v_zero(void)
{
    return _mm_setzero_si128();
}

static inline vec v_load(const void *from)
{
    return _mm_loadu_si128(from);
}

static inline void v_store(void *to, vec a)
{
    _mm_storeu_si128(to, a);
}

static inline vec v_broadcast_lane(__m128i lane)
{
    return lane;
}

static inline vec v_broadcast(const void *from)
{
    return v_load(from);
}

static inline vec v_xor(vec a, vec b)
{
    return _mm_xor_si128(a, b);
}

static inline vec v_xor3(vec a, vec b, vec c)
{
    return v_xor(v_xor(a, b), c);
}

static inline vec v_and(vec a, vec b)
{
    return _mm_and_si128(a, b);
}

static inline vec v_or(vec a, vec b)
{
    return _mm_or_si128(a, b);
}

static inline vec v_add64(vec a, vec b)
{
    return _mm_add_epi64(a, b);
}

static inline vec v_add32(vec a, vec b)
{
    return _mm_add_epi32(a, b);
}

static inline vec v_aes(vec state, vec key)
{
    return _mm_aesenc_si128(state, key);
}

static inline vec v_aes_last(vec state, vec key)
{
    return _mm_aesenclast_si128(state, key);
}

static inline vec v_mul_lo(vec a, vec b)
{
    return _mm_clmulepi64_si128(a, b, 0x00);
}

static inline vec v_mul_hi(vec a, vec b)
{
    return _mm_clmulepi64_si128(a, b, 0x11);
}

static inline vec v_mul_lohi(vec a, vec b)
{
    return _mm_clmulepi64_si128(a, b, 0x10);
}

static inline vec v_mul_hilo(vec a, vec b)
{
    return _mm_clmulepi64_si128(a, b, 0x01);
}

static inline vec v_shuffle(vec a, vec index)
{
    return _mm_shuffle_epi8(a, index);
}

static inline vec v_swap(vec a)
{
    return _mm_shuffle_epi32(a, 0x4e);
}

#define v_lane(a, i) (a)

static inline vec v_from_lanes(const __m128i lane[LANES])
{
    return lane[0];
}

static inline vec v_gather(const uint8_t *const from[LANES], size_t at)
{
    return v_load(from[0] + at);
}

static inline void v_scatter(uint8_t *const to[LANES], size_t at, vec a)
{
    v_store(to[0] + at, a);
}

static inline bool v_is_zero(vec a)
{
    return _mm_testz_si128(a, a) != 0;
}

static inline vec v_shift_left(vec a, int count)
{
    return _mm_slli_epi64(a, count);
}

static inline vec v_first(__m128i lane)
{
    return lane;
}

static inline vec v_put_last(vec a, __m128i lane)
{
    (void)a;
    return lane;
}

static inline vec v_put(vec a, size_t at, __m128i lane)
{
    (void)at;
    return v_put_last(a, lane);
}

static inline vec v_up(vec a, size_t n)
{
    (void)n;
    return a;
}

static inline __m128i v_fold(vec a)
{
    return a;
}

static inline vec v_gather_part(const uint8_t *const from[LANES], size_t at,
                                const size_t len[LANES])
{
    return part_load(from[0] + at, len[0]);
}

static inline void v_scatter_part(uint8_t *const to[LANES], size_t at, vec a,
                                  const size_t len[LANES])
{
    part_store(to[0] + at, a, len[0]);
}

static inline vec v_part_load(const void *from, size_t len)
{
    if (len == 16)
        return v_load(from);
    return part_load(from, len);
}

static inline void v_part_store(void *to, vec a, size_t len)
{
    if (len == 16) {
        v_store(to, a);
        return;
    }
    part_store(to, a, len);
}

static inline vec v_keep(vec a, size_t len)
{
    return _mm_and_si128(a, v_load(part_mask + 32 - len));
}

static inline void v_end(void)
{
}

/* v_end(), with nothing left in any vector register. */
static inline void v_forget(void)
{
    low_forget();
}

#endif
