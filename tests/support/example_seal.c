/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that wrap and keys that seal: what an HSM would do, by OpenSSL. */
#include "tests/support/example_keys.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

enum { TAG = 16, RFC3394 = 40 };

static const example_key *key_of(const kfe_key *self)
{
    return (const example_key *)self;
}

void example_key_ability(kfe_key *self, kfe_key_ability *out)
{
    const example_key *key = key_of(self);
    out->kinds = key->can.kinds;
    if (key->len != 32)
        out->kinds &= 1u << KFE_DIRECT;
    out->sealing = key->can.sealing;
    out->key_len = key->len;
}

/* AES-GCM of one field, either way. False: the tag does not verify. */
static bool gcm(const example_key *key, kfe_key_field *f, bool seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = key->len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    uint8_t *tag = f->iv_tag + f->iv_size, end[TAG];
    int n = 0;
    bool good = EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, seal) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)f->iv_size, NULL) == 1 &&
                EVP_CipherInit_ex(ctx, NULL, NULL, key->bytes, f->iv_tag, seal) == 1 &&
                EVP_CipherUpdate(ctx, NULL, &n, f->aad, (int)f->aad_size) == 1 &&
                EVP_CipherUpdate(ctx, f->out, &n, f->in, (int)f->len) == 1 &&
                (seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
                EVP_CipherFinal_ex(ctx, end, &n) == 1 &&
                (!seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1);
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

/* RFC 3394. */
static bool key_wrap(const example_key *key, const uint8_t *in, int len, uint8_t *out, bool wrap)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool good = EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, key->bytes, NULL, wrap) == 1 &&
                EVP_CipherUpdate(ctx, out, &n, in, len) == 1 && n == (wrap ? RFC3394 : 32);
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

kfe_error example_key_wrap(kfe_key *self, kfe_bytes aad, const uint8_t secret[32],
                           uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len)
{
    const example_key *key = key_of(self);
    kfe_error err = example_called(&key->counts->wrap, 1);
    if (err)
        return err;
    out[0] = (uint8_t)key->can.form;
    bool good = false;
    if (key->can.form == 1) {
        good = key_wrap(key, secret, 32, out + 1, true);
        *len = 1 + RFC3394;
    } else {
        uint8_t iv_tag[12 + TAG];
        kfe_key_field f = {aad.data, aad.len, secret, 32, out + 13, iv_tag, 12, false};
        good = RAND_bytes(iv_tag, 12) == 1 && gcm(key, &f, true);
        memcpy(out + 1, iv_tag, 12);
        memcpy(out + 45, iv_tag + 12, TAG);
        *len = 61;
    }
    return good ? KFE_OK : kfe_fail(KFE_E_PROVIDER, "the example provider cannot wrap");
}

kfe_error example_key_unwrap(kfe_key *self, kfe_bytes aad, kfe_bytes wrapped, uint8_t secret[32])
{
    const example_key *key = key_of(self);
    kfe_error err = example_called(&key->counts->unwrap, 1);
    if (err)
        return err;
    const uint8_t *at = wrapped.data + 1;
    bool good = false;
    if (wrapped.data[0] == 1) {
        good = key_wrap(key, at, RFC3394, secret, false);
    } else if (wrapped.data[0] == 2) {
        uint8_t iv_tag[12 + TAG];
        memcpy(iv_tag, at, 12);
        memcpy(iv_tag + 12, at + 44, TAG);
        kfe_key_field f = {aad.data, aad.len, at + 12, 32, secret, iv_tag, 12, false};
        good = gcm(key, &f, false);
    }
    return good ? KFE_OK : kfe_fail(KFE_E_AUTH, "does not unwrap");
}

kfe_error example_key_iv_size(kfe_key *self, unsigned *len)
{
    *len = key_of(self)->can.iv_len;
    return KFE_OK;
}

kfe_error example_key_seal(kfe_key *self, kfe_key_field *fields, size_t n)
{
    const example_key *key = key_of(self);
    kfe_error err = example_called(&key->counts->fields_sealed, n);
    for (size_t i = 0; !err && i < n; i++)
        if (RAND_bytes(fields[i].iv_tag, (int)fields[i].iv_size) != 1 ||
            !gcm(key, &fields[i], true))
            err = kfe_fail(KFE_E_PROVIDER, "the example provider cannot seal");
    return err;
}

kfe_error example_key_open(kfe_key *self, kfe_key_field *fields, size_t n)
{
    const example_key *key = key_of(self);
    kfe_error err = example_called(&key->counts->fields_opened, n);
    for (size_t i = 0; !err && i < n; i++)
        fields[i].forged = !gcm(key, &fields[i], false);
    return err;
}
