/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/port.h"

#include <string.h>

#include "bench/timer.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

/* Each function names its own instruction set: none of it leaks into the rest of the program. */

/* What comes out is kept, or the compiler would leave the work out. */
typedef struct {
    size_t passes;
    int seed, kept;
} loop;

#define NAME(x) x##_128
#define TARGET __attribute__((target("sse4.1,aes,pclmul")))
#define VECTOR __m128i
#define SET(i) _mm_set1_epi32(i)
#define AES(a, b) _mm_aesenc_si128(a, b)
#define MUL(a, b) _mm_clmulepi64_si128(a, b, 0x00)
#define FIRST(a) (a)
#include "bench/port_width.inc"

#define NAME(x) x##_256
#define TARGET __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq")))
#define VECTOR __m256i
#define SET(i) _mm256_set1_epi32(i)
#define AES(a, b) _mm256_aesenc_epi128(a, b)
#define MUL(a, b) _mm256_clmulepi64_epi128(a, b, 0x00)
#define FIRST(a) _mm256_castsi256_si128(a)
#include "bench/port_width.inc"

#define NAME(x) x##_512
#define TARGET __attribute__((target("avx512f,aes,pclmul,vaes,vpclmulqdq")))
#define VECTOR __m512i
#define SET(i) _mm512_set1_epi32(i)
#define AES(a, b) _mm512_aesenc_epi128(a, b)
#define MUL(a, b) _mm512_clmulepi64_epi128(a, b, 0x00)
#define FIRST(a) _mm512_castsi512_si128(a)
#include "bench/port_width.inc"

static bool has_narrow(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("sse4.1");
}

/* Not every compiler's __builtin_cpu_supports() knows these two, bits 9 and 10. */
static bool has_vaes(void)
{
    unsigned a, b, c = 0, d;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (c >> 9 & 3) == 3;
}

bool port_is_wide(void)
{
    return has_vaes() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

/* A product waits for the one before it, three cycles on every core of the last ten years. */
static void multiply(void *self)
{
    loop *l = self;
    uint64_t x = (uint64_t)l->seed;
    for (size_t i = 0; i < l->passes; i++) {
        x *= x;
        x *= x;
        x *= x;
        x *= x;
    }
    l->kept ^= (int)x;
}

static const struct {
    int bits;
    bool (*usable)(void);
    void (*aes)(void *), (*mul)(void *), (*both)(void *);
} widths[] = {
    {128, has_narrow, aes_128, mul_128, both_128},
    {256, has_vaes, aes_256, mul_256, both_256},
    {512, port_is_wide, aes_512, mul_512, both_512},
};

void port_measure(port_rates *rates, double repetition)
{
    loop l = {.passes = 1000, .seed = 5};
    *rates = (port_rates){0};
    contestant all[10] = {{.pass = multiply, .self = &l, .items = 1000 * 12}};
    size_t n = 1;
    for (size_t i = 0; i < 3; i++) {
        rates->width[i].bits = widths[i].bits;
        if (!widths[i].usable())
            continue;
        all[n++] = (contestant){.pass = widths[i].aes, .self = &l, .items = 1000 * 10};
        all[n++] = (contestant){.pass = widths[i].mul, .self = &l, .items = 1000 * 10};
        all[n++] = (contestant){.pass = widths[i].both, .self = &l, .items = 1000};
    }
    timer_run(all, n, &(pace){.rounds = 9, .repetition = repetition}, NULL, NULL);
    rates->ghz = 1 / all[0].fastest;
    n = 1;
    for (size_t i = 0; i < 3; i++) {
        if (!widths[i].usable())
            continue;
        rates->width[i].aes = all[n++].fastest;
        rates->width[i].mul = all[n++].fastest;
        rates->width[i].both = all[n++].fastest;
    }
}

#else

void port_measure(port_rates *rates, double repetition)
{
    (void)repetition;
    *rates = (port_rates){0};
}

bool port_is_wide(void)
{
    return false;
}

#endif

static double larger(double a, double b)
{
    return a > b ? a : b;
}

double port_limit(const port_rates *rates, double blocks, double aad_blocks, unsigned rounds)
{
    double least = 0;
    for (size_t i = 0; i < 3; i++) {
        const port_width *w = &rates->width[i];
        if (w->aes <= 0)
            continue;
        double lanes = w->bits / 128;
        double aes = (blocks + 1) * (rounds - 1) / lanes;
        double mul = (blocks + aad_blocks + 1) * 3 / lanes;
        /* what a product takes away from the rounds beside it */
        double slows = larger(w->both - 10 * w->aes, 0) / 3;
        double limit = larger(aes * w->aes + mul * slows, mul * w->mul);
        least = least > 0 && least < limit ? least : limit;
    }
    return least;
}
