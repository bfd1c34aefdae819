/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backend/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const kfe_backend *lab_backend;
const unsigned lab_suites[LAB_SUITES] = {KFE_A256GCM, KFE_A128GCM, KFE_C20P1305, KFE_A192GCM};
bool lab_public;
static kfe_crypto *crypto;

static void end_skipped(const char *name, const char *why)
{
    printf("skipped: backend %s %s\n", name, why);
    exit(77);
}

void lab_begin(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s BACKEND\n", argv[0]);
        exit(1);
    }
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++)
        if (strcmp(kfe_all_backends[i]->name, argv[1]) == 0)
            lab_backend = kfe_all_backends[i];
    if (lab_backend == NULL)
        end_skipped(argv[1], "is not in this build");
    if (!lab_backend->usable())
        end_skipped(argv[1], "cannot run on this CPU");
    if (kfe_crypto_new(&crypto, NULL) != KFE_OK) {
        fprintf(stderr, "%s\n", kfe_error_detail());
        exit(1);
    }
    print_message("backend %s\n", lab_backend->name);
    kit_seed();
}

void lab_end(void)
{
    kfe_crypto_free(crypto);
}

bool lab_does(unsigned suite)
{
    return (lab_backend->suites >> suite & 1) != 0;
}

unsigned lab_some_suite(void)
{
    for (;;) {
        unsigned suite = lab_suites[kit_below(LAB_SUITES)];
        if (lab_does(suite))
            return suite;
    }
}

unsigned lab_some_gcm(void)
{
    for (;;) {
        unsigned suite = lab_some_suite();
        if (suite != KFE_C20P1305)
            return suite;
    }
}

size_t lab_cases(size_t usual)
{
    const char *given = getenv("KFE_CASES");
    return given != NULL ? strtoull(given, NULL, 10) : usual;
}

void lab_bytes(void *out, size_t len)
{
    uint8_t *to = out;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = kit_random();
        memcpy(to + i, &word, len - i < 8 ? len - i : 8);
    }
}

static size_t key_len(unsigned suite)
{
    return suite == KFE_A128GCM ? 16 : suite == KFE_A192GCM ? 24 : 32;
}

void lab_key_init(lab_key *key, unsigned suite, const uint8_t bytes[32])
{
    *key = (lab_key){.suite = suite};
    if (bytes != NULL)
        memcpy(key->bytes, bytes, 32);
    else
        lab_bytes(key->bytes, 32);
    if (kfe_aead_key_new(&key->key, lab_backend, crypto, suite, key->bytes) != KFE_OK)
        fail_msg("key_new, suite %u: %s", suite, kfe_error_detail());
    assert_ptr_equal(key->key->backend, lab_backend);
}

void lab_key_on(lab_key *key, unsigned suite, const char *backend)
{
    *key = (lab_key){.suite = suite, .is_public = true};
    lab_bytes(key->bytes, 32);
    if (kfe_gcm_key_new(&key->key, key->bytes, key_len(suite), backend) != KFE_OK)
        fail_msg("kfe_gcm_key_new, suite %u: %s", suite, kfe_error_detail());
    assert_string_equal(kfe_gcm_key_backend(key->key), backend);
}

void lab_key_wipe(lab_key *key)
{
    if (key->is_public)
        kfe_gcm_key_free(key->key);
    else
        kfe_aead_key_free(key->key);
    memset(key, 0, sizeof(*key));
}

void lab_room(lab_message *m, uint32_t prefix_len, uint32_t aad_len, uint32_t len)
{
    size_t aad = (size_t)prefix_len + aad_len;
    *m = (lab_message){.prefix_len = prefix_len, .aad_len = aad_len, .len = len};
    m->aad = malloc(aad + 2 * (size_t)len + 1);
    assert_non_null(m->aad);
    m->plain = m->aad + aad;
    m->sealed = m->plain + len;
}

void lab_drop(lab_message *m)
{
    free(m->aad);
    memset(m, 0, sizeof(*m));
}

void lab_random(lab_message *m, const lab_key *key, const uint32_t lens[3])
{
    lab_room(m, lens[0], lens[1], lens[2]);
    m->key = key;
    lab_bytes(m->nonce, sizeof(m->nonce));
    lab_bytes(m->aad, (size_t)m->prefix_len + m->aad_len);
    lab_bytes(m->plain, m->len);
    lab_oracle(m);
}

lab_flip lab_forge(lab_message *m)
{
    uint8_t *parts[] = {m->tag, m->nonce, m->sealed, m->aad};
    size_t lens[] = {16, 12, m->len, (size_t)m->prefix_len + m->aad_len};
    unsigned part = kit_below(4);
    if (lens[part] == 0)
        part = 0;
    size_t bit = kit_below((uint32_t)lens[part] * 8);
    lab_flip flip = {parts[part] + bit / 8, (uint8_t)(1u << bit % 8)};
    lab_flip_again(m, flip);
    return flip;
}

void lab_flip_again(lab_message *m, lab_flip flip)
{
    *flip.byte ^= flip.mask;
    m->forged = !m->forged;
}
