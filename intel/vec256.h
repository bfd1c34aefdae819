/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_VEC_H
#define KFE_INTEL_VEC_H

/* Vectors of two 128-bit lanes: AVX2 with VAES and VPCLMULQDQ. The names are those of vec512.h. */

#include "intel/vec_part.h"

typedef __m256i vec;
enum { LANES = 2, VEC_REGISTERS = 16 };

static inline vec v_zero(void)
{
    return _mm256_setzero_si256();
}

static inline vec v_load(const void *from)
{
    return _mm256_loadu_si256(from);
}

static inline void v_store(void *to, vec a)
{
    _mm256_storeu_si256(to, a);
}

static inline vec v_broadcast_lane(__m128i lane)
{
    return _mm256_broadcastsi128_si256(lane);
}

static inline vec v_broadcast(const void *from)
{
    return v_broadcast_lane(_mm_loadu_si128(from));
}

static inline vec v_xor(vec a, vec b)
{
    return _mm256_xor_si256(a, b);
}

static inline vec v_xor3(vec a, vec b, vec c)
{
    return v_xor(v_xor(a, b), c);
}

static inline vec v_and(vec a, vec b)
{
    return _mm256_and_si256(a, b);
}

static inline vec v_or(vec a, vec b)
{
    return _mm256_or_si256(a, b);
}

static inline vec v_add64(vec a, vec b)
{
    return _mm256_add_epi64(a, b);
}

static inline vec v_add32(vec a, vec b)
{
    return _mm256_add_epi32(a, b);
}

static inline vec v_aes(vec state, vec key)
{
    return _mm256_aesenc_epi128(state, key);
}

static inline vec v_aes_last(vec state, vec key)
{
    return _mm256_aesenclast_epi128(state, key);
}

static inline vec v_mul_lo(vec a, vec b)
{
    return _mm256_clmulepi64_epi128(a, b, 0x00);
}

static inline vec v_mul_hi(vec a, vec b)
{
    return _mm256_clmulepi64_epi128(a, b, 0x11);
}

static inline vec v_mul_lohi(vec a, vec b)
{
    return _mm256_clmulepi64_epi128(a, b, 0x10);
}

static inline vec v_mul_hilo(vec a, vec b)
{
    return _mm256_clmulepi64_epi128(a, b, 0x01);
}

static inline vec v_shuffle(vec a, vec index)
{
    return _mm256_shuffle_epi8(a, index);
}

static inline vec v_swap(vec a)
{
    return _mm256_shuffle_epi32(a, 0x4e);
}

#define v_lane(a, i) _mm256_extracti128_si256(a, i)

static inline vec v_from_lanes(const __m128i lane[LANES])
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lane[0]), lane[1], 1);
}

static inline vec v_gather(const uint8_t *const from[LANES], size_t at)
{
    const __m128i lane[LANES] = {
        _mm_loadu_si128((const __m128i *)(from[0] + at)),
        _mm_loadu_si128((const __m128i *)(from[1] + at)),
    };
    return v_from_lanes(lane);
}

static inline void v_scatter(uint8_t *const to[LANES], size_t at, vec a)
{
    _mm_storeu_si128((__m128i *)(to[0] + at), v_lane(a, 0));
    _mm_storeu_si128((__m128i *)(to[1] + at), v_lane(a, 1));
}

static inline bool v_is_zero(vec a)
{
    return _mm256_testz_si256(a, a) != 0;
}

static inline vec v_shift_left(vec a, int count)
{
    return _mm256_slli_epi64(a, count);
}

static inline vec v_first(__m128i lane)
{
    return _mm256_zextsi128_si256(lane);
}

static inline vec v_put_last(vec a, __m128i lane)
{
    return _mm256_inserti128_si256(a, lane, 1);
}

static inline vec v_put(vec a, size_t at, __m128i lane)
{
    return at == 0 ? _mm256_inserti128_si256(a, lane, 0) : v_put_last(a, lane);
}

static inline vec v_up(vec a, size_t n)
{
    return n == 0 ? a : _mm256_permute2x128_si256(a, a, 0x08);
}

static inline __m128i v_fold(vec a)
{
    return _mm_xor_si128(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

static inline vec v_gather_part(const uint8_t *const from[LANES], size_t at,
                                const size_t len[LANES])
{
    const __m128i lane[LANES] = {
        part_load(from[0] + at, len[0]),
        part_load(from[1] + at, len[1]),
    };
    return v_from_lanes(lane);
}

static inline void v_scatter_part(uint8_t *const to[LANES], size_t at, vec a,
                                  const size_t len[LANES])
{
    part_store(to[0] + at, v_lane(a, 0), len[0]);
    part_store(to[1] + at, v_lane(a, 1), len[1]);
}

static inline vec v_part_load(const void *from, size_t len)
{
    if (len == 32)
        return v_load(from);
    if (len < 16)
        return v_first(part_load(from, len));
    __m128i low = _mm_loadu_si128(from);
    return v_put_last(v_first(low), part_load((const uint8_t *)from + 16, len - 16));
}

static inline void v_part_store(void *to, vec a, size_t len)
{
    if (len == 32) {
        v_store(to, a);
        return;
    }
    if (len < 16) {
        part_store(to, v_lane(a, 0), len);
        return;
    }
    _mm_storeu_si128(to, v_lane(a, 0));
    part_store((uint8_t *)to + 16, v_lane(a, 1), len - 16);
}

static inline vec v_keep(vec a, size_t len)
{
    return _mm256_and_si256(a, v_load(part_mask + 32 - len));
}

static inline void v_end(void)
{
    _mm256_zeroupper();
}

/* v_end(), with nothing left in any vector register. */
static inline void v_forget(void)
{
    _mm256_zeroall();
}

#endif
