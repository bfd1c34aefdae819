/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_METER_H
#define KFE_PKCS11_METER_H

/* What is counted of a token's work, by any thread and without a lock. */

#include <stdatomic.h>
#include <stdint.h>

#include <kfe/keys.h>

typedef enum {
    KFE_P11_LOGIN = KFE_CALL_LOGIN,
    KFE_P11_FIND = KFE_CALL_FIND,
    KFE_P11_MAC = KFE_CALL_MAC,
    KFE_P11_WRAP = KFE_CALL_WRAP,
    KFE_P11_UNWRAP = KFE_CALL_UNWRAP,
    KFE_P11_ENCRYPT = KFE_CALL_ENCRYPT,
    KFE_P11_DECRYPT = KFE_CALL_DECRYPT,
    KFE_P11_GENERATE = KFE_CALL_GENERATE,
    KFE_P11_OTHER = KFE_CALL_OTHER,
    KFE_P11_N_KINDS,
} kfe_p11_kind;

typedef struct {
    _Atomic uint64_t calls[KFE_P11_N_KINDS]; /* runs of a task, of that kind; logins */
    _Atomic uint64_t failures;               /* runs that a code of the module made fail */
    _Atomic uint64_t timeouts;               /* callers that met their deadline */
    _Atomic uint64_t reconnects;             /* logins after the first one */
    /* How long runs took: bucket 0 counts those below 1 us, bucket i those of 2^(i-1) us and more,
     * and less than 2^i us, the last one all longer ones, too. */
    _Atomic uint64_t latency[KFE_LATENCY_BUCKETS];
    _Atomic uint64_t latency_max_us;
} kfe_p11_meter;

/* One run that took so long. */
void kfe_p11_meter_count(kfe_p11_meter *meter, kfe_p11_kind kind, uint64_t microseconds);

/* CLOCK_MONOTONIC. */
uint64_t kfe_p11_microseconds(void);
uint64_t kfe_p11_milliseconds(void);

#endif
