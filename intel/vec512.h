/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_VEC_H
#define KFE_INTEL_VEC_H

/* Vectors of four 128-bit lanes: AVX-512 with VAES and VPCLMULQDQ. vec256.h and vec128.h define the
 * same names for two lanes and one; the kernels are written once, over these. */

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "intel/vec_low.h"

typedef __m512i vec;
enum { LANES = 4, VEC_REGISTERS = 32 };

/* Memory sanitizers do not follow vpternlog and vpexpand, so that their build does without. */
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

static inline vec v_or(vec a, vec b)
{
    return _mm512_or_si512(a, b);
}

static inline vec v_add64(vec a, vec b)
{
    return _mm512_add_epi64(a, b);
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

/* By halves: shuffles of 512 bits are dear where they are done 256 bits at a time. */
static inline vec v_from_lanes(const __m128i lane[LANES])
{
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(lane[0]), lane[1], 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(lane[2]), lane[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* 16 bytes of each of LANES places, `at` bytes behind them. */
static inline vec v_gather(const uint8_t *const from[LANES], size_t at)
{
    const __m128i lane[LANES] = {
        _mm_loadu_si128((const __m128i *)(from[0] + at)),
        _mm_loadu_si128((const __m128i *)(from[1] + at)),
        _mm_loadu_si128((const __m128i *)(from[2] + at)),
        _mm_loadu_si128((const __m128i *)(from[3] + at)),
    };
    return v_from_lanes(lane);
}

static inline void v_scatter(uint8_t *const to[LANES], size_t at, vec a)
{
    __m256i low = _mm512_castsi512_si256(a), high = _mm512_extracti64x4_epi64(a, 1);
    _mm_storeu_si128((__m128i *)(to[0] + at), _mm256_castsi256_si128(low));
    _mm_storeu_si128((__m128i *)(to[1] + at), _mm256_extracti128_si256(low, 1));
    _mm_storeu_si128((__m128i *)(to[2] + at), _mm256_castsi256_si128(high));
    _mm_storeu_si128((__m128i *)(to[3] + at), _mm256_extracti128_si256(high, 1));
}

static inline bool v_is_zero(vec a)
{
    return _mm512_test_epi64_mask(a, a) == 0;
}

/* Each half of each lane to the left by `count` bits. */
static inline vec v_shift_left(vec a, int count)
{
    return _mm512_slli_epi64(a, (unsigned)count);
}

/* `lane` in lane 0, zeros in the others. */
static inline vec v_first(__m128i lane)
{
    return _mm512_zextsi128_si512(lane);
}

/* `a` with another lane `at`, 0 to LANES - 1; with another last lane. */
static inline vec v_put(vec a, size_t at, __m128i lane)
{
    return _mm512_mask_broadcast_i32x4(a, (__mmask16)(0xfu << (4 * at)), lane);
}

static inline vec v_put_last(vec a, __m128i lane)
{
    return _mm512_inserti32x4(a, lane, 3);
}

/* Lanes moved up by `n`, 0 to LANES - 1, with zeros below. */
static inline vec v_up(vec a, size_t n)
{
#ifdef KFE_NO_TERNARY
    uint8_t room[2 * sizeof(vec)] = {0};
    v_store(room + sizeof(vec), a);
    return v_load(room + sizeof(vec) - 16 * n);
#else
    return _mm512_maskz_expand_epi64((__mmask8)(0xffu << (2 * n)), a);
#endif
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

/* 12 bytes; zeros behind them. */
static inline __m128i nonce_load(const void *from)
{
    return _mm_maskz_loadu_epi32(7, from);
}

/* The first len[i] bytes at each place, 0 to 16, with zeros behind them. */
static inline vec v_gather_part(const uint8_t *const from[LANES], size_t at,
                                const size_t len[LANES])
{
    const __m128i lane[LANES] = {
        part_load(from[0] + at, len[0]),
        part_load(from[1] + at, len[1]),
        part_load(from[2] + at, len[2]),
        part_load(from[3] + at, len[3]),
    };
    return v_from_lanes(lane);
}

static inline void v_scatter_part(uint8_t *const to[LANES], size_t at, vec a,
                                  const size_t len[LANES])
{
    part_store(to[0] + at, v_lane(a, 0), len[0]);
    part_store(to[1] + at, v_lane(a, 1), len[1]);
    part_store(to[2] + at, v_lane(a, 2), len[2]);
    part_store(to[3] + at, v_lane(a, 3), len[3]);
}

/* The same for a vector: `len` is 0 to 16 * LANES. */
static inline vec v_part_load(const void *from, size_t len)
{
    return _mm512_maskz_loadu_epi8(_bzhi_u64(~UINT64_C(0), (unsigned)len), from);
}

static inline void v_part_store(void *to, vec a, size_t len)
{
    _mm512_mask_storeu_epi8(to, _bzhi_u64(~UINT64_C(0), (unsigned)len), a);
}

/* `a` with zeros behind its first `len` bytes. */
static inline vec v_keep(vec a, size_t len)
{
    return _mm512_maskz_mov_epi8(_bzhi_u64(~UINT64_C(0), (unsigned)len), a);
}

/* The counter block of a 96-bit nonce's tag: nonce, then 1 as a big-endian integer. */
static inline __m128i counter_block(const uint8_t nonce[12])
{
    return _mm_mask_loadu_epi32(_mm_set_epi32(0x01000000, 0, 0, 0), 7, nonce);
}

/* Leaves the wide registers: what follows may be old SSE code. */
static inline void v_end(void)
{
    _mm256_zeroupper();
}

/* v_end(), with nothing left in any vector register. */
static inline void v_forget(void)
{
    low_forget();
#ifndef KFE_NO_TERNARY
    register __m128i r16 __asm__("xmm16") = _mm_setzero_si128();
    register __m128i r17 __asm__("xmm17") = _mm_setzero_si128();
    register __m128i r18 __asm__("xmm18") = _mm_setzero_si128();
    register __m128i r19 __asm__("xmm19") = _mm_setzero_si128();
    register __m128i r20 __asm__("xmm20") = _mm_setzero_si128();
    register __m128i r21 __asm__("xmm21") = _mm_setzero_si128();
    register __m128i r22 __asm__("xmm22") = _mm_setzero_si128();
    register __m128i r23 __asm__("xmm23") = _mm_setzero_si128();
    register __m128i r24 __asm__("xmm24") = _mm_setzero_si128();
    register __m128i r25 __asm__("xmm25") = _mm_setzero_si128();
    register __m128i r26 __asm__("xmm26") = _mm_setzero_si128();
    register __m128i r27 __asm__("xmm27") = _mm_setzero_si128();
    register __m128i r28 __asm__("xmm28") = _mm_setzero_si128();
    register __m128i r29 __asm__("xmm29") = _mm_setzero_si128();
    register __m128i r30 __asm__("xmm30") = _mm_setzero_si128();
    register __m128i r31 __asm__("xmm31") = _mm_setzero_si128();
    __asm__ volatile(""
                     :
                     : "v"(r16), "v"(r17), "v"(r18), "v"(r19), "v"(r20), "v"(r21), "v"(r22),
                       "v"(r23), "v"(r24), "v"(r25), "v"(r26), "v"(r27), "v"(r28), "v"(r29),
                       "v"(r30), "v"(r31)
                     : "memory");
#endif
    _mm256_zeroupper();
}

#endif
