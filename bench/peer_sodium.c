/* SPDX-License-Identifier: Apache-2.0 */
/* libsodium with a prepared key; it knows AES-256 alone. */
#include "bench/peer.h"

#include <stdlib.h>

#include <sodium.h>

typedef crypto_aead_aes256gcm_state key;

static void *key_new(const peer *self, const uint8_t *raw, size_t len)
{
    (void)self;
    (void)len;
    key *k = aligned_alloc(64, (sizeof(*k) + 63) / 64 * 64);
    if (k != NULL)
        crypto_aead_aes256gcm_beforenm(k, raw);
    return k;
}

static void seal(const batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const slice *s = &b->text[i];
        crypto_aead_aes256gcm_encrypt_detached_afternm(
            b->out + s->offset, b->tag[i], NULL, b->in + s->offset, s->len, b->aad + i * b->aad_len,
            b->aad_len, NULL, b->nonce[i], b->key[i & b->key_mask]);
    }
}

static size_t open_batch(const batch *b)
{
    size_t refused = 0;
    for (size_t i = 0; i < b->n; i++) {
        const slice *s = &b->text[i];
        refused +=
            crypto_aead_aes256gcm_decrypt_detached_afternm(
                b->out + s->offset, NULL, b->in + s->offset, s->len, b->tag[i],
                b->aad + i * b->aad_len, b->aad_len, b->nonce[i], b->key[i & b->key_mask]) != 0;
    }
    return refused;
}

void peer_sodium_add(peer_list *list)
{
    if (sodium_init() < 0 || !crypto_aead_aes256gcm_is_available())
        return;
    peer *p = peers_add(list, "libsodium", "");
    p->only_256 = true;
    p->key_new = key_new;
    p->key_free = free;
    p->seal = seal;
    p->open = open_batch;
    peers_version(list, "libsodium %s", sodium_version_string());
}
