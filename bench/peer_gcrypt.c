/* SPDX-License-Identifier: Apache-2.0 */
/* libgcrypt with a handle for each key. */
#include "bench/peer.h"

#include <gcrypt.h>

static void key_free(void *key)
{
    gcry_cipher_close(key);
}

static void *key_new(const peer *self, const uint8_t *raw, size_t len)
{
    (void)self;
    static const int algorithms[] = {GCRY_CIPHER_AES128, GCRY_CIPHER_AES192, GCRY_CIPHER_AES256};
    gcry_cipher_hd_t handle;
    if (gcry_cipher_open(&handle, algorithms[(len - 16) / 8], GCRY_CIPHER_MODE_GCM, 0) != 0)
        return NULL;
    if (gcry_cipher_setkey(handle, raw, len) == 0)
        return handle;
    gcry_cipher_close(handle);
    return NULL;
}

static void seal(const batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        gcry_cipher_hd_t handle = b->key[i & b->key_mask];
        const slice *s = &b->text[i];
        gcry_cipher_setiv(handle, b->nonce[i], NONCE);
        gcry_cipher_authenticate(handle, b->aad + i * b->aad_len, b->aad_len);
        gcry_cipher_encrypt(handle, b->out + s->offset, s->len, b->in + s->offset, s->len);
        gcry_cipher_gettag(handle, b->tag[i], TAG);
    }
}

static size_t open_batch(const batch *b)
{
    size_t refused = 0;
    for (size_t i = 0; i < b->n; i++) {
        gcry_cipher_hd_t handle = b->key[i & b->key_mask];
        const slice *s = &b->text[i];
        gcry_cipher_setiv(handle, b->nonce[i], NONCE);
        gcry_cipher_authenticate(handle, b->aad + i * b->aad_len, b->aad_len);
        gcry_cipher_decrypt(handle, b->out + s->offset, s->len, b->in + s->offset, s->len);
        refused += gcry_cipher_checktag(handle, b->tag[i], TAG) != 0;
    }
    return refused;
}

void peer_gcrypt_add(peer_list *list)
{
    if (gcry_check_version("1.8.0") == NULL)
        return;
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    peer *p = peers_add(list, "libgcrypt", "");
    p->key_new = key_new;
    p->key_free = key_free;
    p->seal = seal;
    p->open = open_batch;
    peers_version(list, "libgcrypt %s", gcry_check_version(NULL));
}
