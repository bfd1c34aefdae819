/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_FORGET_H
#define KFE_INTEL_FORGET_H

/* Kernels leave round keys, key stream and text where the compiler put them: in vector registers,
 * which v_forget() clears, and in their frames. Whoever called a kernel calls one of these behind
 * it: their frames lie where the kernel's was, and are left as zeros. Needs a vec header. */

#include "intel/kernel.h"

/* More than the frames of the kernels of few.inc and chunks.inc, and of lanes.inc with what stands
 * between them and batch.inc; tests/secret looks whether it is. */
enum {
    FORGET_ONE = LANES == 4 ? 256 : 1024,
    FORGET_FEW = LANES == 4 ? 512 : 1280,
#ifdef __clang__
    FORGET_LANES = 4608,
#else
    FORGET_LANES = LANES == 1 ? 1536 : 3072,
#endif
};

/* No canary and no gap above the array: it must begin right below the return address. */
#define FORGET_FRAME __attribute__((noinline, no_stack_protector))

/* Volatile: nobody reads it any more, and a compiler's memset() for it is slower. A vector is
 * aligned here as it is in the kernels, where what lies above the first one are saved registers. */
static inline void forget(volatile vec *from, size_t n)
{
    UNROLL
    for (size_t i = 0; i < n; i++)
        from[i] = v_zero();
    v_forget();
}

#define FORGET(name, bytes)                                                                        \
    static FORGET_FRAME void name(void)                                                            \
    {                                                                                              \
        vec frame[(bytes) / sizeof(vec)];                                                          \
        forget(frame, (bytes) / sizeof(vec));                                                      \
    }

FORGET(forget_one, FORGET_ONE)
FORGET(forget_few, FORGET_FEW)
FORGET(forget_lanes, FORGET_LANES)

#endif
