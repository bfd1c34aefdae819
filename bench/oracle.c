/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/oracle.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

static EVP_CIPHER_CTX *begin(const oracle_call *call)
{
    static EVP_CIPHER_CTX *ctx;
    const EVP_CIPHER *cipher = call->key_len == 16   ? EVP_aes_128_gcm()
                               : call->key_len == 24 ? EVP_aes_192_gcm()
                                                     : EVP_aes_256_gcm();
    int n;
    if (ctx == NULL)
        ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL || !EVP_EncryptInit_ex(ctx, cipher, NULL, call->key, call->nonce) ||
        !EVP_EncryptUpdate(ctx, NULL, &n, call->aad, (int)call->aad_len)) {
        fprintf(stderr, "kfe-bench: OpenSSL cannot seal\n");
        exit(1);
    }
    return ctx;
}

void oracle_seal(const oracle_call *call, const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = begin(call);
    int n;
    if (!EVP_EncryptUpdate(ctx, out, &n, in, (int)len) || !EVP_EncryptFinal_ex(ctx, out + n, &n) ||
        !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag)) {
        fprintf(stderr, "kfe-bench: OpenSSL cannot seal\n");
        exit(1);
    }
}

/* GCM seals by a key stream: sealing the sealed text gives the text, and sealing that its tag. */
void oracle_unseal(const oracle_call *call, const uint8_t *in, size_t len, uint8_t *out,
                   uint8_t *tag)
{
    uint8_t *again = malloc(len + 1);
    if (again == NULL)
        exit(1);
    oracle_seal(call, in, len, out, tag);
    oracle_seal(call, out, len, again, tag);
    free(again);
}
