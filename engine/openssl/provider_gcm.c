/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine of a cipher context. The key is expanded once, when it is set; a message costs
 * its IV alone. Contexts are ordinary memory and hold no pointer into themselves: they live on in a
 * forked child, and a copy is a copy of the bytes. */
#include "engine/openssl/provider_gcm.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/proverr.h>

#include "engine/aead.h"
#include "engine/envelope.h"
#include "engine/openssl/provider_param.h"
#include "engine/secret.h"

enum { ALIGNED = 64, KEY_AT = (sizeof(kfe_gcm_ctx) + ALIGNED - 1) / ALIGNED * ALIGNED };

static size_t room(const kfe_provider *provider)
{
    return KEY_AT + provider->backend->key_size;
}

kfe_aead_key *kfe_gcm_ctx_key(const kfe_gcm_ctx *ctx)
{
    return (kfe_aead_key *)((uintptr_t)ctx + KEY_AT);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static kfe_gcm_ctx *new_ctx(const kfe_provider *provider, unsigned suite, size_t key_len)
{
    kfe_gcm_ctx *ctx = aligned_alloc(ALIGNED, room(provider));
    if (ctx == NULL)
        return NULL;
    memset(ctx, 0, room(provider));
    ctx->provider = provider;
    ctx->suite = suite;
    ctx->key_len = key_len;
    ctx->iv_len = KFE_GCM_NONCE;
    return ctx;
}

static void *new_128(void *provider)
{
    return new_ctx(provider, KFE_A128GCM, 16);
}

static void *new_192(void *provider)
{
    return new_ctx(provider, KFE_A192GCM, 24);
}

static void *new_256(void *provider)
{
    return new_ctx(provider, KFE_A256GCM, 32);
}

static void free_ctx(void *arg)
{
    kfe_gcm_ctx *ctx = arg;
    if (ctx == NULL)
        return;
    kfe_wipe(ctx, room(ctx->provider));
    free(ctx);
}

static void *dup_ctx(void *arg)
{
    const kfe_gcm_ctx *ctx = arg;
    kfe_gcm_ctx *copy = aligned_alloc(ALIGNED, room(ctx->provider));
    if (copy != NULL)
        memcpy(copy, ctx, room(ctx->provider));
    return copy;
}

/* ---- Init ------------------------------------------------------------------------------------ */

static int set_iv(kfe_gcm_ctx *ctx, const uint8_t *iv, size_t len)
{
    if (len == 0 || len > sizeof(ctx->iv))
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_IV_LENGTH);
    memcpy(ctx->iv, iv, len);
    ctx->iv_len = len;
    ctx->iv_state = KFE_IV_SET;
    return 1;
}

/* Many programs give the same key with every message. Whether it is the same is no secret. */
static kfe_error expand(kfe_gcm_ctx *ctx, const uint8_t *raw)
{
    kfe_aead_key *key = kfe_gcm_ctx_key(ctx);
    if (ctx->has_key && kfe_equal_ct(raw, ctx->raw, ctx->key_len))
        return KFE_OK;
    if (ctx->has_key)
        kfe_wipe(key, ctx->provider->backend->key_size);
    memcpy(ctx->raw, raw, ctx->key_len);
    kfe_error err = kfe_aead_key_expand(key, ctx->provider->backend, NULL, ctx->suite, ctx->raw);
    ctx->has_key = err == KFE_OK;
    return err;
}

static int set_key(kfe_gcm_ctx *ctx, const uint8_t *raw, size_t len)
{
    if (len != ctx->key_len)
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_KEY_LENGTH);
    ctx->records = 0;
    /* OpenSSL goes on with a text that no key opens. */
    if (ctx->iv_state == KFE_IV_BEGUN)
        ctx->iv_state = KFE_IV_SPENT;
    return expand(ctx, raw) == KFE_OK
               ? 1
               : kfe_provider_raise(ctx->provider, __FILE__, __LINE__,
                                    PROV_R_CIPHER_OPERATION_FAILED, kfe_error_detail());
}

static int init(kfe_gcm_ctx *ctx, const uint8_t *key, size_t key_len, const uint8_t *iv,
                size_t iv_len, const OSSL_PARAM params[])
{
    return (iv == NULL || set_iv(ctx, iv, iv_len)) && (key == NULL || set_key(ctx, key, key_len)) &&
           kfe_gcm_set_params(ctx, params);
}

static int seal_init(void *arg, const uint8_t *key, size_t key_len, const uint8_t *iv,
                     size_t iv_len, const OSSL_PARAM params[])
{
    kfe_gcm_ctx *ctx = arg;
    ctx->sealing = true;
    return init(ctx, key, key_len, iv, iv_len, params);
}

static int open_init(void *arg, const uint8_t *key, size_t key_len, const uint8_t *iv,
                     size_t iv_len, const OSSL_PARAM params[])
{
    kfe_gcm_ctx *ctx = arg;
    ctx->sealing = false;
    return init(ctx, key, key_len, iv, iv_len, params);
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* SP 800-38D, 8.2.2: at least 96 random bits. */
static bool random_iv(kfe_gcm_ctx *ctx)
{
    if (!ctx->sealing || ctx->iv_len < KFE_GCM_NONCE || kfe_random(ctx->iv, ctx->iv_len) != KFE_OK)
        return false;
    ctx->iv_state = KFE_IV_SET;
    return true;
}

bool kfe_gcm_ctx_ready(kfe_gcm_ctx *ctx)
{
    if (ctx->iv_state == KFE_IV_BEGUN)
        return true;
    if (!ctx->has_key || ctx->iv_state == KFE_IV_SPENT ||
        (ctx->iv_state == KFE_IV_NONE && !random_iv(ctx)))
        return false;
    kfe_stream_begin(&ctx->message, kfe_gcm_ctx_key(ctx), ctx->iv, ctx->iv_len);
    ctx->iv_state = KFE_IV_BEGUN;
    return true;
}

/* Without an output, the input is AAD. */
static bool part(kfe_gcm_ctx *ctx, uint8_t *out, size_t *made, const uint8_t *in, size_t len)
{
    if (ctx->has_tls_aad)
        return kfe_gcm_tls_record(ctx, out, made, in, len);
    if (!kfe_gcm_ctx_ready(ctx))
        return false;
    const kfe_aead_key *key = kfe_gcm_ctx_key(ctx);
    bool good = out == NULL    ? kfe_stream_aad(&ctx->message, key, in, len)
                : ctx->sealing ? kfe_stream_seal(&ctx->message, key, in, out, len)
                               : kfe_stream_open(&ctx->message, key, in, out, len);
    *made = good ? len : 0;
    return good;
}

static bool end(kfe_gcm_ctx *ctx)
{
    uint8_t tag[KFE_GCM_TAG];
    if (!ctx->has_key || !kfe_gcm_ctx_ready(ctx) || (!ctx->sealing && !ctx->has_tag))
        return false;
    /* Also when it was forged; OpenSSL then takes more text, for nothing. */
    ctx->iv_state = KFE_IV_SPENT;
    kfe_stream_tag(&ctx->message, kfe_gcm_ctx_key(ctx), tag);
    if (ctx->sealing) {
        memcpy(ctx->tag, tag, sizeof(tag));
        ctx->tag_len = sizeof(tag);
        ctx->has_tag = true;
        return true;
    }
    bool good = kfe_equal_ct(tag, ctx->tag, ctx->tag_len);
    kfe_wipe(tag, sizeof(tag)); /* of a forgery it is what the forger lacks */
    return good;
}

static int update(void *arg, uint8_t *out, size_t *made, size_t room_out, const uint8_t *in,
                  size_t len)
{
    kfe_gcm_ctx *ctx = arg;
    *made = 0;
    if (len == 0)
        return 1;
    if (room_out < len)
        return KFE_RAISE(ctx->provider, PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (in == NULL ? end(ctx) : part(ctx, out, made, in, len))
        return 1;
    return KFE_RAISE(ctx->provider, PROV_R_CIPHER_OPERATION_FAILED);
}

static int final(void *arg, uint8_t *out, size_t *made, size_t room_out)
{
    (void)out, (void)room_out;
    *made = 0;
    return end(arg);
}

/* EVP_Cipher(): update, or with no input final. */
static int cipher(void *arg, uint8_t *out, size_t *made, size_t room_out, const uint8_t *in,
                  size_t len)
{
    kfe_gcm_ctx *ctx = arg;
    *made = 0;
    if (room_out < len)
        return KFE_RAISE(ctx->provider, PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (!(in == NULL ? end(ctx) : part(ctx, out, made, in, len)))
        return 0;
    *made = len;
    return 1;
}

/* ---- What the core is told ------------------------------------------------------------------- */

static int set_facts(OSSL_PARAM params[], size_t key_len)
{
    const struct {
        const char *name;
        size_t value;
    } facts[] = {
        {OSSL_CIPHER_PARAM_MODE, EVP_CIPH_GCM_MODE},
        {OSSL_CIPHER_PARAM_KEYLEN, key_len},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1},
        {OSSL_CIPHER_PARAM_IVLEN, KFE_GCM_NONCE},
        {OSSL_CIPHER_PARAM_AEAD, 1},
        {OSSL_CIPHER_PARAM_CUSTOM_IV, 1},
        {OSSL_CIPHER_PARAM_CTS, 0},
        {OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, 0},
        {OSSL_CIPHER_PARAM_HAS_RAND_KEY, 0},
    };
    for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
        for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++)
            if (strcmp(p->key, facts[i].name) == 0 && !kfe_param_set_size(p, facts[i].value))
                return 0;
    return 1;
}

static int facts_128(OSSL_PARAM params[])
{
    return set_facts(params, 16);
}

static int facts_192(OSSL_PARAM params[])
{
    return set_facts(params, 24);
}

static int facts_256(OSSL_PARAM params[])
{
    return set_facts(params, 32);
}

static const OSSL_PARAM *known_facts(void *provider)
{
    static const OSSL_PARAM facts[] = {
        {OSSL_CIPHER_PARAM_MODE, OSSL_PARAM_UNSIGNED_INTEGER, NULL, sizeof(unsigned), 0},
        {OSSL_CIPHER_PARAM_KEYLEN, OSSL_PARAM_UNSIGNED_INTEGER, NULL, sizeof(size_t), 0},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, OSSL_PARAM_UNSIGNED_INTEGER, NULL, sizeof(size_t), 0},
        {OSSL_CIPHER_PARAM_IVLEN, OSSL_PARAM_UNSIGNED_INTEGER, NULL, sizeof(size_t), 0},
        {OSSL_CIPHER_PARAM_AEAD, OSSL_PARAM_INTEGER, NULL, sizeof(int), 0},
        {OSSL_CIPHER_PARAM_CUSTOM_IV, OSSL_PARAM_INTEGER, NULL, sizeof(int), 0},
        {OSSL_CIPHER_PARAM_CTS, OSSL_PARAM_INTEGER, NULL, sizeof(int), 0},
        {OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, OSSL_PARAM_INTEGER, NULL, sizeof(int), 0},
        {OSSL_CIPHER_PARAM_HAS_RAND_KEY, OSSL_PARAM_INTEGER, NULL, sizeof(int), 0},
        {NULL, 0, NULL, 0, 0},
    };
    (void)provider;
    return facts;
}

/* The core keeps functions without their types, by number: core_dispatch.h. */
typedef void (*function)(void);
#define CIPHER_TABLE(bits)                                                                         \
    static const OSSL_DISPATCH table_##bits[] = {                                                  \
        {OSSL_FUNC_CIPHER_NEWCTX, (function)new_##bits},                                           \
        {OSSL_FUNC_CIPHER_FREECTX, (function)free_ctx},                                            \
        {OSSL_FUNC_CIPHER_DUPCTX, (function)dup_ctx},                                              \
        {OSSL_FUNC_CIPHER_ENCRYPT_INIT, (function)seal_init},                                      \
        {OSSL_FUNC_CIPHER_DECRYPT_INIT, (function)open_init},                                      \
        {OSSL_FUNC_CIPHER_UPDATE, (function)update},                                               \
        {OSSL_FUNC_CIPHER_FINAL, (function) final},                                                \
        {OSSL_FUNC_CIPHER_CIPHER, (function)cipher},                                               \
        {OSSL_FUNC_CIPHER_GET_PARAMS, (function)facts_##bits},                                     \
        {OSSL_FUNC_CIPHER_GETTABLE_PARAMS, (function)known_facts},                                 \
        {OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (function)kfe_gcm_get_params},                           \
        {OSSL_FUNC_CIPHER_SET_CTX_PARAMS, (function)kfe_gcm_set_params},                           \
        {OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, (function)kfe_gcm_gettable},                        \
        {OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, (function)kfe_gcm_settable},                        \
        {0, NULL},                                                                                 \
    }

CIPHER_TABLE(128);
CIPHER_TABLE(192);
CIPHER_TABLE(256);

const OSSL_ALGORITHM kfe_provider_ciphers[] = {
    {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=kfe", table_256, "kfe"},
    {"AES-192-GCM:id-aes192-GCM:2.16.840.1.101.3.4.1.26", "provider=kfe", table_192, "kfe"},
    {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=kfe", table_128, "kfe"},
    {NULL, NULL, NULL, NULL},
};
