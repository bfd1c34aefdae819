/* SPDX-License-Identifier: Apache-2.0 */
/* Does EVP over kfe.so give the published answers? NIST's CAVP vectors for AES-GCM: all lengths of
 * keys, IVs and tags, as Debian's python3-cryptography-vectors installs them
 * (KFE_CRYPTOGRAPHY_VECTORS: another place). */
#include "tests/openssl/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/backend/rsp.h"

#define PLACE "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers"

/* 7,875 in each file. */
static const char *const files[RIG_KEYS][2] = {
    {"AES/GCM/gcmEncryptExtIV128.rsp", "AES/GCM/gcmDecrypt128.rsp"},
    {"AES/GCM/gcmEncryptExtIV192.rsp", "AES/GCM/gcmDecrypt192.rsp"},
    {"AES/GCM/gcmEncryptExtIV256.rsp", "AES/GCM/gcmDecrypt256.rsp"},
};

enum { IN_A_FILE = 7875 };

typedef struct {
    int key_size;
    size_t ran, forged;
} count;

static EVP_CIPHER_CTX *begin(const rsp_vector *v, int key_size, int seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    assert_int_equal(EVP_CipherInit_ex2(ctx, rig_cipher[OURS][key_size], NULL, NULL, seal, NULL),
                     1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)v->nonce.len, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex2(ctx, NULL, v->key.bytes, v->nonce.bytes, seal, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, v->aad.bytes, (int)v->aad.len), 1);
    return ctx;
}

static void seal(const rsp_vector *v, int key_size)
{
    uint8_t out[RSP_VALUE_MAX], tag[RIG_TAG];
    int len = 0;
    EVP_CIPHER_CTX *ctx = begin(v, key_size, 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, v->plain.bytes, (int)v->plain.len), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)v->tag.len, tag), 1);
    assert_memory_equal(out, v->sealed.bytes, v->sealed.len);
    assert_memory_equal(tag, v->tag.bytes, v->tag.len);
    EVP_CIPHER_CTX_free(ctx);
}

static void open_it(const rsp_vector *v, int key_size)
{
    uint8_t out[RSP_VALUE_MAX], tag[RIG_TAG];
    int len = 0;
    EVP_CIPHER_CTX *ctx = begin(v, key_size, 0);
    memcpy(tag, v->tag.bytes, v->tag.len);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, v->sealed.bytes, (int)v->sealed.len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)v->tag.len, tag), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), !v->fails);
    if (!v->fails)
        assert_memory_equal(out, v->plain.bytes, v->plain.len);
    EVP_CIPHER_CTX_free(ctx);
}

static void run_one(void *arg, const rsp_vector *v)
{
    count *c = arg;
    assert_int_equal(v->key.len, rig_key_len[c->key_size]);
    c->ran++;
    c->forged += v->fails;
    if (!v->fails)
        seal(v, c->key_size);
    open_it(v, c->key_size);
}

static const char *place(void)
{
    const char *given = getenv("KFE_CRYPTOGRAPHY_VECTORS");
    return given != NULL ? given : PLACE;
}

static void published(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * RIG_KEYS; i++) {
        count c = {.key_size = i / 2};
        char path[512];
        unsigned line = 0;
        snprintf(path, sizeof(path), "%s/%s", place(), files[i / 2][i % 2]);
        if (!rsp_read(path, run_one, &c, &line))
            fail_msg("%s:%u: cannot be read", path, line);
        print_message("%s: %zu ran, %zu of them forged\n", files[i / 2][i % 2], c.ran, c.forged);
        assert_true(c.ran >= IN_A_FILE);
        assert_true(i % 2 == 0 || c.forged > 0);
    }
}

int main(void)
{
    rig_begin();
    if (access(place(), R_OK) != 0) {
        const char *no_skip = getenv("KFE_NO_SKIP");
        print_message("skipped: no %s (Debian: python3-cryptography-vectors)\n", place());
        return no_skip != NULL && strcmp(no_skip, "1") == 0 ? 1 : 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(published)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_end();
    return failed;
}
