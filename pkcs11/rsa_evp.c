/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the padding check, which has no other door */
#include "pkcs11/rsa_evp.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libp11.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <kfe/secret.h>

#include "pkcs11/front/front.h"
#include "pkcs11/kek.h"
#include "pkcs11/lock.h"

/* ---- The front ---------------------------------------------------------------------------- */

/* Written once, then `ready`. */
static struct {
    kfe_p11_lock lock;
    char path[PATH_MAX];
    kfe_p11_front_show_fn *show;
    _Atomic bool ready;
} front_module;

/* It lies beside this library. */
static kfe_error find_front(char path[PATH_MAX])
{
    Dl_info self;
    char real[PATH_MAX];
    if (dladdr(&front_module, &self) == 0 || realpath(self.dli_fname, real) == NULL)
        return kfe_fail(KFE_E_CONFIG, "libkfe-pkcs11 does not find its own file");
    char *slash = strrchr(real, '/');
    *slash = '\0';
    if (snprintf(path, PATH_MAX, "%s/%s", real, KFE_P11_FRONT_FILE) >= PATH_MAX)
        return kfe_fail(KFE_E_CONFIG, "the path of " KFE_P11_FRONT_FILE " is too long");
    return KFE_OK;
}

static kfe_error load_front(void)
{
    kfe_error err = find_front(front_module.path);
    if (err)
        return err;
    void *loaded = dlopen(front_module.path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = loaded != NULL ? dlsym(loaded, KFE_P11_FRONT_SHOW) : NULL;
    if (symbol == NULL)
        return kfe_fail(KFE_E_CONFIG, "RSA by libp11 needs a file beside libkfe-pkcs11: %.180s",
                        dlerror());
    memcpy(&front_module.show, &symbol, sizeof(symbol));
    /* libp11 makes these at their first use, and takes no lock. */
    ERR_load_PKCS11_strings();
    if (PKCS11_get_rsa_method() == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for libp11");
    atomic_store(&front_module.ready, true);
    return KFE_OK;
}

static kfe_error need_front(void)
{
    if (atomic_load(&front_module.ready))
        return KFE_OK;
    kfe_error err = kfe_p11_lock_take(&front_module.lock);
    if (err)
        return err;
    if (!atomic_load(&front_module.ready))
        err = load_front();
    kfe_p11_lock_release(&front_module.lock);
    return err;
}

/* ---- libp11 ------------------------------------------------------------------------------- */

static bool raw_decrypt(EVP_PKEY *key, const uint8_t *in, size_t len, uint8_t out[KFE_P11_RSA_MAX])
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    size_t got = KFE_P11_RSA_MAX;
    bool good = c != NULL && EVP_PKEY_decrypt_init(c) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING) == 1 &&
                EVP_PKEY_decrypt(c, out, &got, in, len) == 1 && got == len;
    EVP_PKEY_CTX_free(c);
    return good;
}

/* A context for one call: nothing of it can go stale, and it costs microseconds beside RSA. */
static bool by_libp11(const uint8_t *in, size_t len, uint8_t out[KFE_P11_RSA_MAX])
{
    PKCS11_CTX *ctx = PKCS11_CTX_new();
    PKCS11_SLOT *slots = NULL;
    PKCS11_KEY *keys = NULL;
    unsigned n_slots = 0, n_keys = 0;
    if (ctx == NULL)
        return false;
    bool loaded = PKCS11_CTX_load(ctx, front_module.path) == 0, good = false;
    if (loaded && PKCS11_enumerate_slots(ctx, &slots, &n_slots) == 0 && n_slots == 1 &&
        slots[0].token != NULL && PKCS11_enumerate_keys(slots[0].token, &keys, &n_keys) == 0 &&
        n_keys == 1) {
        EVP_PKEY *key = PKCS11_get_private_key(&keys[0]);
        good = key != NULL && raw_decrypt(key, in, len, out);
        EVP_PKEY_free(key);
    }
    if (slots != NULL)
        PKCS11_release_all_slots(ctx, slots, n_slots);
    if (loaded)
        PKCS11_CTX_unload(ctx);
    PKCS11_CTX_free(ctx);
    return good;
}

/* ------------------------------------------------------------------------------------------- */

static kfe_error judge(kfe_p11_session *session, const kfe_p11_front *front)
{
    if (front->init_rv != CKR_OK)
        return kfe_p11_session_fail(session, front->init_rv, "C_DecryptInit with CKM_RSA_X_509");
    if (front->rv == CKR_OK)
        return kfe_fail(KFE_E_PROVIDER, "libp11 does not take the RSA key as an EVP_PKEY");
    if (kfe_p11_bad_data(session, front->rv))
        return kfe_p11_kek_refused();
    return kfe_p11_session_fail(session, front->rv, "C_Decrypt with CKM_RSA_X_509");
}

static kfe_error unpad(const uint8_t *block, size_t len, uint8_t secret[32])
{
    uint8_t *text = kfe_secret_alloc(KFE_P11_RSA_MAX);
    if (text == NULL)
        return KFE_E_MEMORY;
    int got = RSA_padding_check_PKCS1_OAEP_mgf1(text, KFE_P11_RSA_MAX, block, (int)len, (int)len,
                                                NULL, 0, EVP_sha256(), EVP_sha256());
    if (got == 32)
        kfe_secret_copy(secret, text, 32);
    kfe_secret_free(text);
    return got == 32 ? KFE_OK : kfe_p11_kek_refused();
}

kfe_error kfe_p11_rsa_evp_open(kfe_p11_session *session, CK_OBJECT_HANDLE key,
                               const kfe_p11_rsa_public *public, const uint8_t *in, size_t len,
                               uint8_t secret[32])
{
    kfe_error err = need_front();
    if (err)
        return err;
    kfe_p11_front front = {.calls = session->calls,
                           .session = session->handle,
                           .key = key,
                           .modulus = public->modulus,
                           .exponent = public->exponent,
                           .modulus_len = public->modulus_len,
                           .exponent_len = public->exponent_len,
                           .init_rv = CKR_OK,
                           .rv = CKR_OK};
    uint8_t *block = kfe_secret_alloc(KFE_P11_RSA_MAX);
    if (block == NULL)
        return KFE_E_MEMORY;
    front_module.show(&front);
    bool good = by_libp11(in, len, block);
    front_module.show(NULL);
    err = good && front.decrypted ? unpad(block, len, secret) : judge(session, &front);
    kfe_secret_free(block);
    return err;
}
