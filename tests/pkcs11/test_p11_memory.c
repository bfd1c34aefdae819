/* SPDX-License-Identifier: Apache-2.0 */
/* When no more memory can be locked for a secret: is that said, nothing else harmed, and all well
 * once there is some? Each piece that a call takes is missing once. */
#include <dlfcn.h>
#include <string.h>

#include <kfe/secret.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/rsa_key.h"
#include "tests/pkcs11/wrap_rig.h"

static _Atomic long left; /* pieces that are given out before one is not; below 0: all are */

/* In front of libkfe's own. */
__attribute__((visibility("default"))) void *kfe_secret_alloc(size_t len)
{
    static void *(*real)(size_t len);
    void *symbol = dlsym(RTLD_NEXT, "kfe_secret_alloc");
    memcpy(&real, &symbol, sizeof(real));
    if (left-- != 0)
        return real(len);
    (void)kfe_fail(KFE_E_MEMORY, "the test gives no memory for keys");
    return NULL;
}

/* Returns how many pieces it takes. */
static long starve(kfe_error (*call)(void *arg), void *arg)
{
    for (long n = 0;; n++) {
        left = n;
        kfe_error err = call(arg);
        bool starved = left < 0;
        left = -1;
        if (!starved) {
            assert_int_equal(err, KFE_OK);
            return n;
        }
        assert_int_equal(err, KFE_E_MEMORY);
        assert_string_equal(kfe_error_detail(), "the test gives no memory for keys");
        assert_int_equal(aes_session_objects(), 0);
    }
}

static kfe_error open_and_close(void *arg)
{
    const test_token *h = arg;
    kfe_key_provider *provider = NULL;
    kfe_error err = kfe_pkcs11.open(&provider, h->config);
    if (!err)
        provider->ops->free(provider);
    return err;
}

/* The PIN, and what tells whether it was refused before. */
static void logging_in(void **state)
{
    assert_in_range(starve(open_and_close, *state), 2, 8);
}

static kfe_error derive(void *arg)
{
    return rig_derive(arg);
}

static void deriving(void **state)
{
    struct rig rig;
    rig_init(&rig, *state);
    assert_in_range(starve(derive, &rig), 1, 4);
    rig_wipe(&rig);
}

static kfe_error wrap(void *arg)
{
    return wrap_rig_wrap(arg);
}

static kfe_error unwrap(void *arg)
{
    static const uint8_t zero[32];
    struct wrap_rig *rig = arg;
    kfe_error err = wrap_rig_unwrap(rig);
    if (err)
        assert_memory_equal(rig->back, zero, 32);
    return err;
}

/* The first wrapping is undone, so it takes what both take. */
static void wrap_and_unwrap(const test_token *h)
{
    struct wrap_rig rig;
    wrap_rig_open(&rig, h);
    assert_in_range(starve(wrap, &rig), 2, 8);
    wrap_rig_round(&rig);
    assert_in_range(starve(unwrap, &rig), 2, 8);
    wrap_rig_round(&rig);
    wrap_rig_wipe(&rig);
}

static void by_gcm(void **state)
{
    aes_import("kek", 1, 32, AES_CRYPT);
    wrap_and_unwrap(*state);
}

static void by_rfc3394(void **state)
{
    aes_import("kek", 1, 32, AES_KEY_WRAP);
    wrap_and_unwrap(*state);
}

static void by_rsa(void **state)
{
    const test_token *h = *state;
    const rsa_spec good = rsa_good("kek", 1);
    EVP_PKEY *known = rsa_import(&good);
    rsa_allow(h->config);
    wrap_and_unwrap(h);
    EVP_PKEY_free(known);
}

static kfe_error import(void *arg)
{
    uint32_t version = 0;
    kfe_key_provider *provider = arg;
    return provider->ops->import(provider, "moved", wrap_secret, &version);
}

static void importing(void **state)
{
    kfe_key_provider *provider = test_token_open(*state);
    assert_int_equal(starve(import, provider), 1);
    provider->ops->free(provider);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(logging_in), TEST(deriving), TEST(by_gcm),
        TEST(by_rfc3394), TEST(by_rsa),   TEST(importing),
    };
    left = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
