/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of the CPU. Built without any instruction set beyond the least one. */
#include <sys/auxv.h>

#include "arm/key.h"

/* From Linux' asm/hwcap.h. A kernel hides what it does not save and restore, so that there is
 * nothing else to ask. */
enum { AES = 1 << 3, PMULL = 1 << 4, SHA3 = 1 << 17 };

static bool has(unsigned long wanted)
{
    return (getauxval(AT_HWCAP) & wanted) == wanted;
}

bool kfe_arm_has_aes(void)
{
    return has(AES | PMULL);
}

bool kfe_arm_has_eor3(void)
{
    return has(AES | PMULL | SHA3);
}
