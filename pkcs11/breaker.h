/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_BREAKER_H
#define KFE_PKCS11_BREAKER_H

/* A circuit breaker: closed while the token answers; open after an outage, when callers are
 * refused at once instead of waiting one by one; half-open while one try is made to get back.
 * Between tries it waits 100 ms, then twice as long each time up to 2 s, of which a random part
 * (up to half) is left out, so that many processes do not come back in step.
 *
 * Times are milliseconds of CLOCK_MONOTONIC, given by the caller; no locking. */

#include <stdint.h>

enum { KFE_P11_BREAKER_FIRST_MS = 100, KFE_P11_BREAKER_LAST_MS = 2000 };

typedef enum {
    KFE_P11_CLOSED,
    KFE_P11_OPEN,
    KFE_P11_HALF_OPEN,
} kfe_p11_breaker_state;

typedef struct {
    kfe_p11_breaker_state state; /* all zero: closed */
    unsigned failures;           /* since it was closed */
    uint64_t since, next;        /* when it opened; when the next try is due */
} kfe_p11_breaker;

/* An outage was seen, or a try failed: open, or still so. `random`: any number. */
void kfe_p11_breaker_fail(kfe_p11_breaker *breaker, uint64_t now, uint32_t random);
/* A try begins. */
void kfe_p11_breaker_try(kfe_p11_breaker *breaker);
/* The token answers. */
void kfe_p11_breaker_close(kfe_p11_breaker *breaker);

/* Milliseconds until the next try is due, 0: now. For one that is not closed. */
uint64_t kfe_p11_breaker_wait(const kfe_p11_breaker *breaker, uint64_t now);

#endif
