/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_VEC_LOW_H
#define KFE_INTEL_VEC_LOW_H

/* The vector registers that every x86-64 CPU has. SSE2. */

#include <immintrin.h>

/* Nothing is left in registers 0 to 15, with AVX in none of their upper parts either. */
static inline void low_forget(void)
{
#ifndef KFE_NO_TERNARY
    register __m128i r0 __asm__("xmm0") = _mm_setzero_si128();
    register __m128i r1 __asm__("xmm1") = _mm_setzero_si128();
    register __m128i r2 __asm__("xmm2") = _mm_setzero_si128();
    register __m128i r3 __asm__("xmm3") = _mm_setzero_si128();
    register __m128i r4 __asm__("xmm4") = _mm_setzero_si128();
    register __m128i r5 __asm__("xmm5") = _mm_setzero_si128();
    register __m128i r6 __asm__("xmm6") = _mm_setzero_si128();
    register __m128i r7 __asm__("xmm7") = _mm_setzero_si128();
    register __m128i r8 __asm__("xmm8") = _mm_setzero_si128();
    register __m128i r9 __asm__("xmm9") = _mm_setzero_si128();
    register __m128i r10 __asm__("xmm10") = _mm_setzero_si128();
    register __m128i r11 __asm__("xmm11") = _mm_setzero_si128();
    register __m128i r12 __asm__("xmm12") = _mm_setzero_si128();
    register __m128i r13 __asm__("xmm13") = _mm_setzero_si128();
    register __m128i r14 __asm__("xmm14") = _mm_setzero_si128();
    register __m128i r15 __asm__("xmm15") = _mm_setzero_si128();
    __asm__ volatile(""
                     :
                     : "x"(r0), "x"(r1), "x"(r2), "x"(r3), "x"(r4), "x"(r5), "x"(r6), "x"(r7),
                       "x"(r8), "x"(r9), "x"(r10), "x"(r11), "x"(r12), "x"(r13), "x"(r14), "x"(r15)
                     : "memory");
#endif
}

#endif
