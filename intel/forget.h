/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_FORGET_H
#define KFE_INTEL_FORGET_H

/* Kernels leave round keys, key stream and text where the compiler put them: in vector registers,
 * which v_forget() clears, and in their frames. Whoever called a kernel calls one of these behind
 * it: their frames lie where the kernel's was, and are left as zeros. Needs a vec header. */

/* More than the frames of the kernels of few.inc and chunks.inc, and of lanes.inc with what stands
 * between them and batch.inc; tests/secret looks whether it is. */
enum {
    FORGET_FEW = LANES == 4 ? 512 : 1280,
#ifdef __clang__
    FORGET_LANES = 4608,
#else
    FORGET_LANES = LANES == 1 ? 1536 : 3072,
#endif
};

/* No canary and no gap above the array: it must begin right below the return address. */
#define FORGET_FRAME __attribute__((noinline, no_stack_protector))

static inline void forget(uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(vec))
        v_store(from + i, v_zero());
#ifndef KFE_NO_TERNARY
    __asm__ volatile("" : : "r"(from) : "memory");
#endif
    v_forget();
}

static FORGET_FRAME void forget_few(void)
{
    uint8_t frame[8 + FORGET_FEW];
    forget(frame + 8, FORGET_FEW);
}

static FORGET_FRAME void forget_lanes(void)
{
    uint8_t frame[8 + FORGET_LANES];
    forget(frame + 8, FORGET_LANES);
}

#endif
