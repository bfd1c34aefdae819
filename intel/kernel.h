/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_INTEL_KERNEL_H
#define KFE_INTEL_KERNEL_H

/* What kernels say to the compiler. */

/* Part of a kernel: its constants become the kernel's own. */
#define KERNEL_INLINE static inline __attribute__((always_inline))

/* The loop that follows has a few turns, known when it is compiled: written out, so that what it
 * indexes can live in registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* What is read through this pointer is read here: a compiler that sees the same loads in every
 * branch would make them before, and without their being operands of what follows. */
#ifndef KFE_NO_TERNARY
#define CODE_STAYS(pointer) __asm__("" : "+r"(pointer))
#else
#define CODE_STAYS(pointer) (void)(pointer)
#endif

/* What is not wanted for a while waits in memory: a compiler that runs out of registers would
 * choose worse. */
#ifndef KFE_NO_TERNARY
#define IN_MEMORY(variable) __asm__("" : "+m"(variable))
#else
#define IN_MEMORY(variable) (void)(variable)
#endif

#endif
