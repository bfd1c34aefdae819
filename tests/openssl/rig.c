/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/openssl/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/provider.h>

const size_t rig_key_len[RIG_KEYS] = {16, 24, 32};
EVP_CIPHER *rig_cipher[SIDES][RIG_KEYS];
OSSL_LIB_CTX *rig_lib;

static OSSL_PROVIDER *loaded[SIDES];

/* The module refuses where no kernel runs, and says so. */
static void leave(void)
{
    char why[512] = "";
    const char *data = "";
    int flags = 0;
    unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    ERR_error_string_n(code, why, sizeof(why));
    printf("kfe.so does not load: %s: %s\n", why, data);
    bool no_kernel = data != NULL && strstr(data, "no kernel") != NULL;
    exit(no_kernel ? 77 : 1);
}

void rig_begin(void)
{
    kit_seed();
    rig_lib = OSSL_LIB_CTX_new();
    if (rig_lib == NULL || !OSSL_PROVIDER_set_default_search_path(rig_lib, KFE_MODULES))
        exit(1);
    loaded[THEIRS] = OSSL_PROVIDER_load(rig_lib, "default");
    loaded[OURS] = OSSL_PROVIDER_load(rig_lib, "kfe");
    if (loaded[OURS] == NULL)
        leave();
    static const char *const names[RIG_KEYS] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};
    for (int i = 0; i < RIG_KEYS; i++) {
        rig_cipher[THEIRS][i] = EVP_CIPHER_fetch(rig_lib, names[i], "provider=default");
        rig_cipher[OURS][i] = EVP_CIPHER_fetch(rig_lib, names[i], "provider=kfe");
        if (rig_cipher[THEIRS][i] == NULL || rig_cipher[OURS][i] == NULL)
            exit(1);
    }
}

void rig_end(void)
{
    for (int i = 0; i < SIDES * RIG_KEYS; i++)
        EVP_CIPHER_free(rig_cipher[i / RIG_KEYS][i % RIG_KEYS]);
    for (int side = 0; side < SIDES; side++)
        OSSL_PROVIDER_unload(loaded[side]);
    OSSL_LIB_CTX_free(rig_lib);
}

void rig_fill(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)kit_random();
}

size_t rig_some(size_t most)
{
    size_t range = kit_below(4) == 0 ? most : most < 40 ? most : 40;
    return kit_below((uint32_t)range + 1);
}

unsigned long rig_first_error(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    return code;
}
