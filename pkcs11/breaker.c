/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/breaker.h"

static uint64_t pause_after(unsigned failures, uint32_t random)
{
    uint64_t ms = KFE_P11_BREAKER_FIRST_MS;
    for (unsigned i = 1; i < failures && ms < KFE_P11_BREAKER_LAST_MS; i++)
        ms *= 2;
    if (ms > KFE_P11_BREAKER_LAST_MS)
        ms = KFE_P11_BREAKER_LAST_MS;
    return ms - random % (ms / 2 + 1);
}

/* Callers that fail while it is open, with calls begun before, do not put the next try off. */
void kfe_p11_breaker_fail(kfe_p11_breaker *breaker, uint64_t now, uint32_t random)
{
    if (breaker->state == KFE_P11_OPEN)
        return;
    if (breaker->state == KFE_P11_CLOSED) {
        breaker->since = now;
        breaker->failures = 0;
    }
    breaker->state = KFE_P11_OPEN;
    breaker->failures++;
    breaker->next = now + pause_after(breaker->failures, random);
}

void kfe_p11_breaker_try(kfe_p11_breaker *breaker)
{
    breaker->state = KFE_P11_HALF_OPEN;
}

void kfe_p11_breaker_close(kfe_p11_breaker *breaker)
{
    breaker->state = KFE_P11_CLOSED;
}

uint64_t kfe_p11_breaker_wait(const kfe_p11_breaker *breaker, uint64_t now)
{
    return breaker->next > now ? breaker->next - now : 0;
}
