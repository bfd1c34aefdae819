/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONSTANT_TIME_LEAK_H
#define TESTS_CONSTANT_TIME_LEAK_H

/* Planted in front of a kernel (-include, behind follow.h): its last AES rounds leak, by a branch
 * or by an address, as leak_planted says. What follows secrets must cry out. PLANT_VECTORS is the
 * header of the kernel's vectors. */

#include PLANT_VECTORS

extern volatile int leak_planted; /* 0: none; 1: a branch; 2: an address */

static volatile unsigned char leak_table[256];

static inline vec leak_from(vec a)
{
    unsigned char bytes[sizeof(vec)];
    v_store(bytes, a);
    if (leak_planted == 1 && (bytes[0] & 1) != 0)
        leak_table[0]++;
    if (leak_planted == 2)
        leak_table[0] = leak_table[bytes[0]];
    return a;
}

#define v_aes_last(state, key) leak_from(v_aes_last(state, key))

#endif
