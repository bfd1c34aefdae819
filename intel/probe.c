/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID says what the CPU has, XCR0 which registers the system saves. This file is compiled for
 * the plainest x86-64: it runs before anything is known. */
#include "intel/probe.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>

/* Leaf 1, ecx. */
#define PCLMULQDQ (1u << 1)
#define SSSE3 (1u << 9)
#define FMA (1u << 12)
#define SSE41 (1u << 19)
#define SSE42 (1u << 20)
#define POPCNT (1u << 23)
#define AES (1u << 25)
#define XSAVE (1u << 26)
#define OSXSAVE (1u << 27)
#define AVX (1u << 28)
#define F16C (1u << 29)

/* Leaf 7, ebx. */
#define AVX2 (1u << 5)
#define BMI2 (1u << 8)
#define AVX512F (1u << 16)
#define AVX512DQ (1u << 17)
#define AVX512BW (1u << 30)
#define AVX512VL (1u << 31)

/* Leaf 7, ecx. */
#define VAES (1u << 9)
#define VPCLMULQDQ (1u << 10)

/* XCR0: xmm and the upper halves of ymm; then mask registers, upper halves of zmm, zmm16 to 31. */
#define SAVED_YMM 0x06u
#define SAVED_ZMM 0xe6u

typedef struct {
    unsigned leaf1_ecx, leaf7_ebx, leaf7_ecx, saved;
} features;

static const features need_aesni = {.leaf1_ecx = PCLMULQDQ | SSSE3 | SSE41 | AES};

static const features need_vaes256 = {
    .leaf1_ecx = PCLMULQDQ | SSSE3 | SSE41 | SSE42 | POPCNT | AES | XSAVE | OSXSAVE | AVX,
    .leaf7_ebx = AVX2 | BMI2,
    .leaf7_ecx = VAES | VPCLMULQDQ,
    .saved = SAVED_YMM,
};

static const features need_vaes512 = {
    .leaf1_ecx =
        PCLMULQDQ | SSSE3 | FMA | SSE41 | SSE42 | POPCNT | AES | XSAVE | OSXSAVE | AVX | F16C,
    .leaf7_ebx = AVX2 | BMI2 | AVX512F | AVX512DQ | AVX512BW | AVX512VL,
    .leaf7_ecx = VAES | VPCLMULQDQ,
    .saved = SAVED_ZMM,
};

/* Traps where OSXSAVE is not set. */
static __attribute__((target("xsave"))) unsigned saved_registers(void)
{
    return (unsigned)_xgetbv(0);
}

static features look(void)
{
    features has = {0};
    unsigned eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        has.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        has.leaf7_ebx = ebx;
        has.leaf7_ecx = ecx;
    }
    if ((has.leaf1_ecx & OSXSAVE) != 0)
        has.saved = saved_registers();
    return has;
}

static bool has_all(features need)
{
    features has = look();
    return (need.leaf1_ecx & ~has.leaf1_ecx) == 0 && (need.leaf7_ebx & ~has.leaf7_ebx) == 0 &&
           (need.leaf7_ecx & ~has.leaf7_ecx) == 0 && (need.saved & ~has.saved) == 0;
}

bool kfe_intel_has_aesni(void)
{
    return has_all(need_aesni);
}

bool kfe_intel_has_vaes256(void)
{
    return has_all(need_vaes256);
}

bool kfe_intel_has_vaes512(void)
{
    return has_all(need_vaes512);
}
