/* SPDX-License-Identifier: Apache-2.0 */
/* IVs that count by themselves, and TLS 1.2 records (RFC 5288), which go through the kernels' whole
 * message calls. TLS 1.3 needs nothing of this: it sets each IV. */
#include "engine/openssl/provider_gcm.h"

#include <string.h>

#include <openssl/proverr.h>

#include "engine/secret.h"

bool kfe_gcm_fix_iv(kfe_gcm_ctx *ctx, const uint8_t *fixed, size_t len)
{
    if (len == SIZE_MAX) {
        memcpy(ctx->iv, fixed, ctx->iv_len);
    } else {
        if (len < KFE_TLS_FIXED || len > ctx->iv_len || ctx->iv_len - len < KFE_TLS_EXPLICIT)
            return false;
        memcpy(ctx->iv, fixed, len);
        if (ctx->sealing && kfe_random(ctx->iv + len, ctx->iv_len - len) != KFE_OK)
            return false;
    }
    ctx->makes_ivs = true;
    ctx->iv_state = KFE_IV_SET;
    return true;
}

/* An invocation field of 64 bits does not come round. */
static void count_up(uint8_t *last)
{
    for (int i = KFE_TLS_EXPLICIT - 1; i >= 0; i--)
        if (++last[i] != 0)
            return;
}

bool kfe_gcm_next_iv(kfe_gcm_ctx *ctx, uint8_t *out, size_t len)
{
    if (!ctx->makes_ivs || !ctx->has_key || ctx->iv_len < KFE_TLS_EXPLICIT)
        return false;
    if (len == 0 || len > ctx->iv_len)
        len = ctx->iv_len;
    kfe_stream_begin(&ctx->message, kfe_gcm_ctx_key(ctx), ctx->iv, ctx->iv_len);
    memcpy(out, ctx->iv + ctx->iv_len - len, len);
    count_up(ctx->iv + ctx->iv_len - KFE_TLS_EXPLICIT);
    ctx->iv_state = KFE_IV_BEGUN;
    return true;
}

bool kfe_gcm_take_iv(kfe_gcm_ctx *ctx, const uint8_t *last, size_t len)
{
    if (!ctx->makes_ivs || !ctx->has_key || ctx->sealing || len > ctx->iv_len)
        return false;
    memcpy(ctx->iv + ctx->iv_len - len, last, len);
    kfe_stream_begin(&ctx->message, kfe_gcm_ctx_key(ctx), ctx->iv, ctx->iv_len);
    ctx->iv_state = KFE_IV_BEGUN;
    return true;
}

size_t kfe_gcm_tls_aad(kfe_gcm_ctx *ctx, const uint8_t *aad, size_t len)
{
    if (len != KFE_TLS_AAD)
        return 0;
    size_t around = ctx->sealing ? KFE_TLS_EXPLICIT : KFE_TLS_EXPLICIT + KFE_GCM_TAG;
    size_t text = (size_t)aad[KFE_TLS_AAD - 2] << 8 | aad[KFE_TLS_AAD - 1];
    if (text < around)
        return 0;
    text -= around;
    memcpy(ctx->tls_aad, aad, KFE_TLS_AAD);
    ctx->tls_aad[KFE_TLS_AAD - 2] = (uint8_t)(text >> 8);
    ctx->tls_aad[KFE_TLS_AAD - 1] = (uint8_t)text;
    ctx->has_tls_aad = true;
    return KFE_GCM_TAG;
}

/* In parts, for IVs of another length than the kernels' whole messages have. */
static bool record_in_parts(kfe_gcm_ctx *ctx, uint8_t *text, size_t len)
{
    const kfe_aead_key *key = kfe_gcm_ctx_key(ctx);
    uint8_t tag[KFE_GCM_TAG];
    if (!kfe_stream_aad(&ctx->message, key, ctx->tls_aad, KFE_TLS_AAD))
        return false;
    if (ctx->sealing) {
        bool good = kfe_stream_seal(&ctx->message, key, text, text, len);
        kfe_stream_tag(&ctx->message, key, text + len);
        return good;
    }
    if (!kfe_stream_open(&ctx->message, key, text, text, len))
        return false;
    kfe_stream_tag(&ctx->message, key, tag);
    bool good = kfe_equal_ct(tag, text + len, sizeof(tag));
    kfe_wipe(tag, sizeof(tag));
    if (!good)
        kfe_wipe(text, len);
    return good;
}

/* `text` with its tag behind it. */
static bool record(kfe_gcm_ctx *ctx, const uint8_t *nonce, uint8_t *text, size_t len)
{
    if (ctx->iv_len != KFE_GCM_NONCE || len > UINT32_MAX)
        return record_in_parts(ctx, text, len);
    kfe_aead_op op = {.key = kfe_gcm_ctx_key(ctx),
                      .nonce = nonce,
                      .aad = ctx->tls_aad,
                      .aad_len = KFE_TLS_AAD,
                      .in = text,
                      .out = text,
                      .len = (uint32_t)len,
                      .tag = text + len};
    uint64_t failed = 0;
    kfe_aead_batch batch = {.ops = &op, .n = 1, .failed = &failed};
    const kfe_backend *backend = ctx->provider->backend;
    return (ctx->sealing ? backend->seal : backend->open)(&batch) == KFE_OK && failed == 0;
}

static bool take_or_make_iv(kfe_gcm_ctx *ctx, uint8_t *explicit)
{
    if (!ctx->sealing)
        return kfe_gcm_take_iv(ctx, explicit, KFE_TLS_EXPLICIT);
    if (++ctx->records == 0) {
        KFE_RAISE(ctx->provider, PROV_R_TOO_MANY_RECORDS);
        return false;
    }
    return kfe_gcm_next_iv(ctx, explicit, KFE_TLS_EXPLICIT);
}

bool kfe_gcm_tls_record(kfe_gcm_ctx *ctx, uint8_t *out, size_t *made, const uint8_t *in, size_t len)
{
    enum { AROUND = KFE_TLS_EXPLICIT + KFE_GCM_TAG };
    uint8_t nonce[KFE_GCM_IV_MAX];
    bool good = ctx->has_key && out == in && len >= AROUND;
    memcpy(nonce, ctx->iv, ctx->iv_len);
    good = good && take_or_make_iv(ctx, out);
    if (good && !ctx->sealing)
        memcpy(nonce, ctx->iv, ctx->iv_len);
    good = good && record(ctx, nonce, out + KFE_TLS_EXPLICIT, len - AROUND);
    ctx->iv_state = KFE_IV_SPENT;
    ctx->has_tls_aad = false;
    *made = !good ? 0 : ctx->sealing ? len : len - AROUND;
    return good;
}
