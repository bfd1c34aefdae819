/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/direct.h"

#include <stdlib.h>

#include "engine/derive.h"
#include "engine/secret.h"
#include "engine/wire.h"

enum { PORTION = 64 }; /* the messages of one word of `failed` */

typedef struct {
    kfe_aead_key base;
    kfe_key *key;
    unsigned iv_len;
} direct_key;

static const direct_key *direct(const kfe_aead_key *key)
{
    return (const direct_key *)key;
}

/* Each message's P || D, one after the other. NULL: out of memory. */
static uint8_t *join_aad(const kfe_aead_op *ops, size_t n, kfe_key_field *fields)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += (size_t)ops[i].prefix->len + ops[i].aad_len;
    uint8_t *start = malloc(len), *at = start;
    for (size_t i = 0; at != NULL && i < n; i++) {
        fields[i].aad = at;
        at = kfe_put(at, ((const kfe_prefix *)ops[i].prefix)->bytes, ops[i].prefix->len);
        at = kfe_put(at, ops[i].aad, ops[i].aad_len);
        fields[i].aad_size = (size_t)(at - fields[i].aad);
    }
    return start;
}

/* Messages of one key: a provider gets as many at once as there are. */
static kfe_error run(const kfe_aead_op *ops, size_t n, bool seal, uint64_t *failed)
{
    static uint8_t none[1];
    kfe_key_field fields[PORTION] = {{0}};
    const direct_key *d = direct(ops[0].key);
    uint8_t *aad = join_aad(ops, n, fields);
    if (aad == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        fields[i].in = ops[i].in != NULL ? ops[i].in : none;
        fields[i].out = ops[i].out != NULL ? ops[i].out : none;
        fields[i].len = ops[i].len;
        fields[i].iv_tag = ops[i].tag;
        fields[i].iv_size = d->iv_len;
    }
    kfe_error err =
        seal ? d->key->ops->seal(d->key, fields, n) : d->key->ops->open(d->key, fields, n);
    free(aad);
    if (err)
        err = kfe_provider_fault(err);
    if (seal)
        return err;
    for (size_t i = 0; i < n; i++) {
        bool bad = err || fields[i].forged;
        *failed |= (uint64_t)bad << i;
        ((kfe_prefix *)(uintptr_t)ops[i].prefix)->error = err;
        if (bad) /* whatever the provider left there */
            kfe_wipe(ops[i].out, ops[i].len);
    }
    return KFE_OK;
}

static kfe_error run_all(const kfe_aead_batch *batch, bool seal)
{
    kfe_error err = KFE_OK;
    for (size_t at = 0; !err && at < batch->n; at += PORTION) {
        const kfe_aead_op *ops = batch->ops + at;
        size_t n = batch->n - at < PORTION ? batch->n - at : PORTION;
        uint64_t failed = 0;
        for (size_t i = 0, end; !err && i < n; i = end) {
            uint64_t some = 0;
            for (end = i + 1; end < n && ops[end].key == ops[i].key;)
                end++;
            err = run(ops + i, end - i, seal, &some);
            failed |= some << i;
        }
        if (!seal)
            batch->failed[at / PORTION] = failed;
    }
    for (size_t i = 0; err && i < batch->n; i++)
        kfe_wipe(batch->ops[i].out, batch->ops[i].len);
    return err;
}

static kfe_error seal(const kfe_aead_batch *batch)
{
    return run_all(batch, true);
}

static kfe_error open(const kfe_aead_batch *batch)
{
    return run_all(batch, false);
}

static const kfe_backend backend = {
    .name = "direct", .key_size = sizeof(direct_key), .seal = seal, .open = open};

kfe_error kfe_direct_key_new(kfe_aead_key **out, kfe_key *key, unsigned iv_len)
{
    direct_key *d = kfe_secret_alloc(sizeof(*d)); /* gone in a child, as every key */
    if (d == NULL)
        return KFE_E_MEMORY;
    d->base.backend = &backend;
    d->key = key;
    d->iv_len = iv_len;
    *out = &d->base;
    return KFE_OK;
}
