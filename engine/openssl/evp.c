/* SPDX-License-Identifier: Apache-2.0 */
/* The backend that always runs, and the oracle of the others: EVP, with the cipher fetched once,
 * contexts kept with their key, and only the IV set per message. EVP cannot start from an absorbed
 * prefix: the record path has its bytes, and they are hashed again for every message; whoever has
 * the state alone corrects the tag. */
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/backend.h"
#include "engine/envelope.h"
#include "engine/openssl/crypto.h"
#include "engine/openssl/evp.h"
#include "engine/openssl/ghash.h"
#include "engine/secret.h"

enum { SEAL = 1, OPEN = 0, KEPT = 4 };

/* A context works for one thread at a time, so a key keeps a few for each direction. */
typedef struct {
    kfe_aead_key base;
    EVP_CIPHER *cipher;
    _Atomic(EVP_CIPHER_CTX *) kept[2][KEPT];
    uint8_t raw[32];
    uint8_t h[16]; /* the hash key of GCM */
} evp_key;

static bool usable(void)
{
    return true;
}

typedef struct {
    EVP_CIPHER *aead, *ecb;
} ciphers;

static ciphers ciphers_of(const kfe_crypto *crypto, unsigned suite)
{
    switch (suite) {
    case KFE_A256GCM:
        return (ciphers){crypto->gcm256, crypto->ecb256};
    case KFE_A192GCM:
        return (ciphers){crypto->gcm192, crypto->ecb192};
    case KFE_A128GCM:
        return (ciphers){crypto->gcm128, crypto->ecb128};
    case KFE_C20P1305:
        return (ciphers){crypto->chacha, NULL};
    default:
        return (ciphers){NULL, NULL};
    }
}

/* H is the cipher of a block of zeros. */
static bool make_h(evp_key *key, const EVP_CIPHER *ecb)
{
    static const uint8_t zeros[16];
    int len = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool made = ctx != NULL && EVP_EncryptInit_ex2(ctx, ecb, key->raw, NULL, NULL) == 1 &&
                EVP_EncryptUpdate(ctx, key->h, &len, zeros, sizeof(zeros)) == 1 &&
                len == sizeof(key->h);
    EVP_CIPHER_CTX_free(ctx);
    return made;
}

static kfe_error key_init(kfe_aead_key *base, const kfe_crypto *crypto, unsigned suite,
                          const uint8_t *raw)
{
    evp_key *key = (evp_key *)base;
    kfe_error err = crypto == NULL ? kfe_crypto_shared(&crypto) : KFE_OK;
    if (err)
        return err;
    ciphers c = ciphers_of(crypto, suite);
    if (c.aead == NULL || (c.ecb == NULL && suite != KFE_C20P1305))
        return kfe_fail(KFE_E_BACKEND, "OpenSSL has no cipher for suite %u here", suite);
    kfe_secret_copy(key->raw, raw, sizeof(key->raw));
    if ((suite != KFE_C20P1305 && !make_h(key, c.ecb)) || EVP_CIPHER_up_ref(c.aead) != 1)
        return kfe_fail_openssl(KFE_E_BACKEND, "cannot set up a cipher");
    key->cipher = c.aead;
    return KFE_OK;
}

static void key_wipe(kfe_aead_key *base)
{
    evp_key *key = (evp_key *)base;
    for (int i = 0; i < 2 * KEPT; i++)
        EVP_CIPHER_CTX_free(key->kept[i / KEPT][i % KEPT]);
    EVP_CIPHER_free(key->cipher);
}

static EVP_CIPHER_CTX *borrow(const evp_key *key, int direction)
{
    _Atomic(EVP_CIPHER_CTX *) *kept = ((evp_key *)(uintptr_t)key)->kept[direction];
    for (int i = 0; i < KEPT; i++) {
        EVP_CIPHER_CTX *ctx = atomic_exchange(&kept[i], NULL);
        if (ctx != NULL)
            return ctx;
    }
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx != NULL && EVP_CipherInit_ex2(ctx, key->cipher, key->raw, NULL, direction, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void give_back(const evp_key *key, int direction, EVP_CIPHER_CTX *ctx)
{
    _Atomic(EVP_CIPHER_CTX *) *kept = ((evp_key *)(uintptr_t)key)->kept[direction];
    for (int i = 0; i < KEPT; i++) {
        EVP_CIPHER_CTX *none = NULL;
        if (atomic_compare_exchange_strong(&kept[i], &none, ctx))
            return;
    }
    EVP_CIPHER_CTX_free(ctx);
}

/* EVP counts in int; a text or an AAD may be longer. `out` NULL: an AAD. */
static bool feed(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in, uint64_t len)
{
    for (uint64_t done = 0; done < len;) {
        int part = len - done < (1u << 30) ? (int)(len - done) : 1 << 30, made = 0;
        if (EVP_CipherUpdate(ctx, out == NULL ? NULL : out + done, &made, in + done, part) != 1 ||
            (out != NULL && made != part))
            return false;
        done += (uint64_t)part;
    }
    return true;
}

/* Everything of a message but its tag. */
static bool transform(EVP_CIPHER_CTX *ctx, const kfe_aead_op *op, int direction)
{
    const kfe_prefix *p = (const kfe_prefix *)op->prefix;
    return EVP_CipherInit_ex2(ctx, NULL, NULL, op->nonce, direction, NULL) == 1 &&
           (p == NULL || feed(ctx, NULL, p->bytes, p->absorbed.len)) &&
           feed(ctx, NULL, op->aad, op->aad_len) && feed(ctx, op->out, op->in, op->len);
}

static bool seal_one(EVP_CIPHER_CTX *ctx, const kfe_aead_op *op)
{
    uint8_t none[16];
    int len = 0;
    return transform(ctx, op, SEAL) && EVP_CipherFinal_ex(ctx, none, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KFE_TAG_LEN, op->tag) == 1;
}

/* *forged is set when all went well but the tag does not fit. */
static bool open_one(EVP_CIPHER_CTX *ctx, const kfe_aead_op *op, bool *forged)
{
    uint8_t none[16], tag[KFE_TAG_LEN];
    int len = 0;
    memcpy(tag, op->tag, KFE_TAG_LEN);
    if (!transform(ctx, op, OPEN) ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KFE_TAG_LEN, tag) != 1)
        return false;
    *forged = EVP_CipherFinal_ex(ctx, none, &len) != 1;
    if (*forged && op->len > 0)
        kfe_wipe(op->out, op->len); /* EVP hands out text before it knows the tag */
    return true;
}

static kfe_error run(const kfe_aead_batch *b, int direction)
{
    EVP_CIPHER_CTX *ctx = NULL;
    bool good = true;
    for (size_t i = 0; i < b->n && good; i++) {
        const kfe_aead_op *op = &b->ops[i];
        const evp_key *key = (const evp_key *)op->key;
        if (ctx == NULL)
            ctx = borrow(key, direction);
        bool forged = false;
        good = ctx != NULL && (direction == SEAL ? seal_one(ctx, op) : open_one(ctx, op, &forged));
        if (forged)
            b->failed[i / 64] |= (uint64_t)1 << (i % 64);
        if (ctx != NULL && (i + 1 == b->n || op[1].key != op->key || !good)) {
            give_back(key, direction, ctx);
            ctx = NULL;
        }
    }
    if (good)
        return KFE_OK;
    for (size_t i = 0; i < b->n; i++)
        if (b->ops[i].len > 0)
            kfe_wipe(b->ops[i].out, b->ops[i].len);
    return kfe_fail_openssl(KFE_E_BACKEND, direction == SEAL ? "sealing" : "opening");
}

static void hash(const kfe_aead_key *key, uint8_t state[16], const uint8_t *data, size_t blocks)
{
    kfe_ghash(((const evp_key *)key)->h, state, data, blocks);
}

static void put_bits(uint8_t to[8], uint64_t bytes)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(bytes * 8 >> (56 - 8 * i));
}

/* GHASH is linear. The state that the prefix leaves goes through every block behind it, the last
 * one with the lengths included; and in that one the AAD is longer than EVP believed. */
void kfe_openssl_prefix_tag(const kfe_aead_op *op, uint8_t tag[16])
{
    const uint8_t *h = ((const evp_key *)op->key)->h;
    uint8_t differ[16], whole[16] = {0}, rest[16] = {0}, lengths[16] = {0};
    memcpy(differ, op->prefix->ghash, 16);
    kfe_ghash_zeros(h, differ,
                    ((uint64_t)op->aad_len + 15) / 16 + ((uint64_t)op->len + 15) / 16 + 1);
    put_bits(whole, op->prefix->len + op->aad_len);
    put_bits(rest, op->aad_len);
    for (int i = 0; i < 16; i++)
        whole[i] ^= rest[i];
    kfe_ghash(h, lengths, whole, 1);
    for (int i = 0; i < 16; i++)
        tag[i] = (uint8_t)(tag[i] ^ differ[i] ^ lengths[i]);
    kfe_wipe(differ, sizeof(differ)); /* both tell H */
    kfe_wipe(lengths, sizeof(lengths));
}

static kfe_error seal(const kfe_aead_batch *batch)
{
    return run(batch, SEAL);
}

static kfe_error open_batch(const kfe_aead_batch *batch)
{
    memset(batch->failed, 0, (batch->n + 63) / 64 * sizeof(uint64_t));
    return run(batch, OPEN);
}

const kfe_backend kfe_openssl_backend = {
    .name = "openssl",
    .suites = 1u << KFE_A256GCM | 1u << KFE_A128GCM | 1u << KFE_C20P1305 | 1u << KFE_A192GCM,
    .key_size = (sizeof(evp_key) + 63) / 64 * 64,
    .usable = usable,
    .key_init = key_init,
    .key_wipe = key_wipe,
    .seal = seal,
    .open = open_batch,
    .hash = hash,
};
