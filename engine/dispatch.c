/* SPDX-License-Identifier: Apache-2.0 */
/* Picks a backend and runs it over known answers before it is trusted. */
#include <stdlib.h>
#include <string.h>

#include <kfe/kfe.h>

#include "engine/backend.h"
#include "engine/envelope.h"

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

/* AES-256-GCM of 00 01 .. 1f under key 00 .. 1f and nonce 00 .. 0b with AAD 00 .. 1f, split into a
 * prefix of 16 bytes and the rest. Computed with Python's cryptography. */
static const uint8_t known_text[32] = {
    0x47, 0x03, 0xd4, 0x18, 0xc1, 0xe0, 0xc4, 0x1c, 0x85, 0x48, 0x9d, 0x80, 0xbd, 0xe4, 0x76, 0x62,
    0x93, 0xc7, 0x95, 0x27, 0xe4, 0x6e, 0x49, 0x6b, 0x20, 0x7e, 0xff, 0x9e, 0x01, 0x74, 0x1e, 0xad};
static const uint8_t known_tag[16] = {0xc8, 0x2a, 0x51, 0x44, 0x1d, 0xda, 0x6d, 0x82,
                                      0xfc, 0x02, 0x32, 0xac, 0xb4, 0xe2, 0xd3, 0xae};

static kfe_error known_answers(const kfe_backend *backend, const struct kfe_crypto *crypto)
{
    uint8_t plain[32], text[32], tag[16], nonce[1][16] = {{0}};
    for (uint8_t i = 0; i < 32; i++)
        plain[i] = i;
    memcpy(nonce[0], plain, 12);
    kfe_aead_key *key = NULL;
    kfe_error err = backend->key_new(&key, crypto, KFE_A256GCM, plain);
    if (err)
        return err;
    kfe_prefix prefix = {.bytes = plain, .len = 16};
    backend->absorb(key, &prefix);
    kfe_aead_batch one = {1,
                          (const kfe_aead_key *[]){key},
                          nonce,
                          (const kfe_prefix *[]){&prefix},
                          (const uint8_t *[]){plain + 16},
                          (uint32_t[]){16},
                          (const uint8_t *[]){plain},
                          (uint8_t *[]){text},
                          (uint32_t[]){32},
                          (uint8_t *[]){tag},
                          (uint64_t[]){0}};
    err = backend->seal(&one);
    bool good = !err && memcmp(text, known_text, 32) == 0 && memcmp(tag, known_tag, 16) == 0;
    for (int forged = 0; good && forged < 2; forged++) {
        tag[15] = (uint8_t)(known_tag[15] ^ forged);
        one.in[0] = known_text;
        memset(text, 0xff, sizeof(text));
        static const uint8_t zero[32];
        good = !backend->open(&one) && one.failed[0] == (uint64_t)forged &&
               memcmp(text, forged ? zero : plain, 32) == 0;
    }
    backend->key_free(key);
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
