/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_PROVIDER_GCM_H
#define KFE_ENGINE_OPENSSL_PROVIDER_GCM_H

/* What stands behind an EVP_CIPHER_CTX for one of our ciphers. States and answers are those of
 * OpenSSL's own AES-GCM; where they differ, a comment says so. One thread at a time. */

#include "engine/openssl/provider.h"
#include "engine/openssl/provider_stream.h"

enum {
    KFE_GCM_TAG = 16,
    KFE_GCM_NONCE = 12,
    KFE_GCM_IV_MAX = 128,
    KFE_TLS_AAD = 13,     /* of a TLS 1.2 record: RFC 5246, 6.2.3.3 */
    KFE_TLS_FIXED = 4,    /* bytes of the IV that a TLS 1.2 connection keeps */
    KFE_TLS_EXPLICIT = 8, /* ... and that each record brings: RFC 5288 */
};

typedef enum {
    KFE_IV_NONE,  /* sealing makes a random one */
    KFE_IV_SET,   /* the message has not begun */
    KFE_IV_BEGUN, /* `message` is under way */
    KFE_IV_SPENT, /* nothing goes before another IV is set */
} kfe_iv_state;

typedef struct {
    const kfe_provider *provider;
    unsigned suite;
    size_t key_len, iv_len;
    kfe_iv_state iv_state;
    bool sealing, has_key, makes_ivs, has_tls_aad;
    bool has_tag; /* sealing: the message has ended; opening: it was given */
    uint8_t tag_len, tag[KFE_GCM_TAG], tls_aad[KFE_TLS_AAD];
    size_t tls_pad;
    uint64_t records; /* of TLS, sealed under this key */
    uint8_t raw[32];  /* the key, once `has_key`; zeros behind a short one */
    uint8_t iv[KFE_GCM_IV_MAX];
    kfe_stream message;
} kfe_gcm_ctx;

/* It lies behind the context in the same memory. */
kfe_aead_key *kfe_gcm_ctx_key(const kfe_gcm_ctx *ctx);

/* Makes the next IV where none was set, and begins the message. False: there is no key, or no IV to
 * be had. */
bool kfe_gcm_ctx_ready(kfe_gcm_ctx *ctx);

/* ---- Parameters: as the core calls them ------------------------------------------------------ */

int kfe_gcm_get_params(void *ctx, OSSL_PARAM params[]);
int kfe_gcm_set_params(void *ctx, const OSSL_PARAM params[]);
const OSSL_PARAM *kfe_gcm_gettable(void *ctx, void *provider);
const OSSL_PARAM *kfe_gcm_settable(void *ctx, void *provider);

/* ---- IVs that the context counts, and TLS 1.2 records ---------------------------------------- */

/* The first `len` bytes of all IVs to come, at least 4, leaving at least 8 to count with; when
 * sealing those start at random. `len` SIZE_MAX: a whole IV. */
bool kfe_gcm_fix_iv(kfe_gcm_ctx *ctx, const uint8_t *fixed, size_t len);

/* Begins a message with the IV at hand, gives out its last `len` bytes (0, or too many: all of
 * it), and counts. */
bool kfe_gcm_next_iv(kfe_gcm_ctx *ctx, uint8_t *out, size_t len);

/* Opening: begins a message with these as the last bytes of its IV. */
bool kfe_gcm_take_iv(kfe_gcm_ctx *ctx, const uint8_t *last, size_t len);

/* The next update is one whole record: explicit IV, text, tag. Its length in the AAD is what
 * the record layer puts there, which counts IV and (opening) tag. Returns the bytes that
 * sealing adds, 0: not such an AAD. */
size_t kfe_gcm_tls_aad(kfe_gcm_ctx *ctx, const uint8_t *aad, size_t len);

/* In place. `made` is set to the length of the record (sealing) or of its text (opening); to 0 with
 * false, and what was opened is zero then. */
bool kfe_gcm_tls_record(kfe_gcm_ctx *ctx, uint8_t *out, size_t *made, const uint8_t *in,
                        size_t len);

#endif
