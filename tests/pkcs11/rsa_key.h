/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_RSA_KEY_H
#define KFE_TESTS_PKCS11_RSA_KEY_H

/* RSA keys in the test's token that OpenSSL made, and so knows. */

#include <openssl/evp.h>

#include "tests/pkcs11/test_token.h"

typedef struct {
    const char *label;
    uint32_t version;
    unsigned bits;
    CK_BBOOL sensitive, extractable, decrypt;
} rsa_spec;

rsa_spec rsa_good(const char *label, uint32_t version); /* 2048 bits, as it should be */

/* Makes a key, and the private half in the token. Of one length and version there is one key in a
 * process. EVP_PKEY_free(). */
EVP_PKEY *rsa_import(const rsa_spec *spec);

/* What a wrapped secret may be made of. */
typedef struct {
    int padding;      /* RSA_PKCS1_OAEP_PADDING, ... */
    const char *hash; /* of OAEP and of its MGF1, too */
    const char *label;
} rsa_way;

extern const rsa_way rsa_right; /* that of docs/format.md */

/* Form 3 of `text`; the number of bytes, the first one included. */
size_t rsa_encrypt(EVP_PKEY *key, const rsa_way *way, const uint8_t *text, size_t len,
                   uint8_t *out);
/* What form 3 holds, which has to be 32 bytes. */
void rsa_decrypt(EVP_PKEY *key, kfe_bytes wrapped, uint8_t secret[32]);

/* encryption.keyprovider.pkcs11.allow.rsa=true */
void rsa_allow(kfe_config *config);

#endif
