/* SPDX-License-Identifier: Apache-2.0 */
/* What EVP cannot show: the end of the longest message, which the test jumps to, and that nothing
 * is left in memory that is given back. The module's own sources are linked in, and contexts of the
 * built-in OpenSSL provider "inside" are caught as they are made. */
#include "tests/support/kit.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "engine/openssl/provider_gcm.h"

OSSL_provider_init_fn OSSL_provider_init;

enum { CATCH = 8 };

static kfe_gcm_ctx *caught;
static void *(*real_newctx)(void *);
static OSSL_FUNC_provider_query_operation_fn *real_query;
static OSSL_LIB_CTX *lib;
static EVP_CIPHER *cipher;

/* ---- An OpenSSL provider that tells ---------------------------------------------------------- */

static void *newctx(void *provider)
{
    return caught = real_newctx(provider);
}

typedef void (*function)(void);

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    static OSSL_ALGORITHM list[2];
    static OSSL_DISPATCH table[32];
    const OSSL_ALGORITHM *real = real_query(provider, operation, no_cache);
    if (real == NULL)
        return NULL;
    list[0] = real[0];
    list[0].property_definition = "provider=inside";
    list[0].implementation = table;
    for (size_t i = 0; i == 0 || table[i - 1].function_id != 0; i++) {
        table[i] = real->implementation[i];
        if (table[i].function_id != OSSL_FUNC_CIPHER_NEWCTX)
            continue;
        real_newctx = (void *(*)(void *))table[i].function;
        table[i].function = (function)newctx;
    }
    return list;
}

static int init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **arg)
{
    static OSSL_DISPATCH table[16];
    const OSSL_DISPATCH *real = NULL;
    if (!OSSL_provider_init(core, in, &real, arg))
        return 0;
    for (size_t i = 0; i == 0 || table[i - 1].function_id != 0; i++) {
        table[i] = real[i];
        if (table[i].function_id != OSSL_FUNC_PROVIDER_QUERY_OPERATION)
            continue;
        real_query = (OSSL_FUNC_provider_query_operation_fn *)table[i].function;
        table[i].function = (function)query;
    }
    *out = table;
    return 1;
}

/* ---- Memory that is given back --------------------------------------------------------------- */

void __real_free(void *block);
void __wrap_free(void *block);

static size_t freed, dirty;
static bool watching;

/* All of this program's own free() come here; libcrypto's do not. */
void __wrap_free(void *block)
{
    if (watching && block != NULL) {
        freed++;
        const uint8_t *bytes = block;
        size_t size = malloc_usable_size(block), set = 0;
        for (size_t i = 0; i < size; i++)
            set += bytes[i] != 0;
        dirty += set > CATCH; /* what malloc() gave beyond the size asked for is not ours */
    }
    __real_free(block);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static EVP_CIPHER_CTX *begin(int seal)
{
    static const uint8_t key[32] = {1, 2, 3}, iv[12] = {4, 5, 6};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex2(ctx, cipher, key, iv, seal, NULL), 1);
    return ctx;
}

/* AES of the counter block that the last block of the longest message has: all its bits but the
 * last are set, SP 800-38D, 5.2.1.1. */
static void last_key_stream(uint8_t out[16])
{
    static const uint8_t key[32] = {1, 2, 3};
    uint8_t block[16] = {4, 5, 6};
    int len = 0;
    memset(block + 12, 0xff, 4);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(ctx, EVP_aes_256_ecb(), key, NULL, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, block, 16), 1);
    EVP_CIPHER_CTX_free(ctx);
}

/* 2^36 - 32 bytes, and not one more, in whatever pieces. */
static void longest(void **state)
{
    (void)state;
    const uint64_t most = (UINT64_C(1) << 36) - 32;
    uint8_t zeros[64] = {0}, out[64], want[16];
    int len = 0;
    last_key_stream(want);
    for (int i = 0; i < 64; i++) {
        EVP_CIPHER_CTX *ctx = begin(i % 2);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, zeros, 32), 1);
        caught->message.len = most - 32 - 16;
        caught->message.ahead_blocks = 0;
        int first = i / 2;
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, zeros, 49), 0);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, zeros, first), 1);
        assert_int_equal(EVP_CipherUpdate(ctx, out + first, &len, zeros, 48 - first), 1);
        assert_memory_equal(out + 32, want, 16);
        assert_true(caught->message.len == most);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, zeros, 1), 0);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, zeros, 64), 0);
        if (i % 2)
            assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), 1);
        EVP_CIPHER_CTX_free(ctx);
    }
    EVP_CIPHER_CTX *ctx = begin(1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, zeros, 1), 1);
    caught->message.aad_len = (UINT64_C(1) << 61) - 1 - 16;
    caught->message.n_pending = 15;
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, zeros, 17), 0);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, zeros, 16), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, zeros, 1), 0);
    EVP_CIPHER_CTX_free(ctx);
}

/* Keys, key stream, text and tags: all of a context is zero when it goes. */
static void wiped(void **state)
{
    (void)state;
    uint8_t bytes[100] = {7};
    int len = 0;
    EVP_CIPHER_CTX *ctx = begin(1), *copy = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, bytes, 20), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, bytes, &len, bytes, 20), 1);
    assert_int_equal(EVP_CIPHER_CTX_copy(copy, ctx), 1);
    watching = true;
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(copy);
    watching = false;
    assert_true(freed >= 2);
    assert_int_equal(dirty, 0);
}

int main(void)
{
    lib = OSSL_LIB_CTX_new();
    if (!OSSL_PROVIDER_add_builtin(lib, "inside", init))
        return 1;
    OSSL_PROVIDER *inside = OSSL_PROVIDER_load(lib, "inside");
    if (inside == NULL) {
        print_message("skipped: no kernel runs here\n");
        return 77;
    }
    cipher = EVP_CIPHER_fetch(lib, "AES-256-GCM", NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(longest), cmocka_unit_test(wiped)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    EVP_CIPHER_free(cipher);
    OSSL_PROVIDER_unload(inside);
    OSSL_LIB_CTX_free(lib);
    return failed;
}
