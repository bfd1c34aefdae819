/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <kfe/config.h>

#include "pkcs11/latch.h"

enum { REFUSED_MAX = 64, SALT_WORDS = 4 };

static _Atomic uint64_t refused[REFUSED_MAX]; /* 0: free */
static _Atomic uint64_t salt[SALT_WORDS];     /* 0: not drawn yet */

static kfe_error salt_get(uint64_t out[SALT_WORDS])
{
    for (size_t i = 0; i < SALT_WORDS; i++) {
        uint64_t seen = atomic_load(&salt[i]);
        while (seen == 0) {
            uint64_t fresh;
            if (getrandom(&fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
                return kfe_fail(KFE_E_RANDOM, "getrandom gives no random bytes");
            if (atomic_compare_exchange_strong(&salt[i], &seen, fresh))
                seen = fresh;
        }
        out[i] = seen;
    }
    return KFE_OK;
}

/* The three parts are hashed one by one first: no two inputs run together to the same text. */
kfe_error kfe_p11_latch_word(const char *module, const CK_TOKEN_INFO *token, const uint8_t *pin,
                             size_t len, uint64_t *word)
{
    const size_t each = 32;
    uint64_t key[SALT_WORDS];
    uint8_t parts[4 * 32], sum[32];
    kfe_error err = salt_get(key);
    if (err)
        return err;
    const struct {
        const void *data;
        size_t len;
    } in[] = {{module, strlen(module)},
              {token->label, sizeof(token->label)},
              {token->serialNumber, sizeof(token->serialNumber)},
              {pin, len}};
    bool ok = true;
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
        ok = ok && HMAC(EVP_sha256(), key, sizeof(key), in[i].data, in[i].len, parts + i * each,
                        NULL) != NULL;
    ok = ok && HMAC(EVP_sha256(), key, sizeof(key), parts, sizeof(parts), sum, NULL) != NULL;
    if (ok) {
        memcpy(word, sum, sizeof(*word));
        if (*word == 0)
            *word = 1;
    }
    kfe_wipe(key, sizeof(key));
    kfe_wipe(parts, sizeof(parts));
    kfe_wipe(sum, sizeof(sum));
    return ok ? KFE_OK : kfe_fail(KFE_E_MEMORY, "OpenSSL cannot compute an HMAC");
}

bool kfe_p11_latch_is_set(uint64_t word)
{
    for (size_t i = 0; i < REFUSED_MAX; i++) {
        uint64_t seen = atomic_load(&refused[i]);
        if (seen == word)
            return true;
        if (seen == 0)
            return false;
    }
    return true;
}

void kfe_p11_latch_set(uint64_t word)
{
    for (size_t i = 0; i < REFUSED_MAX; i++) {
        uint64_t seen = 0;
        if (atomic_compare_exchange_strong(&refused[i], &seen, word) || seen == word)
            return;
    }
}
