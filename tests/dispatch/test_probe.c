/* SPDX-License-Identifier: Apache-2.0 */
/* Does a probe ask for everything that its kernel uses? A CPU that has all is asked, then one that
 * lacks each single thing: the probes must see it. The CPU is this file's: the probe is compiled
 * into it with CPUID and XGETBV exchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cpuid.h>
#include <immintrin.h>

enum { LEAF1_ECX, LEAF7_EBX, LEAF7_ECX, XCR0, REGISTERS };

static struct {
    unsigned reg[REGISTERS], leaves;
} cpu;

static int fake_cpuid(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
    *a = *b = *c = *d = 0;
    if (leaf > cpu.leaves)
        return 0;
    if (leaf == 1)
        *c = cpu.reg[LEAF1_ECX];
    if (leaf == 7) {
        *b = cpu.reg[LEAF7_EBX];
        *c = cpu.reg[LEAF7_ECX];
    }
    return 1;
}

static unsigned long long fake_xgetbv(unsigned index)
{
    assert_int_equal(index, 0);
    assert_true((cpu.reg[LEAF1_ECX] >> 27 & 1) != 0); /* OSXSAVE: else it traps */
    return cpu.reg[XCR0];
}

#define __get_cpuid(leaf, a, b, c, d) fake_cpuid(leaf, a, b, c, d)
#define __get_cpuid_count(leaf, subleaf, a, b, c, d)                                               \
    fake_cpuid((subleaf) == 0 ? leaf : 99, a, b, c, d)
#define _xgetbv(index) fake_xgetbv(index)
#include "intel/probe.c" /* the probe itself, with the CPU above */

enum { AESNI = 1, VAES256 = 2, VAES512 = 4, WIDE = VAES256 | VAES512, ALL = AESNI | WIDE };

/* What a kernel's instructions need, and its compiler may use once it is given the flags. */
static const struct {
    const char *name;
    int reg;
    unsigned bit;
    int who;
} needed[] = {
    {"PCLMULQDQ", LEAF1_ECX, 1, ALL},
    {"SSSE3", LEAF1_ECX, 9, ALL},
    {"SSE4.1", LEAF1_ECX, 19, ALL},
    {"AES", LEAF1_ECX, 25, ALL},
    {"SSE4.2", LEAF1_ECX, 20, WIDE},
    {"POPCNT", LEAF1_ECX, 23, WIDE},
    {"OSXSAVE", LEAF1_ECX, 27, WIDE},
    {"AVX", LEAF1_ECX, 28, WIDE},
    {"AVX2", LEAF7_EBX, 5, WIDE},
    {"BMI2", LEAF7_EBX, 8, WIDE},
    {"VAES", LEAF7_ECX, 9, WIDE},
    {"VPCLMULQDQ", LEAF7_ECX, 10, WIDE},
    {"XCR0: xmm", XCR0, 1, WIDE},
    {"XCR0: ymm", XCR0, 2, WIDE},
    {"AVX512F", LEAF7_EBX, 16, VAES512},
    {"AVX512DQ", LEAF7_EBX, 17, VAES512},
    {"AVX512BW", LEAF7_EBX, 30, VAES512},
    {"AVX512VL", LEAF7_EBX, 31, VAES512},
    {"XCR0: masks", XCR0, 5, VAES512},
    {"XCR0: upper halves of zmm", XCR0, 6, VAES512},
    {"XCR0: zmm16 to 31", XCR0, 7, VAES512},
};

static int who_runs(void)
{
    return (kfe_intel_has_aesni() ? AESNI : 0) | (kfe_intel_has_vaes256() ? VAES256 : 0) |
           (kfe_intel_has_vaes512() ? VAES512 : 0);
}

static void whole(void)
{
    cpu.leaves = 0x20;
    for (int i = 0; i < REGISTERS; i++)
        cpu.reg[i] = ~0u;
}

static void a_cpu_that_has_all(void **state)
{
    (void)state;
    whole();
    assert_int_equal(who_runs(), ALL);
    /* And nothing but what is needed. */
    for (int i = 0; i < REGISTERS; i++)
        cpu.reg[i] = 0;
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
        cpu.reg[needed[i].reg] |= 1u << needed[i].bit;
    cpu.reg[LEAF1_ECX] |= 1u << 26 | 1u << 12 | 1u << 29; /* XSAVE, FMA, F16C come with AVX2 */
    assert_int_equal(who_runs(), ALL);
}

static void each_single_thing_is_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        whole();
        cpu.reg[needed[i].reg] &= ~(1u << needed[i].bit);
        if (who_runs() != (ALL & ~needed[i].who))
            fail_msg("without %s run %d, not %d", needed[i].name, who_runs(), ALL & ~needed[i].who);
    }
}

static void a_cpu_without_those_leaves(void **state)
{
    (void)state;
    whole();
    cpu.leaves = 6;
    assert_int_equal(who_runs(), AESNI);
    cpu.leaves = 0;
    assert_int_equal(who_runs(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cpu_that_has_all),
        cmocka_unit_test(each_single_thing_is_asked_for),
        cmocka_unit_test(a_cpu_without_those_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
