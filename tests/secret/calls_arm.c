/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/calls_machine.h"

#include <string.h>

enum { GENERAL = 10, KEPT = GENERAL + 8, IMAGE = 32 * 16 };

_Alignas(16) uint8_t call_image[IMAGE];
size_t call_image_len = IMAGE;

static uint64_t kept[KEPT]; /* x19 to x28, d8 to d15 */

static uint64_t pattern(int i)
{
    return 0x1b1b1b1b1b1b1b1b + 0x0101010101010101 * (uint64_t)i;
}

/* Loads x19 to x28 and d8 to d15 from `kept`, calls with the other vector registers zero, and
 * stores all of them. */
void call_keeping(call_function *function, uint64_t kept[KEPT], void *arg, uint8_t image[IMAGE]);
__asm__(".text\n"
        ".type call_keeping, %function\n"
        "call_keeping:\n"
        "stp x29, x30, [sp, -192]!\n mov x29, sp\n"
        "stp x19, x20, [sp, 16]\n stp x21, x22, [sp, 32]\n stp x23, x24, [sp, 48]\n"
        "stp x25, x26, [sp, 64]\n stp x27, x28, [sp, 80]\n"
        "stp d8, d9, [sp, 96]\n stp d10, d11, [sp, 112]\n"
        "stp d12, d13, [sp, 128]\n stp d14, d15, [sp, 144]\n"
        "stp x1, x3, [sp, 160]\n"
        "ldp x19, x20, [x1]\n ldp x21, x22, [x1, 16]\n ldp x23, x24, [x1, 32]\n"
        "ldp x25, x26, [x1, 48]\n ldp x27, x28, [x1, 64]\n"
        "ldp d8, d9, [x1, 80]\n ldp d10, d11, [x1, 96]\n"
        "ldp d12, d13, [x1, 112]\n ldp d14, d15, [x1, 128]\n"
        ".irp n, 0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "movi v\\n\\().2d, #0\n"
        ".endr\n"
        "mov x9, x0\n mov x0, x2\n blr x9\n"
        "ldp x1, x3, [sp, 160]\n"
        ".irp n, "
        "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "str q\\n, [x3, 16 * \\n]\n"
        ".endr\n"
        "stp x19, x20, [x1]\n stp x21, x22, [x1, 16]\n stp x23, x24, [x1, 32]\n"
        "stp x25, x26, [x1, 48]\n stp x27, x28, [x1, 64]\n"
        "stp d8, d9, [x1, 80]\n stp d10, d11, [x1, 96]\n"
        "stp d12, d13, [x1, 112]\n stp d14, d15, [x1, 128]\n"
        "ldp x19, x20, [sp, 16]\n ldp x21, x22, [sp, 32]\n ldp x23, x24, [sp, 48]\n"
        "ldp x25, x26, [sp, 64]\n ldp x27, x28, [sp, 80]\n"
        "ldp d8, d9, [sp, 96]\n ldp d10, d11, [sp, 112]\n"
        "ldp d12, d13, [sp, 128]\n ldp d14, d15, [sp, 144]\n"
        "ldp x29, x30, [sp], 192\n ret\n"
        ".size call_keeping, . - call_keeping\n");

void call_on_machine(call_function *function, void *arg)
{
    for (int i = 0; i < KEPT; i++)
        kept[i] = pattern(i);
    memset(call_image, 0, sizeof(call_image));
    call_keeping(function, kept, arg, call_image);
}

void call_dirty_register(void *arg)
{
    __asm__ volatile("ldr q17, [%0]" : : "r"(arg) : "v17", "memory");
}

/* Keeps the lower half, as it must, and leaves the upper one. */
void call_dirty_upper(void *arg)
{
    __asm__ volatile("ld1 {v9.d}[1], [%0]" : : "r"(arg) : "memory");
}

const char *call_machine_fault(void)
{
    for (int i = 0; i < KEPT; i++)
        if (kept[i] != pattern(i))
            return "a register that the callee must keep has changed";
    for (size_t n = 8; n < 16; n++)
        for (size_t i = 8; i < 16; i++)
            if (call_image[16 * n + i] != 0)
                return "upper halves of vector registers are in use: nobody restored the lower";
    return NULL;
}
