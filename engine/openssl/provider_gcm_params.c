/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a context: what EVP_CIPHER_CTX_ctrl() and its like come down to. EVP asks for the
 * lengths of key and IV with every init, so those are looked for first. */
#include "engine/openssl/provider_gcm.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/proverr.h>

#include "engine/openssl/provider_param.h"

static const char *const names[] = {
    OSSL_CIPHER_PARAM_IVLEN,
    OSSL_CIPHER_PARAM_KEYLEN,
    OSSL_CIPHER_PARAM_AEAD_TAG,
    OSSL_CIPHER_PARAM_AEAD_TAGLEN,
    OSSL_CIPHER_PARAM_IV,
    OSSL_CIPHER_PARAM_UPDATED_IV,
    OSSL_CIPHER_PARAM_AEAD_TLS1_AAD,
    OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD,
    OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED,
    OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN,
    OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV,
};

enum name {
    IV_LEN,
    KEY_LEN,
    TAG,
    TAG_LEN,
    IV,
    UPDATED_IV,
    TLS_AAD,
    TLS_PAD,
    TLS_IV_FIXED,
    TLS_IV_NEXT,
    TLS_IV_TAKE,
    UNKNOWN
};

static enum name name_of(const char *key)
{
    unsigned i = 0;
    while (i < UNKNOWN && strcmp(key, names[i]) != 0)
        i++;
    return (enum name)i;
}

static bool is_octets(const OSSL_PARAM *p)
{
    return p->data_type == OSSL_PARAM_OCTET_STRING && p->data != NULL;
}

/* ---- Get ------------------------------------------------------------------------------------- */

static int answer(const kfe_gcm_ctx *ctx, bool good)
{
    return good ? 1 : KFE_RAISE(ctx->provider, PROV_R_FAILED_TO_SET_PARAMETER);
}

static int get_iv(const kfe_gcm_ctx *ctx, OSSL_PARAM *p)
{
    if (ctx->iv_state == KFE_IV_NONE)
        return 0;
    if (p->data_size < ctx->iv_len)
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_IV_LENGTH);
    return answer(ctx, kfe_param_set_octets(p, ctx->iv, ctx->iv_len));
}

static int get_tag(const kfe_gcm_ctx *ctx, OSSL_PARAM *p)
{
    size_t len = p->data_size;
    if (len == 0 || len > KFE_GCM_TAG || !ctx->sealing || !ctx->has_tag)
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_TAG);
    return answer(ctx, kfe_param_set_octets(p, ctx->tag, len));
}

static int get_one(kfe_gcm_ctx *ctx, OSSL_PARAM *p)
{
    switch (name_of(p->key)) {
    case IV_LEN:
        return answer(ctx, kfe_param_set_size(p, ctx->iv_len));
    case KEY_LEN:
        return answer(ctx, kfe_param_set_size(p, ctx->key_len));
    case TAG_LEN:
        return answer(ctx, kfe_param_set_size(p, ctx->has_tag ? ctx->tag_len : KFE_GCM_TAG));
    case IV:
    case UPDATED_IV:
        return get_iv(ctx, p);
    case TAG:
        return get_tag(ctx, p);
    case TLS_PAD:
        return answer(ctx, kfe_param_set_size(p, ctx->tls_pad));
    case TLS_IV_NEXT:
        return is_octets(p) && kfe_gcm_next_iv(ctx, p->data, p->data_size);
    case TLS_AAD:
    case TLS_IV_FIXED:
    case TLS_IV_TAKE:
    case UNKNOWN:
        break; /* a stranger's are nothing to us */
    }
    return 1;
}

int kfe_gcm_get_params(void *ctx, OSSL_PARAM params[])
{
    for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
        if (!get_one(ctx, p))
            return 0;
    return 1;
}

/* ---- Set ------------------------------------------------------------------------------------- */

static int set_tag(kfe_gcm_ctx *ctx, const OSSL_PARAM *p)
{
    if (!is_octets(p) || p->data_size > KFE_GCM_TAG)
        return KFE_RAISE(ctx->provider, PROV_R_FAILED_TO_GET_PARAMETER);
    if (p->data_size == 0 || ctx->sealing)
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_TAG);
    memcpy(ctx->tag, p->data, p->data_size);
    ctx->tag_len = (uint8_t)p->data_size;
    ctx->has_tag = true;
    return 1;
}

static int set_iv_len(kfe_gcm_ctx *ctx, const OSSL_PARAM *p)
{
    size_t len = 0;
    if (!kfe_param_get_size(p, &len))
        return KFE_RAISE(ctx->provider, PROV_R_FAILED_TO_GET_PARAMETER);
    if (len == 0 || len > sizeof(ctx->iv))
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_IV_LENGTH);
    /* An IV of another length was another IV. */
    if (len != ctx->iv_len && ctx->iv_state != KFE_IV_NONE)
        ctx->iv_state = KFE_IV_SPENT;
    ctx->iv_len = len;
    return 1;
}

static int set_tls_aad(kfe_gcm_ctx *ctx, const OSSL_PARAM *p)
{
    if (!is_octets(p))
        return KFE_RAISE(ctx->provider, PROV_R_FAILED_TO_GET_PARAMETER);
    size_t pad = kfe_gcm_tls_aad(ctx, p->data, p->data_size);
    if (pad == 0)
        return KFE_RAISE(ctx->provider, PROV_R_INVALID_AAD);
    ctx->tls_pad = pad;
    return 1;
}

static int set_one(kfe_gcm_ctx *ctx, const OSSL_PARAM *p)
{
    switch (name_of(p->key)) {
    case TAG:
        return set_tag(ctx, p);
    case IV_LEN:
        return set_iv_len(ctx, p);
    case TLS_AAD:
        return set_tls_aad(ctx, p);
    case TLS_IV_FIXED:
        if (!is_octets(p) || !kfe_gcm_fix_iv(ctx, p->data, p->data_size))
            return KFE_RAISE(ctx->provider, PROV_R_FAILED_TO_GET_PARAMETER);
        return 1;
    case TLS_IV_TAKE:
        return is_octets(p) && kfe_gcm_take_iv(ctx, p->data, p->data_size);
    case KEY_LEN:
    case TAG_LEN:
    case IV:
    case UPDATED_IV:
    case TLS_PAD:
    case TLS_IV_NEXT:
    case UNKNOWN:
        break;
    }
    return 1;
}

int kfe_gcm_set_params(void *ctx, const OSSL_PARAM params[])
{
    for (const OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
        if (!set_one(ctx, p))
            return 0;
    return 1;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

#define SIZE(name)                                                                                 \
    {                                                                                              \
        name, OSSL_PARAM_UNSIGNED_INTEGER, NULL, sizeof(size_t), 0                                 \
    }
#define OCTETS(name)                                                                               \
    {                                                                                              \
        name, OSSL_PARAM_OCTET_STRING, NULL, 0, 0                                                  \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, NULL, 0, 0                                                                        \
    }

const OSSL_PARAM *kfe_gcm_gettable(void *ctx, void *provider)
{
    static const OSSL_PARAM list[] = {
        SIZE(OSSL_CIPHER_PARAM_KEYLEN),
        SIZE(OSSL_CIPHER_PARAM_IVLEN),
        SIZE(OSSL_CIPHER_PARAM_AEAD_TAGLEN),
        OCTETS(OSSL_CIPHER_PARAM_IV),
        OCTETS(OSSL_CIPHER_PARAM_UPDATED_IV),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG),
        SIZE(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN),
        END,
    };
    (void)ctx, (void)provider;
    return list;
}

const OSSL_PARAM *kfe_gcm_settable(void *ctx, void *provider)
{
    static const OSSL_PARAM list[] = {
        SIZE(OSSL_CIPHER_PARAM_AEAD_IVLEN),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV),
        END,
    };
    (void)ctx, (void)provider;
    return list;
}
