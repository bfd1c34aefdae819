/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_AHEAD_H
#define KFE_TESTS_PKCS11_AHEAD_H

/* For what takes minutes: CLOCK_MONOTONIC as this process reads it is so many seconds ahead. Waits
 * are not shortened. A program that uses it has a clock_gettime() of its own. */

#include <stdatomic.h>

extern atomic_long ahead_s;

#endif
