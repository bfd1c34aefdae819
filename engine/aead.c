/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in secret memory, and batches of several backends. */
#include "engine/aead.h"

#include <string.h>

#include <kfe/config.h>

#include "engine/openssl/evp.h"
#include "engine/secret.h"

kfe_error kfe_aead_key_new(kfe_aead_key **out, const kfe_backend *backend,
                           const struct kfe_crypto *crypto, unsigned suite, const uint8_t *raw)
{
    kfe_aead_key *key = kfe_secret_alloc(backend->key_size);
    if (key == NULL)
        return KFE_E_MEMORY;
    kfe_error err = kfe_aead_key_expand(key, backend, crypto, suite, raw);
    if (err)
        kfe_secret_free(key);
    else
        *out = key;
    return err;
}

void kfe_aead_key_free(kfe_aead_key *key)
{
    /* A parent's key reads as zeros in a child, and what it has elsewhere is out of reach. */
    if (key != NULL && key->backend != NULL && key->backend->key_wipe != NULL)
        key->backend->key_wipe(key);
    kfe_secret_free(key);
}

enum { PORTION = 64 }; /* the messages of one word of `failed` */

/* What one backend gets of a portion. */
typedef struct {
    kfe_aead_op ops[PORTION];
    uint8_t place[PORTION];
    uint8_t tags[PORTION][16];
    uint64_t corrected; /* bit k: op k's tag stands in `tags`, without its prefix */
    size_t n;
} share;

/* OpenSSL gets messages without a prefix that it could not start from, and their tags are corrected
 * before or after. */
static void drop_prefix(share *s, size_t k, bool seal)
{
    kfe_aead_op *op = &s->ops[k];
    if (!seal) {
        memcpy(s->tags[k], op->tag, 16);
        kfe_openssl_prefix_tag(op, s->tags[k]);
    }
    op->prefix = NULL;
    op->tag = s->tags[k];
    s->corrected |= (uint64_t)1 << k;
}

/* Takes the messages of the first one's backend out of `todo`. */
static uint64_t gather(share *s, const kfe_aead_op *ops, uint64_t todo, kfe_aead_mode mode)
{
    const kfe_backend *backend = ops[__builtin_ctzll(todo)].key->backend;
    uint64_t left = todo;
    s->n = 0;
    s->corrected = 0;
    for (; todo != 0; todo &= todo - 1) {
        int i = __builtin_ctzll(todo);
        if (ops[i].key->backend != backend)
            continue;
        left ^= (uint64_t)1 << i;
        s->ops[s->n] = ops[i];
        s->place[s->n] = (uint8_t)i;
        if (!backend->from_state && !mode.bytes && ops[i].prefix != NULL)
            drop_prefix(s, s->n, mode.seal);
        s->n++;
    }
    return left;
}

static kfe_error run_share(share *s, const kfe_aead_op *ops, kfe_aead_mode mode, bool padded,
                           uint64_t *failed)
{
    uint64_t mask = 0;
    const kfe_backend *backend = s->ops[0].key->backend;
    const kfe_aead_batch batch = {s->ops, s->n, &mask, padded};
    kfe_error err = mode.seal ? backend->seal(&batch) : backend->open(&batch);
    for (; mask != 0; mask &= mask - 1)
        *failed |= (uint64_t)1 << s->place[__builtin_ctzll(mask)];
    for (uint64_t todo = mode.seal && !err ? s->corrected : 0; todo != 0; todo &= todo - 1) {
        int k = __builtin_ctzll(todo);
        const kfe_aead_op *op = &ops[s->place[k]];
        kfe_openssl_prefix_tag(op, s->tags[k]);
        memcpy(op->tag, s->tags[k], 16);
    }
    return err;
}

kfe_error kfe_aead_run_mixed(const kfe_aead_batch *batch, kfe_aead_mode mode)
{
    share s;
    kfe_error err = KFE_OK;
    for (size_t at = 0; !err && at < batch->n; at += PORTION) {
        const kfe_aead_op *ops = batch->ops + at;
        size_t n = batch->n - at;
        uint64_t todo = n < PORTION ? ((uint64_t)1 << n) - 1 : UINT64_MAX, failed = 0;
        while (!err && todo != 0) {
            todo = gather(&s, ops, todo, mode);
            err = run_share(&s, ops, mode, batch->padded, &failed);
        }
        if (!mode.seal)
            batch->failed[at / PORTION] = failed;
    }
    kfe_wipe(s.tags, sizeof(s.tags)); /* those of OpenSSL fit another AAD */
    for (size_t i = 0; err && i < batch->n; i++)
        kfe_wipe(batch->ops[i].out, batch->ops[i].len);
    return err;
}
