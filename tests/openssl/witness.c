/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded, it writes down which OpenSSL provider does a program's AES-GCM: a line "PROVIDER
 * CIPHER" for every context's first text, into the file that KFE_WITNESS names. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

typedef int update(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);

__attribute__((visibility("default"))) update EVP_CipherUpdate;

int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *len, const unsigned char *in,
                     int in_len)
{
    static _Thread_local EVP_CIPHER_CTX *last;
    union {
        void *object;
        update *function;
    } real = {dlsym(RTLD_NEXT, "EVP_CipherUpdate")};
    const EVP_CIPHER *cipher = EVP_CIPHER_CTX_get0_cipher(ctx);
    const char *path = getenv("KFE_WITNESS");
    FILE *file = NULL;
    if (ctx != last && path != NULL && EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE)
        file = fopen(path, "ae");
    if (file != NULL) {
        fprintf(file, "%s %s\n", OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)),
                EVP_CIPHER_get0_name(cipher));
        fclose(file);
        last = ctx;
    }
    return real.function(ctx, out, len, in, in_len);
}
