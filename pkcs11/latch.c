/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <kfe/secret.h>

#include "pkcs11/latch.h"

enum { REFUSED_MAX = 64, SUM_LEN = 32, PARTS = 4 };

/* In a page of its own, which is in no core file: who has the salt can guess short PINs from their
 * words, and one that was refused may be the right one but for a digit. Children have a copy, as
 * they try no PIN again either. */
typedef struct {
    uint8_t salt[32];
    _Atomic uint64_t refused[REFUSED_MAX]; /* 0: free */
} memory;

static _Atomic(memory *) the_memory; /* NULL: no PIN was looked at yet */

/* Two threads may both make one; the second gives its own back. */
static kfe_error memory_get(memory **out)
{
    *out = atomic_load(&the_memory);
    if (*out)
        return KFE_OK;
    memory *mine =
        mmap(NULL, sizeof(*mine), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mine == MAP_FAILED)
        return kfe_fail(KFE_E_MEMORY, "no memory to note refused PINs in: %s", strerror(errno));
    kfe_error err = KFE_OK;
    if (madvise(mine, sizeof(*mine), MADV_DONTDUMP) != 0 || mlock(mine, sizeof(*mine)) != 0)
        err = kfe_fail(KFE_E_MEMORY,
                       "cannot lock a page to note refused PINs in: %s; raise RLIMIT_MEMLOCK",
                       strerror(errno));
    else if (getrandom(mine->salt, sizeof(mine->salt), 0) != (ssize_t)sizeof(mine->salt))
        err = kfe_fail(KFE_E_RANDOM, "getrandom gives no random bytes");
    if (!err && atomic_compare_exchange_strong(&the_memory, out, mine)) {
        *out = mine;
        return KFE_OK;
    }
    (void)munmap(mine, sizeof(*mine));
    return err;
}

static bool hmac(const memory *m, const void *data, size_t len, uint8_t out[SUM_LEN])
{
    return HMAC(EVP_sha256(), m->salt, sizeof(m->salt), data, len, out, NULL) != NULL;
}

/* The parts are hashed one by one first: no two inputs run together to the same text. */
kfe_error kfe_p11_latch_word(const char *module, const CK_TOKEN_INFO *token, const uint8_t *pin,
                             size_t len, uint64_t *word)
{
    const struct {
        const void *data;
        size_t len;
    } in[PARTS] = {{module, strlen(module)},
                   {token->label, sizeof(token->label)},
                   {token->serialNumber, sizeof(token->serialNumber)},
                   {pin, len}};
    memory *m;
    kfe_error err = memory_get(&m);
    if (err)
        return err;
    uint8_t *sums = kfe_secret_alloc((PARTS + 1) * SUM_LEN), *all = sums;
    if (!sums)
        return KFE_E_MEMORY;
    bool ok = true;
    for (size_t i = 0; i < PARTS; i++, all += SUM_LEN)
        ok = ok && hmac(m, in[i].data, in[i].len, all);
    ok = ok && hmac(m, sums, PARTS * SUM_LEN, all);
    if (ok) {
        memcpy(word, all, sizeof(*word));
        if (*word == 0)
            *word = 1;
    }
    kfe_secret_free(sums);
    return ok ? KFE_OK : kfe_fail(KFE_E_MEMORY, "OpenSSL cannot compute an HMAC");
}

bool kfe_p11_latch_is_set(uint64_t word)
{
    const memory *m = atomic_load(&the_memory);
    for (size_t i = 0; m && i < REFUSED_MAX; i++) {
        uint64_t seen = atomic_load(&m->refused[i]);
        if (seen == word)
            return true;
        if (seen == 0)
            return false;
    }
    return true;
}

void kfe_p11_latch_set(uint64_t word)
{
    memory *m = atomic_load(&the_memory);
    for (size_t i = 0; m && i < REFUSED_MAX; i++) {
        uint64_t seen = 0;
        if (atomic_compare_exchange_strong(&m->refused[i], &seen, word) || seen == word)
            return;
    }
}
