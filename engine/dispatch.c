/* SPDX-License-Identifier: Apache-2.0 */
/* Picks a backend and runs it over known answers before it is trusted. */
#include <stdlib.h>
#include <string.h>

#include <kfe/kfe.h>

#include "engine/backend.h"
#include "engine/envelope.h"
#include "engine/secret.h"

const kfe_backend *const kfe_all_backends[] = {&kfe_openssl_backend, NULL};

enum { N_BACKENDS = sizeof(kfe_all_backends) / sizeof(*kfe_all_backends) };

const char *const *kfe_backends(void)
{
    static _Thread_local const char *names[N_BACKENDS];
    size_t n = 0;
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++)
        if (kfe_all_backends[i]->usable())
            names[n++] = kfe_all_backends[i]->name;
    names[n] = NULL;
    return names;
}

kfe_error kfe_aead_key_new(kfe_aead_key **out, const kfe_backend *backend,
                           const struct kfe_crypto *crypto, unsigned suite, const uint8_t *raw)
{
    if (suite > 31 || (backend->suites >> suite & 1) == 0)
        return kfe_fail(KFE_E_BACKEND, "backend %s does not do suite %u", backend->name, suite);
    kfe_aead_key *key = kfe_secret_alloc(backend->key_size);
    if (key == NULL)
        return KFE_E_MEMORY;
    key->backend = backend;
    kfe_error err = backend->key_init(key, crypto, suite, raw);
    if (err)
        kfe_secret_free(key);
    else
        *out = key;
    return err;
}

void kfe_aead_key_free(kfe_aead_key *key)
{
    /* A parent's key reads as zeros in a child, and what it has elsewhere is out of reach. */
    if (key != NULL && key->backend != NULL && key->backend->key_wipe != NULL)
        key->backend->key_wipe(key);
    kfe_secret_free(key);
}

/* AES-256-GCM of 00 01 .. 1f under key 00 .. 1f and nonce 00 .. 0b with AAD 00 .. 1f, split into a
 * prefix of 16 bytes and the rest. Computed with Python's cryptography. */
static const uint8_t known_text[32] = {
    0x47, 0x03, 0xd4, 0x18, 0xc1, 0xe0, 0xc4, 0x1c, 0x85, 0x48, 0x9d, 0x80, 0xbd, 0xe4, 0x76, 0x62,
    0x93, 0xc7, 0x95, 0x27, 0xe4, 0x6e, 0x49, 0x6b, 0x20, 0x7e, 0xff, 0x9e, 0x01, 0x74, 0x1e, 0xad};
static const uint8_t known_tag[16] = {0xc8, 0x2a, 0x51, 0x44, 0x1d, 0xda, 0x6d, 0x82,
                                      0xfc, 0x02, 0x32, 0xac, 0xb4, 0xe2, 0xd3, 0xae};

static kfe_error known_answers(const kfe_backend *backend, const struct kfe_crypto *crypto)
{
    uint8_t plain[32], text[32], tag[16];
    for (uint8_t i = 0; i < 32; i++)
        plain[i] = i;
    kfe_aead_key *key = NULL;
    kfe_error err = kfe_aead_key_new(&key, backend, crypto, KFE_A256GCM, plain);
    if (err)
        return err;
    kfe_prefix prefix = {.absorbed.len = 16, .bytes = plain};
    if (backend->from_state)
        backend->hash(key, prefix.absorbed.ghash, plain, 1);
    uint64_t failed = 0;
    kfe_aead_op op = {.key = key,
                      .nonce = plain,
                      .prefix = &prefix.absorbed,
                      .aad = plain + 16,
                      .aad_len = 16,
                      .in = plain,
                      .len = 32,
                      .out = text,
                      .tag = tag};
    const kfe_aead_batch one = {&op, 1, &failed, false};
    err = backend->seal(&one);
    bool good = !err && memcmp(text, known_text, 32) == 0 && memcmp(tag, known_tag, 16) == 0;
    for (int forged = 0; good && forged < 2; forged++) {
        tag[15] = (uint8_t)(known_tag[15] ^ forged);
        op.in = known_text;
        memset(text, 0xff, sizeof(text));
        static const uint8_t zero[32];
        good = !backend->open(&one) && failed == (uint64_t)forged &&
               memcmp(text, forged ? zero : plain, 32) == 0;
    }
    kfe_aead_key_free(key);
    return good ? KFE_OK
                : kfe_fail(KFE_E_BACKEND, "backend %s fails its known answers: not used",
                           backend->name);
}

kfe_error kfe_backend_pick(const char *name, const struct kfe_crypto *crypto,
                           const kfe_backend **out)
{
    if (strcmp(name, "auto") == 0) {
        const char *forced = secure_getenv("KFE_BACKEND");
        bool any = forced == NULL || forced[0] == '\0' || strcmp(forced, "auto") == 0;
        name = any ? NULL : forced;
    }
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++) {
        const kfe_backend *backend = kfe_all_backends[i];
        if (name != NULL && strcmp(name, backend->name) != 0)
            continue;
        if (!backend->usable()) {
            if (name == NULL)
                continue;
            return kfe_fail(KFE_E_BACKEND, "backend %s cannot run on this CPU", name);
        }
        *out = backend;
        return known_answers(backend, crypto);
    }
    return kfe_fail(KFE_E_BACKEND, "no backend is named %s: see `kfe doctor` for the list",
                    name == NULL ? "auto" : name);
}
