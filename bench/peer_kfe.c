/* SPDX-License-Identifier: Apache-2.0 */
/* kfe by its public header alone. The descriptors are filled anew for each batch, as they would be
 * for messages that were never seen before. */
#include "bench/peer.h"

#include <stdio.h>

#include <kfe/gcm.h>
#include <kfe/kfe.h>

static _Alignas(64) kfe_gcm_op ops[BATCH_MAX];
static uint64_t failed[BATCH_MAX / 64];

static void *key_new(const peer *self, const uint8_t *key, size_t len)
{
    kfe_gcm_key *made;
    if (kfe_gcm_key_new(&made, key, len, self->variant) != KFE_OK) {
        fprintf(stderr, "kfe-bench: %s: %s\n", self->name, kfe_error_detail());
        return NULL;
    }
    return made;
}

static void key_free(void *key)
{
    kfe_gcm_key_free(key);
}

static void fill(const batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        ops[i] = (kfe_gcm_op){
            .key = b->key[i & b->key_mask],
            .nonce = b->nonce[i],
            .aad = b->aad + i * b->aad_len,
            .in = b->in + b->text[i].offset,
            .out = b->out + b->text[i].offset,
            .tag = b->tag[i],
            .aad_len = b->aad_len,
            .len = b->text[i].len,
        };
}

static void seal(const batch *b)
{
    fill(b);
    if (kfe_gcm_seal(ops, b->n) != KFE_OK)
        fprintf(stderr, "kfe-bench: kfe: %s\n", kfe_error_detail());
}

static size_t open_batch(const batch *b)
{
    fill(b);
    kfe_error err = kfe_gcm_open(ops, b->n, failed);
    if (err != KFE_E_AUTH)
        return err == KFE_OK ? 0 : b->n;
    size_t refused = 0;
    for (size_t i = 0; i < (b->n + 63) / 64; i++)
        refused += (size_t)__builtin_popcountll(failed[i]);
    return refused;
}

void peer_kfe_add(peer_list *list)
{
    for (const char *const *name = kfe_backends(); *name != NULL; name++) {
        peer *p = peers_add(list, "kfe", *name);
        p->key_new = key_new;
        p->key_free = key_free;
        p->seal = seal;
        p->open = open_batch;
    }
    peers_version(list, "kfe %s", kfe_version());
}
