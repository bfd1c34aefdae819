/* SPDX-License-Identifier: Apache-2.0 */
/* What secrets need wherever they lie: wiping, comparing, drawing. Apart from the arena, because
 * the OpenSSL provider has memory of its own. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "engine/secret.h"

void kfe_wipe(void *secret, size_t len)
{
    if (len > 0)
        explicit_bzero(secret, len);
}

bool kfe_equal_ct(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < len; i++)
        differ = (uint8_t)(differ | (x[i] ^ y[i]));
    return differ == 0;
}

kfe_error kfe_random(void *out, size_t len)
{
    uint8_t *at = out;
    for (size_t left = len; left > 0;) {
        ssize_t got = getrandom(at, left, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            kfe_wipe(out, len);
            return kfe_fail(KFE_E_RANDOM, "getrandom() failed: %s", strerror(errno));
        }
        at += got;
        left -= (size_t)got;
    }
    return KFE_OK;
}
