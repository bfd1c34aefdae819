/* SPDX-License-Identifier: Apache-2.0 */
/* The backend that always runs, and the oracle of the others: EVP, with the cipher fetched once,
 * contexts kept with their key, and only the IV set per message. EVP cannot start from an absorbed
 * prefix, so the prefix's bytes are hashed again for every message. */
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/backend.h"
#include "engine/envelope.h"
#include "engine/openssl/crypto.h"

enum { SEAL = 1, OPEN = 0, KEPT = 4 };

/* A context works for one thread at a time, so a key keeps a few for each direction. */
typedef struct {
    kfe_aead_key base;
    EVP_CIPHER *cipher;
    _Atomic(EVP_CIPHER_CTX *) kept[2][KEPT];
    uint8_t raw[32];
} evp_key;

static bool usable(void)
{
    return true;
}

static EVP_CIPHER *cipher_of(const kfe_crypto *crypto, unsigned suite)
{
    switch (suite) {
    case KFE_A256GCM:
        return crypto->gcm256;
    case KFE_A192GCM:
        return crypto->gcm192;
    case KFE_A128GCM:
        return crypto->gcm128;
    case KFE_C20P1305:
        return crypto->chacha;
    default:
        return NULL;
    }
}

static kfe_error key_init(kfe_aead_key *base, const kfe_crypto *crypto, unsigned suite,
                          const uint8_t *raw)
{
    evp_key *key = (evp_key *)base;
    EVP_CIPHER *cipher = cipher_of(crypto, suite);
    if (cipher == NULL)
        return kfe_fail(KFE_E_BACKEND, "OpenSSL has no cipher for suite %u here", suite);
    if (EVP_CIPHER_up_ref(cipher) != 1)
        return kfe_fail_openssl(KFE_E_BACKEND, "cannot share a cipher");
    key->cipher = cipher;
    memcpy(key->raw, raw, sizeof(key->raw));
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

static bool absorb(EVP_CIPHER_CTX *ctx, const kfe_aead_op *op)
{
    int len = 0;
    const kfe_prefix *prefix = (const kfe_prefix *)op->prefix;
    if (prefix != NULL && prefix->absorbed.len > 0 &&
        EVP_CipherUpdate(ctx, NULL, &len, prefix->bytes, (int)prefix->absorbed.len) != 1)
        return false;
    return op->aad_len == 0 || EVP_CipherUpdate(ctx, NULL, &len, op->aad, (int)op->aad_len) == 1;
}

/* Everything of a message but its tag. */
static bool transform(EVP_CIPHER_CTX *ctx, const kfe_aead_op *op, int direction)
{
    int len = 0;
    if (EVP_CipherInit_ex2(ctx, NULL, NULL, op->nonce, direction, NULL) != 1 || !absorb(ctx, op))
        return false;
    /* EVP counts in int; a record's fields in one text may be longer. */
    for (uint32_t done = 0; done < op->len;) {
        uint32_t part = op->len - done < (1u << 30) ? op->len - done : 1u << 30;
        if (EVP_CipherUpdate(ctx, op->out + done, &len, op->in + done, (int)part) != 1 ||
            len != (int)part)
            return false;
        done += part;
    }
    return true;
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
};
