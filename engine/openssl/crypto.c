/* SPDX-License-Identifier: Apache-2.0 */

/* Every call makes its own EVP context: contexts are not shared between threads, and none
 * outlives a call, so no key schedule stays behind. The fetched methods are what is costly, and
 * those are kept. */

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <kfe/config.h>

#include "engine/openssl/crypto.h"

enum { TAG = 16, SCRYPT_MEMORY = 256 << 20 };

kfe_error kfe_fail_openssl(kfe_error code, const char *what)
{
    char reason[160] = "no reason given";
    unsigned long first = ERR_get_error();
    if (first != 0)
        ERR_error_string_n(first, reason, sizeof(reason));
    ERR_clear_error();
    return kfe_fail(code, "%s: OpenSSL says %s", what, reason);
}

/* A property query is only of use with the OpenSSL providers that it selects, and those are named
 * in the OpenSSL configuration file, which a context of our own does not read by itself. */
static kfe_error use_properties(kfe_crypto *crypto, const char *propquery)
{
    if (propquery == NULL || propquery[0] == '\0')
        return KFE_OK;
    if (CONF_modules_load_file_ex(crypto->lib, NULL, NULL, CONF_MFLAGS_IGNORE_MISSING_FILE) <= 0)
        return kfe_fail_openssl(KFE_E_BACKEND, "cannot load the OpenSSL configuration file");
    if (EVP_set_default_properties(crypto->lib, propquery) != 1)
        return kfe_fail_openssl(KFE_E_BACKEND, "encryption.openssl.propquery is not a query");
    return KFE_OK;
}

static kfe_error fetch_all(kfe_crypto *crypto, const char *propquery)
{
    const char *query = propquery == NULL || propquery[0] == '\0' ? "(any)" : propquery;
    crypto->gcm128 = EVP_CIPHER_fetch(crypto->lib, "AES-128-GCM", NULL);
    crypto->gcm256 = EVP_CIPHER_fetch(crypto->lib, "AES-256-GCM", NULL);
    crypto->hmac = EVP_MAC_fetch(crypto->lib, "HMAC", NULL);
    const char *missing = crypto->gcm128 == NULL   ? "AES-128-GCM"
                          : crypto->gcm256 == NULL ? "AES-256-GCM"
                          : crypto->hmac == NULL   ? "HMAC"
                                                   : NULL;
    crypto->gcm192 = EVP_CIPHER_fetch(crypto->lib, "AES-192-GCM", NULL);
    crypto->ecb128 = EVP_CIPHER_fetch(crypto->lib, "AES-128-ECB", NULL);
    crypto->ecb192 = EVP_CIPHER_fetch(crypto->lib, "AES-192-ECB", NULL);
    crypto->ecb256 = EVP_CIPHER_fetch(crypto->lib, "AES-256-ECB", NULL);
    /* A FIPS module has none of these three. */
    crypto->chacha = EVP_CIPHER_fetch(crypto->lib, "ChaCha20-Poly1305", NULL);
    crypto->siv256 = EVP_CIPHER_fetch(crypto->lib, "AES-256-SIV", NULL);
    crypto->scrypt = EVP_KDF_fetch(crypto->lib, "SCRYPT", NULL);
    ERR_clear_error();
    if (missing == NULL)
        return KFE_OK;
    return kfe_fail(KFE_E_BACKEND,
                    "OpenSSL has no %s for the property query %.100s: check "
                    "encryption.openssl.propquery and the OpenSSL configuration file",
                    missing, query);
}

kfe_error kfe_crypto_new(kfe_crypto **out, const char *propquery)
{
    kfe_crypto *crypto = calloc(1, sizeof(*crypto));
    if (crypto == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for the OpenSSL algorithms");
    crypto->lib = OSSL_LIB_CTX_new();
    kfe_error err = KFE_OK;
    if (crypto->lib == NULL)
        err = kfe_fail_openssl(KFE_E_BACKEND, "cannot make an OpenSSL library context");
    if (err == KFE_OK)
        err = use_properties(crypto, propquery);
    if (err == KFE_OK)
        err = fetch_all(crypto, propquery);
    if (err) {
        kfe_crypto_free(crypto);
        return err;
    }
    *out = crypto;
    return KFE_OK;
}

/* Two threads may both make one; the second frees its own. */
kfe_error kfe_crypto_shared(const kfe_crypto **out)
{
    static _Atomic(kfe_crypto *) shared;
    kfe_crypto *have = atomic_load_explicit(&shared, memory_order_acquire), *mine = NULL;
    if (have == NULL) {
        kfe_error err = kfe_crypto_new(&mine, NULL);
        if (err)
            return err;
        if (atomic_compare_exchange_strong(&shared, &have, mine))
            have = mine;
        else
            kfe_crypto_free(mine);
    }
    *out = have;
    return KFE_OK;
}

void kfe_crypto_free(kfe_crypto *crypto)
{
    if (crypto == NULL)
        return;
    EVP_CIPHER_free(crypto->gcm128);
    EVP_CIPHER_free(crypto->gcm192);
    EVP_CIPHER_free(crypto->gcm256);
    EVP_CIPHER_free(crypto->chacha);
    EVP_CIPHER_free(crypto->siv256);
    EVP_CIPHER_free(crypto->ecb128);
    EVP_CIPHER_free(crypto->ecb192);
    EVP_CIPHER_free(crypto->ecb256);
    EVP_MAC_free(crypto->hmac);
    EVP_KDF_free(crypto->scrypt);
    OSSL_LIB_CTX_free(crypto->lib);
    free(crypto);
}

kfe_error kfe_hmac_sha256(const kfe_crypto *crypto, const uint8_t key[32], const uint8_t *data,
                          size_t len, uint8_t out[32])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_END};
    size_t made = 0;
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(crypto->hmac);
    int ok = ctx != NULL && EVP_MAC_init(ctx, key, 32, params) == 1 &&
             (len == 0 || EVP_MAC_update(ctx, data, len) == 1) &&
             EVP_MAC_final(ctx, out, &made, 32) == 1 && made == 32;
    EVP_MAC_CTX_free(ctx);
    if (ok)
        return KFE_OK;
    kfe_wipe(out, 32);
    return kfe_fail_openssl(KFE_E_BACKEND, "HMAC-SHA-256 failed");
}

/* Checked by our own arithmetic, so that a hostile file cannot ask OpenSSL for a large piece of
 * memory first: B is 128 r p bytes, V is 128 r N bytes. */
static bool scrypt_is_bounded(unsigned log2_n, unsigned r, unsigned p)
{
    if (log2_n < 1 || log2_n > 24 || r < 1 || r > 1024 || p < 1 || p > 1024)
        return false;
    uint64_t memory = 128 * (uint64_t)r * (((uint64_t)1 << log2_n) + p + 2);
    return memory <= SCRYPT_MEMORY && log2_n < 16 * r; /* RFC 7914, section 2: N < 2^(128 r/8) */
}

/* OpenSSL's PBKDF2, the last step of scrypt, leaves its result on the stack. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t below[8192];
    kfe_wipe(below, sizeof(below));
}

kfe_error kfe_scrypt(const kfe_crypto *crypto, kfe_bytes pass, kfe_bytes salt,
                     const uint32_t cost[3], uint8_t out[32])
{
    uint32_t log2_n = cost[0], r = cost[1], p = cost[2];
    if (!scrypt_is_bounded(log2_n, r, p))
        return kfe_fail(KFE_E_ARGUMENT,
                        "scrypt parameters log2 N = %u, r = %u, p = %u are out of "
                        "bounds (256 MiB)",
                        log2_n, r, p);
    if (crypto->scrypt == NULL)
        return kfe_fail(KFE_E_BACKEND, "OpenSSL has no scrypt here (a FIPS module has none)");
    uint8_t none = 0; /* OpenSSL takes an empty string, but no null pointer */
    uint64_t n = (uint64_t)1 << log2_n, memory = SCRYPT_MEMORY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_PASSWORD, pass.len ? (void *)(uintptr_t)pass.data : &none, pass.len),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SALT, salt.len ? (void *)(uintptr_t)salt.data : &none, salt.len),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_END};
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(crypto->scrypt);
    int ok = ctx != NULL && EVP_KDF_derive(ctx, out, 32, params) == 1;
    EVP_KDF_CTX_free(ctx);
    wipe_stack();
    if (ok)
        return KFE_OK;
    kfe_wipe(out, 32);
    return kfe_fail_openssl(KFE_E_BACKEND, "scrypt failed");
}

/* One message through EVP. `tag` is written when sealing, read when opening; `out` gets `len`
 * bytes. SIV checks its tag in the update, GCM in the final call: both mean a forgery. */
typedef struct {
    const EVP_CIPHER *cipher;
    const uint8_t *key, *nonce;
    const void *ad;
    const uint8_t *in;
    uint8_t *out, *tag;
    size_t ad_len, len;
} message;

static int feed(EVP_CIPHER_CTX *ctx, uint8_t *out, const void *in, size_t len)
{
    int made = 0;
    return EVP_CipherUpdate(ctx, out, &made, in, (int)len) == 1 &&
           (out == NULL || (size_t)made == len);
}

static kfe_error run(const message *m, bool seal)
{
    if (m->len > INT_MAX || m->ad_len > INT_MAX)
        return kfe_fail(KFE_E_ARGUMENT, "a message of more than 2^31-1 bytes");
    uint8_t none = 0; /* a null pointer would mean something else to EVP */
    int made = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int ready = ctx != NULL && EVP_CipherInit_ex2(ctx, m->cipher, m->key, m->nonce, seal, NULL) &&
                (seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, m->tag) == 1) &&
                feed(ctx, NULL, m->ad_len ? m->ad : &none, m->ad_len);
    int done = ready && feed(ctx, m->out, m->len ? m->in : &none, m->len) &&
               EVP_CipherFinal_ex(ctx, m->out + m->len, &made) == 1 && made == 0 &&
               (!seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, m->tag) == 1);
    EVP_CIPHER_CTX_free(ctx);
    if (done)
        return KFE_OK;
    kfe_wipe(m->out, m->len);
    if (seal)
        kfe_wipe(m->tag, TAG);
    if (seal || !ready)
        return kfe_fail_openssl(KFE_E_BACKEND, "an OpenSSL cipher failed");
    ERR_clear_error();
    return kfe_fail(KFE_E_AUTH, "the authentication tag does not match");
}

/* OpenSSL's SIV computes nothing for an empty message and would leave its tag unchecked. */
static kfe_error siv_check(const kfe_crypto *crypto, size_t len)
{
    if (crypto->siv256 == NULL)
        return kfe_fail(KFE_E_BACKEND, "OpenSSL has no AES-256-SIV here (a FIPS module has none)");
    return len == 0 ? kfe_fail(KFE_E_ARGUMENT, "AES-SIV of an empty message") : KFE_OK;
}

kfe_error kfe_siv_seal(const kfe_crypto *crypto, const uint8_t key[64], const void *ad,
                       size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
    kfe_error err = siv_check(crypto, len);
    if (err)
        return err;
    const message m = {.cipher = crypto->siv256,
                       .key = key,
                       .ad = ad,
                       .ad_len = ad_len,
                       .in = in,
                       .len = len,
                       .out = out + TAG,
                       .tag = out};
    return run(&m, true);
}

kfe_error kfe_siv_open(const kfe_crypto *crypto, const uint8_t key[64], const void *ad,
                       size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
    if (len <= TAG)
        return kfe_fail(KFE_E_AUTH, "a sealed text of %zu bytes is too short", len);
    kfe_error err = siv_check(crypto, len - TAG);
    if (err)
        return err;
    const message m = {.cipher = crypto->siv256,
                       .key = key,
                       .ad = ad,
                       .ad_len = ad_len,
                       .in = in + TAG,
                       .len = len - TAG,
                       .out = out,
                       .tag = (uint8_t *)(uintptr_t)in};
    return run(&m, false);
}

kfe_error kfe_gcm_seal_one(const kfe_crypto *crypto, const uint8_t key[32], const uint8_t nonce[12],
                           const void *aad, size_t aad_len, const uint8_t *in, size_t len,
                           uint8_t *out)
{
    const message m = {.cipher = crypto->gcm256,
                       .key = key,
                       .nonce = nonce,
                       .ad = aad,
                       .ad_len = aad_len,
                       .in = in,
                       .len = len,
                       .out = out,
                       .tag = out + len};
    return run(&m, true);
}

kfe_error kfe_gcm_open_one(const kfe_crypto *crypto, const uint8_t key[32], const uint8_t nonce[12],
                           const void *aad, size_t aad_len, const uint8_t *in, size_t len,
                           uint8_t *out)
{
    if (len < TAG)
        return kfe_fail(KFE_E_AUTH, "a sealed text of %zu bytes is too short", len);
    const message m = {.cipher = crypto->gcm256,
                       .key = key,
                       .nonce = nonce,
                       .ad = aad,
                       .ad_len = aad_len,
                       .in = in,
                       .len = len - TAG,
                       .out = out,
                       .tag = (uint8_t *)(uintptr_t)in + len - TAG};
    return run(&m, false);
}
