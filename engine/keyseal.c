/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base64.h"
#include "engine/keyfile.h"
#include "engine/keyseal.h"
#include "engine/secret.h"
#include "engine/wire.h"

/* 128 MiB and about 0.4 s: what OWASP asks for a password that guards files. */
enum { LOG2_N = 17, R = 8, P = 1 };
enum { NONCE = 12, TAG = 16, PASSPHRASE_MAX = 1024 };

#define OPTION "encryption.keyprovider.file.passphrase"
#define LABEL "kfe1 keystore"

bool kfe_keyseal_wanted(const kfe_config *config)
{
    const char *value = kfe_config_get(config, OPTION);
    return value != NULL && value[0] != '\0';
}

static bool bytes(kfe_json *json, uint8_t *out, size_t len)
{
    size_t made = 0;
    kfe_json_text text = kfe_json_string(json);
    return kfe_base64_decode(text.at, text.len, out, len, &made) && made == len;
}

/* Bounds first: a hostile file must cost neither memory nor hours. */
static bool bounded(const kfe_keyseal *s)
{
    if (s->log2_n < 14 || s->log2_n > 20 || s->r < 1 || s->r > 32 || s->p < 1 || s->p > 16)
        return false;
    uint64_t steps = ((uint64_t)s->r << s->log2_n);
    return s->log2_n < 16 * s->r && 128 * steps <= (uint64_t)250 << 20 &&
           steps * s->p <= (uint64_t)1 << 24;
}

/* Sets the bit of a member, or reports that it is unknown or came before. */
static bool member(kfe_json *json, kfe_keyseal_box *b, unsigned *seen)
{
    static const char *const names[] = {"kdf",  "log2_n", "r",     "p",
                                        "salt", "cipher", "nonce", "data"};
    kfe_json_text name = kfe_json_name(json);
    unsigned i = 0;
    while (i < 8 && !kfe_json_is(name, names[i]))
        i++;
    bool known = i < 8 && (*seen >> i & 1) == 0;
    *seen |= known ? 1u << i : 0;
    switch (known ? i : 8) {
    case 0:
        return kfe_json_is(kfe_json_string(json), "scrypt");
    case 1:
        b->params.log2_n = kfe_json_number(json);
        return true;
    case 2:
        b->params.r = kfe_json_number(json);
        return true;
    case 3:
        b->params.p = kfe_json_number(json);
        return true;
    case 4:
        return bytes(json, b->params.salt, KFE_KEYSEAL_SALT);
    case 5:
        return kfe_json_is(kfe_json_string(json), "A256GCM");
    case 6:
        return bytes(json, b->nonce, NONCE);
    case 7:
        b->data = kfe_json_string(json);
        return true;
    default:
        return false;
    }
}

kfe_error kfe_keyseal_read(kfe_json *json, kfe_keyseal_box *b)
{
    bool first = true, good = true;
    unsigned seen = 0;
    *b = (kfe_keyseal_box){0};
    kfe_json_enter(json, '{');
    while (good && kfe_json_next(json, '}', &first))
        good = member(json, b, &seen);
    if (!good || json->bad || seen != 0xff)
        return kfe_fail(KFE_E_CONFIG, "the sealed key file is damaged: its \"sealed\" part has a "
                                      "member that is missing, unknown, doubled or malformed");
    if (!bounded(&b->params))
        return kfe_fail(KFE_E_CONFIG,
                        "the sealed key file asks for scrypt with log2 N = %u, r = %u, p = %u, "
                        "which is out of bounds",
                        b->params.log2_n, b->params.r, b->params.p);
    return KFE_OK;
}

/* Makes seal->key of the passphrase, for the parameters of `want`. */
static kfe_error stretch(kfe_keyseal *seal, const kfe_crypto *crypto, const kfe_config *config,
                         const kfe_keyseal *want)
{
    uint8_t *pass = kfe_secret_alloc(PASSPHRASE_MAX);
    if (pass == NULL)
        return KFE_E_MEMORY;
    size_t len = 0;
    kfe_error err = kfe_config_secret(config, OPTION, pass, PASSPHRASE_MAX, &len);
    if (err && !kfe_keyseal_wanted(config))
        err = kfe_fail(
            err, "the key file is sealed by a passphrase: set %s to env:NAME or file:PATH", OPTION);
    if (err == KFE_OK && len == 0)
        err = kfe_fail(KFE_E_CONFIG, "the passphrase that %s points to is empty", OPTION);
    if (err == KFE_OK) {
        kfe_wipe(seal, sizeof(*seal));
        *seal = *want;
        err = kfe_scrypt(crypto, (kfe_bytes){pass, len}, (kfe_bytes){seal->salt, KFE_KEYSEAL_SALT},
                         (const uint32_t[]){seal->log2_n, seal->r, seal->p}, seal->key);
        seal->ready = err == KFE_OK;
    }
    kfe_secret_free(pass);
    return err;
}

static bool fits(const kfe_keyseal *have, const kfe_keyseal *want)
{
    return have->ready && have->log2_n == want->log2_n && have->r == want->r &&
           have->p == want->p && kfe_equal_ct(have->salt, want->salt, KFE_KEYSEAL_SALT);
}

enum { AAD = sizeof(LABEL) + 1 + 4 + 4 + KFE_KEYSEAL_SALT }; /* the label's NUL is the 00 */

static void make_aad(const kfe_keyseal *s, uint8_t out[AAD])
{
    memcpy(out, LABEL, sizeof(LABEL));
    out += sizeof(LABEL);
    out[0] = (uint8_t)s->log2_n;
    kfe_put_u32(out + 1, s->r);
    kfe_put_u32(out + 5, s->p);
    memcpy(out + 9, s->salt, KFE_KEYSEAL_SALT);
}

static kfe_error decrypt(const kfe_keyseal *seal, const kfe_crypto *crypto,
                         const kfe_keyseal_box *b, char **text, size_t *len)
{
    uint8_t aad[AAD];
    size_t cap = b->data.len / 4 * 3, made = 0;
    uint8_t *sealed = malloc(cap + 1), *plain = kfe_secret_text(cap + 1);
    kfe_error err = KFE_OK;
    if (sealed == NULL || plain == NULL)
        err = kfe_fail(KFE_E_MEMORY, "no memory for the sealed key file");
    else if (!kfe_base64_decode(b->data.at, b->data.len, sealed, cap, &made) || made <= TAG)
        err = kfe_fail(KFE_E_CONFIG, "the sealed key file is damaged: its data is not base64");
    if (err == KFE_OK) {
        make_aad(seal, aad);
        err = kfe_gcm_open_one(crypto, seal->key, b->nonce, aad, sizeof(aad), sealed, made, plain);
    }
    free(sealed);
    if (err) {
        kfe_secret_text_free(plain);
        return err;
    }
    *text = (char *)plain;
    *len = made - TAG;
    return KFE_OK;
}

kfe_error kfe_keyseal_open(kfe_keyseal *seal, const kfe_crypto *crypto, const kfe_config *config,
                           const kfe_keyseal_box *box, char **text, size_t *len)
{
    if (!fits(seal, &box->params)) {
        kfe_error err = stretch(seal, crypto, config, &box->params);
        if (err)
            return err;
    }
    kfe_error err = decrypt(seal, crypto, box, text, len);
    if (err == KFE_E_AUTH) {
        kfe_wipe(seal, sizeof(*seal));
        return kfe_fail(KFE_E_CREDENTIALS,
                        "the passphrase does not open the key file (or somebody "
                        "altered the file): check %s",
                        OPTION);
    }
    return err;
}

enum { HEAD = 320 }; /* more than the longest one: 3 numbers of 10 digits */

static size_t head(const kfe_keyseal *s, const uint8_t nonce[NONCE], char out[HEAD])
{
    char salt64[32] = "", nonce64[32] = "";
    kfe_base64_encode(s->salt, KFE_KEYSEAL_SALT, salt64);
    kfe_base64_encode(nonce, NONCE, nonce64);
    return (size_t)snprintf(
        out, HEAD,
        "{\"version\":1,\"sealed\":{\"kdf\":\"scrypt\",\"log2_n\":%u,\"r\":%u,\"p\":%u,"
        "\"salt\":\"%s\",\"cipher\":\"A256GCM\",\"nonce\":\"%s\",\"data\":\"",
        s->log2_n, s->r, s->p, salt64, nonce64);
}

static kfe_error encrypt(const kfe_keyseal *seal, const kfe_crypto *crypto, kfe_json_text text,
                         char **out, size_t *len)
{
    static const char tail[] = "\"}}";
    uint8_t nonce[NONCE], aad[AAD];
    char start[HEAD];
    kfe_error err = kfe_random(nonce, NONCE);
    if (err)
        return err;
    size_t n = head(seal, nonce, start), sealed_len = text.len + TAG;
    size_t size = n + kfe_base64_size(sealed_len) + sizeof(tail) - 1;
    uint8_t *sealed = malloc(sealed_len);
    char *file = kfe_secret_text(size);
    if (sealed == NULL || file == NULL) {
        err = kfe_fail(KFE_E_MEMORY, "no memory for the sealed key file");
        goto out;
    }
    make_aad(seal, aad);
    err = kfe_gcm_seal_one(crypto, seal->key, nonce, aad, sizeof(aad), (const uint8_t *)text.at,
                           text.len, sealed);
    if (err)
        goto out;
    memcpy(file, start, n);
    kfe_base64_encode(sealed, sealed_len, file + n);
    memcpy(file + size - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
    *out = file;
    *len = size;
    file = NULL;
out:
    free(sealed);
    kfe_secret_text_free(file);
    return err;
}

kfe_error kfe_keyseal_close(kfe_keyseal *seal, const kfe_crypto *crypto, const kfe_config *config,
                            kfe_json_text text, char **out, size_t *len)
{
    if (!seal->ready) {
        kfe_keyseal fresh = {.log2_n = LOG2_N, .r = R, .p = P};
        kfe_error err = kfe_random(fresh.salt, KFE_KEYSEAL_SALT);
        if (err == KFE_OK)
            err = stretch(seal, crypto, config, &fresh);
        if (err)
            return err;
    }
    return encrypt(seal, crypto, text, out, len);
}
