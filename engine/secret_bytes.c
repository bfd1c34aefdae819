/* SPDX-License-Identifier: Apache-2.0 */
/* What secrets need wherever they lie: wiping, copying, comparing, drawing. Apart from the arena,
 * because the OpenSSL provider has memory of its own. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "engine/secret.h"

void kfe_wipe(void *secret, size_t len)
{
    if (len > 0)
        explicit_bzero(secret, len);
}

/* Words that lie anywhere, of any memory. */
typedef uint64_t __attribute__((may_alias, aligned(1))) any_word;

void kfe_secret_copy(void *to, const void *from, size_t len)
{
    volatile any_word *words = to;
    const volatile any_word *in = from;
    size_t n = len / sizeof(*words);
    for (size_t i = 0; i < n; i++)
        words[i] = in[i];
    volatile uint8_t *bytes = (volatile uint8_t *)(words + n);
    const volatile uint8_t *rest = (const volatile uint8_t *)(in + n);
    for (size_t i = 0; i < len % sizeof(*words); i++)
        bytes[i] = rest[i];
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
