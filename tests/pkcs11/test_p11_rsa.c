/* SPDX-License-Identifier: Apache-2.0 */
/* Do RSA keys in the token wrap session secrets as docs/format.md says (5.4, form 3), and is a
 * forged one told from a token that fails, with one word for every forgery? */
#include <stdio.h>
#include <string.h>

#include <openssl/rsa.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/rsa_key.h"
#include "tests/pkcs11/wrap_rig.h"

typedef struct {
    struct wrap_rig w;
    EVP_PKEY *known;
} scene;

static scene scene_new(void **state)
{
    const test_token *h = *state;
    const rsa_spec good = rsa_good("kek", 1);
    scene s = {.known = rsa_import(&good)};
    rsa_allow(h->config);
    wrap_rig_open(&s.w, h);
    return s;
}

static void scene_free(scene *s)
{
    wrap_rig_wipe(&s->w);
    EVP_PKEY_free(s->known);
}

static void assert_detail(const char *part)
{
    if (strstr(kfe_error_detail(), part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, kfe_error_detail());
}

/* ---- The form ------------------------------------------------------------------------------ */

/* The first wrapping is undone; later ones need no cryptography of the token. */
static void test_wrap(void **state)
{
    scene s = scene_new(state);
    uint8_t out[32];
    assert_int_equal(aes_ability(s.w.key).kinds, 1u << KFE_WRAPPED);
    assert_int_equal(aes_ability(s.w.key).sealing, KFE_WRAPPED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wrap_rig_wrap(&s.w), KFE_OK);
        assert_int_equal(s.w.len, 1 + 256);
        rsa_decrypt(s.known, (kfe_bytes){s.w.wrapped, s.w.len}, out);
        assert_memory_equal(out, wrap_secret, 32);
        assert_int_equal(s.w.h->shim->calls("C_Decrypt"), 1);
        assert_int_equal(s.w.h->shim->calls("C_Encrypt"), 0);
    }
    wrap_rig_round(&s.w);
    assert_int_equal(s.w.h->shim->calls("C_Decrypt"), 2);
    assert_int_equal(s.w.key->ops->derive(s.w.key, wrap_aad.data, wrap_aad.len, out),
                     KFE_E_KEY_DENIED);
    assert_detail("RSA");
    scene_free(&s);
}

static void test_opens_what_openssl_wraps(void **state)
{
    scene s = scene_new(state);
    s.w.len = rsa_encrypt(s.known, &rsa_right, wrap_secret, 32, s.w.wrapped);
    assert_int_equal(s.w.len, 1 + 256);
    wrap_rig_round(&s.w);
    scene_free(&s);
}

/* A token that takes what it is given and does something else must not seal. */
static void test_first_one_does_not_unwrap(void **state)
{
    scene s = scene_new(state);
    s.w.h->shim->inject("C_Decrypt", SHIM_AFTER, CKR_ENCRYPTED_DATA_INVALID, 0, 1);
    assert_int_equal(wrap_rig_wrap(&s.w), KFE_E_KEY_DENIED);
    assert_detail("does not unwrap what it wrapped");
    s.w.h->shim->inject("C_Decrypt", SHIM_AFTER, CKR_DEVICE_ERROR, 0, 1); /* busy */
    assert_int_equal(wrap_rig_wrap(&s.w), KFE_OK);
    scene_free(&s);
}

static void test_kinds_of_keys_are_not_mixed(void **state)
{
    scene s = scene_new(state);
    aes_import("aes", 7, 32, AES_CRYPT | AES_KEY_WRAP);
    kfe_key *aes = aes_get(s.w.provider, "aes", 7);
    assert_int_equal(wrap_rig_wrap(&s.w), KFE_OK);
    assert_int_equal(aes->ops->unwrap(aes, wrap_aad, (kfe_bytes){s.w.wrapped, s.w.len}, s.w.back),
                     KFE_E_KEY_DENIED);
    assert_detail("wrapped by RSA");
    assert_int_equal(aes->ops->wrap(aes, wrap_aad, wrap_secret, s.w.wrapped, &s.w.len), KFE_OK);
    assert_int_equal(wrap_rig_unwrap(&s.w), KFE_E_KEY_DENIED);
    assert_detail("wrapped by AES");
    aes->ops->release(aes);
    scene_free(&s);
}

/* ---- Forgeries ----------------------------------------------------------------------------- */

/* One error, one line, no outage, no session lost, and nothing in the output. */
static void assert_forged(scene *s, char *line)
{
    static const uint8_t zero[32];
    assert_int_equal(wrap_rig_unwrap(&s->w), KFE_E_AUTH);
    assert_memory_equal(s->w.back, zero, 32);
    if (line[0] == '\0')
        snprintf(line, 256, "%s", kfe_error_detail());
    assert_string_equal(kfe_error_detail(), line);
}

static void test_forged(void **state)
{
    static const rsa_way ways[] = {{RSA_PKCS1_OAEP_PADDING, "SHA1", NULL},
                                   {RSA_PKCS1_OAEP_PADDING, "SHA384", NULL},
                                   {RSA_PKCS1_OAEP_PADDING, "SHA256", "kfe"},
                                   {RSA_PKCS1_PADDING, NULL, NULL}};
    static const size_t lengths[] = {0, 1, 31, 33, 190};
    scene s = scene_new(state);
    uint8_t text[256] = {0};
    char line[256] = "";
    assert_int_equal(wrap_rig_wrap(&s.w), KFE_OK);
    unsigned long opened = s.w.h->shim->calls("C_OpenSession");
    for (size_t at = 1; at < s.w.len; at += 15) {
        s.w.wrapped[at] ^= 4;
        assert_forged(&s, line);
        s.w.wrapped[at] ^= 4;
    }
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        s.w.len = rsa_encrypt(s.known, &ways[i], wrap_secret, 32, s.w.wrapped);
        assert_forged(&s, line);
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        s.w.len = rsa_encrypt(s.known, &rsa_right, text, lengths[i], s.w.wrapped);
        assert_forged(&s, line);
    }
    const rsa_way raw = {RSA_NO_PADDING, NULL, NULL};
    for (uint8_t first = 0; first < 3; first++) { /* Manger's question is not answered, either */
        text[0] = first;
        s.w.len = rsa_encrypt(s.known, &raw, text, 256, s.w.wrapped);
        assert_forged(&s, line);
    }
    unsigned long asked = s.w.h->shim->calls("C_DecryptInit");
    memset(s.w.wrapped + 1, 0xff, 256); /* no number below the modulus */
    assert_forged(&s, line);
    s.w.len = 1 + 384; /* of a longer key */
    s.w.wrapped[1] = 0;
    assert_forged(&s, line);
    assert_int_equal(s.w.h->shim->calls("C_DecryptInit"), asked);
    s.w.len = rsa_encrypt(s.known, &rsa_right, wrap_secret, 32, s.w.wrapped);
    wrap_rig_round(&s.w);
    assert_int_equal(s.w.h->shim->calls("C_OpenSession"), opened);
    kfe_key_provider_statistics is = {.size = sizeof(is)};
    s.w.provider->ops->statistics(s.w.provider, &is);
    assert_int_equal(is.breaker, KFE_BREAKER_CLOSED);
    assert_int_equal(is.reconnects, 0);
    scene_free(&s);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_wrap),
        TOKEN_TEST(test_opens_what_openssl_wraps),
        TOKEN_TEST(test_first_one_does_not_unwrap),
        TOKEN_TEST(test_kinds_of_keys_are_not_mixed),
        TOKEN_TEST(test_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
