/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_PUBLIC_H
#define KFE_INTEL_PUBLIC_H

/* What is public though it was made of secrets: whether a tag verified, and nothing else. Needs a
 * vec header. Tests that follow secrets through the kernels define KFE_PUBLIC
 * (tests/constant_time); clang's MemorySanitizer does not follow a secret through the instructions
 * for the test, so that its build (KFE_NO_TERNARY) does without them. */

#ifndef KFE_PUBLIC
#define KFE_PUBLIC(at, len) ((void)0)
#endif

/* Nothing is left of tags xored with tags. */
static inline bool verdict_all(vec left)
{
#ifdef KFE_NO_TERNARY
    uint64_t words[2 * LANES], any = 0;
    v_store(words, left);
    for (size_t i = 0; i < 2 * LANES; i++)
        any |= words[i];
    bool good = any == 0;
#else
    bool good = v_is_zero(left);
#endif
    KFE_PUBLIC(&good, sizeof(good));
    return good;
}

static inline bool verdict(__m128i left)
{
#ifdef KFE_NO_TERNARY
    bool good = (_mm_cvtsi128_si64(left) | _mm_cvtsi128_si64(_mm_srli_si128(left, 8))) == 0;
#else
    bool good = _mm_testz_si128(left, left) != 0;
#endif
    KFE_PUBLIC(&good, sizeof(good));
    return good;
}

#endif
