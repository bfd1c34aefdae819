/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "pkcs11/meter.h"

uint64_t kfe_p11_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t kfe_p11_milliseconds(void)
{
    return kfe_p11_microseconds() / 1000;
}

static void add(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void kfe_p11_meter_count(kfe_p11_meter *meter, kfe_p11_kind kind, uint64_t microseconds)
{
    unsigned bucket = 0;
    for (uint64_t left = microseconds; left > 0 && bucket < KFE_LATENCY_BUCKETS - 1; left >>= 1)
        bucket++;
    add(&meter->calls[kind]);
    add(&meter->latency[bucket]);
    uint64_t most = atomic_load(&meter->latency_max_us);
    while (most < microseconds &&
           !atomic_compare_exchange_weak(&meter->latency_max_us, &most, microseconds))
        ;
}
