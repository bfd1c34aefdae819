/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_CLOCK_H
#define KFE_KAFKA_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds that never go backwards. */
static inline int64_t kfe_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
