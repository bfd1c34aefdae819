/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL by EVP, with its own ciphers and with those of kfe.so, as a careful program uses it: the
 * cipher fetched once, a context for each key and direction, the IV alone set for each message. */
#include "bench/peer.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

typedef struct {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *seal, *open;
} key;

static void key_free(void *made)
{
    key *k = made;
    EVP_CIPHER_CTX_free(k->seal);
    EVP_CIPHER_CTX_free(k->open);
    EVP_CIPHER_free(k->cipher);
    free(k);
}

/* A library context for each way, and the ciphers fetched there: they outlive their keys, else each
 * key would pay for a search. */
typedef struct {
    const char *variant;
    OSSL_LIB_CTX *lib;
    EVP_CIPHER *fetched[3];
} way;

static way ways[] = {{.variant = ""}, {.variant = "kfe.so"}};

static EVP_CIPHER *cipher_of(way *w, size_t len)
{
    static const char *const names[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};
    size_t i = (len - 16) / 8;
    if (w->fetched[i] == NULL)
        w->fetched[i] = EVP_CIPHER_fetch(w->lib, names[i], NULL);
    return w->fetched[i];
}

static void *key_new(const peer *self, const uint8_t *raw, size_t len)
{
    EVP_CIPHER *cipher = cipher_of(&ways[*self->variant != 0], len);
    key *k = calloc(1, sizeof(*k));
    if (k == NULL || cipher == NULL || !EVP_CIPHER_up_ref(cipher)) {
        free(k);
        return NULL;
    }
    *k = (key){cipher, EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new()};
    if (k->seal != NULL && k->open != NULL &&
        EVP_EncryptInit_ex2(k->seal, k->cipher, raw, NULL, NULL) &&
        EVP_DecryptInit_ex2(k->open, k->cipher, raw, NULL, NULL))
        return k;
    key_free(k);
    return NULL;
}

static void seal(const batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        EVP_CIPHER_CTX *ctx = ((const key *)b->key[i & b->key_mask])->seal;
        const slice *s = &b->text[i];
        uint8_t *out = b->out + s->offset;
        int n;
        EVP_EncryptInit_ex2(ctx, NULL, NULL, b->nonce[i], NULL);
        EVP_EncryptUpdate(ctx, NULL, &n, b->aad + i * b->aad_len, (int)b->aad_len);
        EVP_EncryptUpdate(ctx, out, &n, b->in + s->offset, (int)s->len);
        EVP_EncryptFinal_ex(ctx, out + n, &n);
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, b->tag[i]);
    }
}

static size_t open_batch(const batch *b)
{
    size_t refused = 0;
    for (size_t i = 0; i < b->n; i++) {
        EVP_CIPHER_CTX *ctx = ((const key *)b->key[i & b->key_mask])->open;
        const slice *s = &b->text[i];
        uint8_t *out = b->out + s->offset;
        int n;
        EVP_DecryptInit_ex2(ctx, NULL, NULL, b->nonce[i], NULL);
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, b->tag[i]);
        EVP_DecryptUpdate(ctx, NULL, &n, b->aad + i * b->aad_len, (int)b->aad_len);
        EVP_DecryptUpdate(ctx, out, &n, b->in + s->offset, (int)s->len);
        refused += EVP_DecryptFinal_ex(ctx, out + n, &n) != 1;
    }
    return refused;
}

/* Our provider alone: what it does not have is then not found, instead of measured. */
static bool load_kfe(way *w)
{
    if (*BENCH_PROVIDER == 0)
        return false;
    w->lib = OSSL_LIB_CTX_new();
    return w->lib != NULL && OSSL_PROVIDER_set_default_search_path(w->lib, BENCH_PROVIDER) &&
           OSSL_PROVIDER_load(w->lib, "kfe") != NULL;
}

void peer_openssl_add(peer_list *list)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        if (*ways[i].variant && !load_kfe(&ways[i]))
            continue;
        peer *p = peers_add(list, "openssl", ways[i].variant);
        p->key_new = key_new;
        p->key_free = key_free;
        p->seal = seal;
        p->open = open_batch;
    }
    peers_version(list, "%s", OpenSSL_version(OPENSSL_VERSION));
}
