/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_VEC_H
#define KFE_INTEL_VEC_H

/* Vectors of four 128-bit lanes: AVX-512 with VAES and VPCLMULQDQ. vec256.h and vec128.h define the
 * same names for two lanes and one; the kernels are written once, over these. */

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m512i vec;
enum { LANES = 4, VEC_REGISTERS = 32 };

/* Memory sanitizers do not follow vpternlog, so that their build does without. */
#ifdef KFE_NO_TERNARY
#define V_XOR3(a, b, c) _mm512_xor_si512(_mm512_xor_si512(a, b), c)
#else
#define V_XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#endif

static inline vec v_zero(void)
{
    return _mm512_setzero_si512();
}

static inline vec v_load(const void *from)
{
    return _mm512_loadu_si512(from);
}

static inline void v_store(void *to, vec a)
{
    _mm512_storeu_si512(to, a);
}

/* The same 16 bytes in every lane. */
static inline vec v_broadcast(const void *from)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)from));
}

static inline vec v_broadcast_lane(__m128i lane)
{
    return _mm512_broadcast_i32x4(lane);
}

static inline vec v_xor(vec a, vec b)
{
    return _mm512_xor_si512(a, b);
}

static inline vec v_xor3(vec a, vec b, vec c)
{
    return V_XOR3(a, b, c);
}

static inline vec v_and(vec a, vec b)
{
    return _mm512_and_si512(a, b);
}

static inline vec v_add32(vec a, vec b)
{
    return _mm512_add_epi32(a, b);
}

static inline vec v_aes(vec state, vec key)
{
    return _mm512_aesenc_epi128(state, key);
}

static inline vec v_aes_last(vec state, vec key)
{
    return _mm512_aesenclast_epi128(state, key);
}

/* Products of 64-bit halves: low by low, high by high, and the two mixed ones. */
static inline vec v_mul_lo(vec a, vec b)
{
    return _mm512_clmulepi64_epi128(a, b, 0x00);
}

static inline vec v_mul_hi(vec a, vec b)
{
    return _mm512_clmulepi64_epi128(a, b, 0x11);
}

static inline vec v_mul_lohi(vec a, vec b)
{
    return _mm512_clmulepi64_epi128(a, b, 0x10);
}

static inline vec v_mul_hilo(vec a, vec b)
{
    return _mm512_clmulepi64_epi128(a, b, 0x01);
}

/* Bytes of each lane by the lane's own index. */
static inline vec v_shuffle(vec a, vec index)
{
    return _mm512_shuffle_epi8(a, index);
}

/* The 64-bit halves of each lane exchanged. */
static inline vec v_swap(vec a)
{
    return _mm512_shuffle_epi32(a, (_MM_PERM_ENUM)0x4e);
}

/* Lane i; `i` is a constant. */
#define v_lane(a, i) _mm512_extracti32x4_epi32(a, i)

static inline vec v_from_lanes(const __m128i lane[LANES])
{
    vec a = _mm512_castsi128_si512(lane[0]);
    a = _mm512_inserti32x4(a, lane[1], 1);
    a = _mm512_inserti32x4(a, lane[2], 2);
    return _mm512_inserti32x4(a, lane[3], 3);
}

/* All lanes xored. */
static inline __m128i v_fold(vec a)
{
    __m256i b = _mm256_xor_si256(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}

/* The first `len` bytes, 0 to 16; zeros behind them. No other byte is touched. */
static inline __m128i part_load(const void *from, size_t len)
{
    return _mm_maskz_loadu_epi8((__mmask16)_bzhi_u32(0xffff, (unsigned)len), from);
}

static inline void part_store(void *to, __m128i a, size_t len)
{
    _mm_mask_storeu_epi8(to, (__mmask16)_bzhi_u32(0xffff, (unsigned)len), a);
}

/* Leaves the wide registers: what follows may be old SSE code. */
static inline void v_end(void)
{
    _mm256_zeroupper();
}

#endif
