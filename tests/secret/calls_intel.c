/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/calls_machine.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_MAX = 16384, MXCSR_AT = 24, KEPT = 6 };
enum { AVX = 2, ZMM_HIGH = 6 }; /* state components of XSAVE: upper halves of registers 0 to 15 */

_Alignas(64) uint8_t call_image[IMAGE_MAX]; /* of XSAVE, standard format */
size_t call_image_len;

static uint64_t kept[KEPT + 1]; /* and the flags */
static uint32_t mxcsr;
static const uint64_t patterns[KEPT] = {0x1b1b1b1b1b1b1b1b, 0x2b2b2b2b2b2b2b2b, 0x3c3c3c3c3c3c3c3c,
                                        0x4d4d4d4d4d4d4d4d, 0x5e5e5e5e5e5e5e5e, 0x6f6f6f6f6f6f6f6f};

/* void call_keeping(call_function *, uint64_t kept[KEPT + 1], void *arg): loads rbx, rbp, r12 to
 * r15 from `kept`, calls, and stores there what they hold then, and the flags. */
void call_keeping(call_function *function, uint64_t kept[KEPT + 1], void *arg);
__asm__(".text\n"
        ".type call_keeping, @function\n"
        "call_keeping:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
        "mov (%rsi), %rbx\n mov 8(%rsi), %rbp\n mov 16(%rsi), %r12\n"
        "mov 24(%rsi), %r13\n mov 32(%rsi), %r14\n mov 40(%rsi), %r15\n"
        "mov %rdi, %rax\n mov %rdx, %rdi\n call *%rax\n"
        "pop %rsi\n"
        "mov %rbx, (%rsi)\n mov %rbp, 8(%rsi)\n mov %r12, 16(%rsi)\n"
        "mov %r13, 24(%rsi)\n mov %r14, 32(%rsi)\n mov %r15, 40(%rsi)\n"
        "pushfq\n pop 48(%rsi)\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size call_keeping, . - call_keeping\n");

enum { VECTORS = 0xe6 }; /* components: SSE, AVX, masks, both parts of AVX-512 */

__attribute__((target("xsave"))) static void keeping(call_function *function, void *arg)
{
    _xrstor64(call_image, VECTORS); /* a header of zeros: to their first state */
    call_keeping(function, kept, arg);
    _xsave64(call_image, -1);
}

void call_on_machine(call_function *function, void *arg)
{
    unsigned size = 0, a = 0, c = 0, d = 0;
    __cpuid_count(0xd, 0, a, size, c, d);
    if (size > IMAGE_MAX) /* no room for this CPU's registers */
        abort();
    call_image_len = size;
    memset(call_image, 0, sizeof(call_image));
    mxcsr = _mm_getcsr();
    memcpy(call_image + MXCSR_AT, &mxcsr, 4);
    memcpy(kept, patterns, sizeof(patterns));
    keeping(function, arg);
    mxcsr ^= _mm_getcsr();
}

void call_dirty_register(void *arg)
{
    __asm__ volatile("movdqu (%0), %%xmm9" : : "r"(arg) : "xmm9", "memory");
}

void call_dirty_upper(void *arg)
{
    __asm__ volatile("vmovdqu (%0), %%ymm9" : : "r"(arg) : "xmm9", "memory");
}

static bool is_clear(unsigned component)
{
    unsigned size = 0, offset = 0, more = 0, unused = 0;
    __cpuid_count(0xd, component, size, offset, more, unused);
    for (unsigned i = 0; i < size; i++)
        if (call_image[offset + i] != 0)
            return false;
    return true;
}

const char *call_machine_fault(void)
{
    if (memcmp(kept, patterns, sizeof(patterns)) != 0)
        return "a register that the callee must keep has changed";
    if ((kept[KEPT] & 0x400) != 0)
        return "the direction flag is set";
    if (mxcsr != 0)
        return "MXCSR has changed";
    if (!is_clear(AVX) || !is_clear(ZMM_HIGH))
        return "upper halves of vector registers are in use: no vzeroupper";
    return NULL;
}
