/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_CRYPTO_H
#define KFE_ENGINE_OPENSSL_CRYPTO_H

/* OpenSSL's algorithms, fetched once, in a library context of our own: what the application
 * does to the default context does not reach us, and the other way round.
 * Shared between threads once made. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include <kfe/record.h>

typedef struct kfe_crypto {
    OSSL_LIB_CTX *lib;
    EVP_CIPHER *gcm128, *gcm192, *gcm256, *chacha, *siv256;
    EVP_CIPHER *ecb128, *ecb192, *ecb256; /* for the hash keys of GCM */
    EVP_MAC *hmac;
    EVP_KDF *scrypt;
} kfe_crypto;

/* `propquery` as for EVP_CIPHER_fetch(); NULL: any. KFE_E_BACKEND, naming what was not found;
 * AES-192-GCM, AES-ECB, AES-SIV and scrypt may be missing (a FIPS module has none): those calls
 * then fail so. */
kfe_error kfe_crypto_new(kfe_crypto **out, const char *propquery);
void kfe_crypto_free(kfe_crypto *crypto);

/* The process's own, for calls that have no engine: any implementation; made by the first call,
 * never freed. */
kfe_error kfe_crypto_shared(const kfe_crypto **out);

kfe_error kfe_hmac_sha256(const kfe_crypto *crypto, const uint8_t key[32], const uint8_t *data,
                          size_t len, uint8_t out[32]);

/* RFC 7914. `cost` is the base 2 logarithm of N, then r and p. Memory is bounded at 256 MiB. */
kfe_error kfe_scrypt(const kfe_crypto *crypto, kfe_bytes pass, kfe_bytes salt,
                     const uint32_t cost[3], uint8_t out[32]);

/* AES-256-SIV (RFC 5297) with one associated string: out = V (16) || ciphertext (len).
 * Open takes the same layout, `len` counting all of it, and writes len - 16 bytes, zero after
 * KFE_E_AUTH. In and out must not overlap. */
kfe_error kfe_siv_seal(const kfe_crypto *crypto, const uint8_t key[64], const void *ad,
                       size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);
kfe_error kfe_siv_open(const kfe_crypto *crypto, const uint8_t key[64], const void *ad,
                       size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

/* One AES-256-GCM message with a 12-byte nonce: out = ciphertext (len) || tag (16). Open takes
 * that and writes len - 16 bytes, zero after KFE_E_AUTH. For files; records go through a backend.
 */
kfe_error kfe_gcm_seal_one(const kfe_crypto *crypto, const uint8_t key[32], const uint8_t nonce[12],
                           const void *aad, size_t aad_len, const uint8_t *in, size_t len,
                           uint8_t *out);
kfe_error kfe_gcm_open_one(const kfe_crypto *crypto, const uint8_t key[32], const uint8_t nonce[12],
                           const void *aad, size_t aad_len, const uint8_t *in, size_t len,
                           uint8_t *out);

/* kfe_fail() with the reason from OpenSSL's queue, which is emptied. */
kfe_error kfe_fail_openssl(kfe_error code, const char *what);

#endif
