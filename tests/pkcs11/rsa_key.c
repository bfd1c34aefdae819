/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <openssl/rsa.h>

#include "tests/pkcs11/rsa_key.h"
#include "tests/support/rsa_numbers.h"

const rsa_way rsa_right = {RSA_PKCS1_OAEP_PADDING, "SHA256", NULL};

rsa_spec rsa_good(const char *label, uint32_t version)
{
    return (rsa_spec){label, version, 2048, CK_TRUE, CK_FALSE, CK_TRUE};
}

/* Made once in a process: it takes a while. */
static EVP_PKEY *key_of(const rsa_spec *spec)
{
    enum { MADE_MAX = 16 };
    static struct {
        unsigned bits;
        uint32_t version;
        EVP_PKEY *key;
    } made[MADE_MAX];
    size_t i = 0;
    while (i < MADE_MAX && made[i].key != NULL &&
           (made[i].bits != spec->bits || made[i].version != spec->version))
        i++;
    assert_in_range(i, 0, MADE_MAX - 1);
    if (made[i].key == NULL) {
        made[i].bits = spec->bits;
        made[i].version = spec->version;
        made[i].key = EVP_RSA_gen(spec->bits);
        assert_non_null(made[i].key);
    }
    assert_int_equal(EVP_PKEY_up_ref(made[i].key), 1);
    return made[i].key;
}

EVP_PKEY *rsa_import(const rsa_spec *spec)
{
    enum { N_OTHERS = 10 };
    EVP_PKEY *key = key_of(spec);
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    rsa_spec s = *spec;
    CK_BYTE id[4] = {(CK_BYTE)(s.version >> 24), (CK_BYTE)(s.version >> 16),
                     (CK_BYTE)(s.version >> 8), (CK_BYTE)s.version};
    CK_ATTRIBUTE a[N_OTHERS + RSA_NUMBERS] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &s.sensitive, sizeof(s.sensitive)},
        {CKA_EXTRACTABLE, &s.extractable, sizeof(s.extractable)},
        {CKA_DECRYPT, &s.decrypt, sizeof(s.decrypt)},
        {CKA_SIGN, &no, sizeof(no)},
        {CKA_LABEL, (void *)(uintptr_t)s.label, strlen(s.label)},
        {CKA_ID, id, sizeof(id)}};
    uint8_t room[RSA_NUMBERS][RSA_NUMBER_MAX];
    assert_true(rsa_numbers(key, room, a + N_OTHERS));
    raw_token raw;
    raw_open(&raw);
    raw_create(&raw, a, sizeof(a) / sizeof(a[0]));
    raw_close(&raw);
    return key;
}

static EVP_PKEY_CTX *context(EVP_PKEY *key, const rsa_way *way, bool encrypts)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(encrypts ? EVP_PKEY_encrypt_init(c) : EVP_PKEY_decrypt_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, way->padding), 1);
    if (way->hash == NULL)
        return c;
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(c, way->hash, NULL), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(c, way->hash, NULL), 1);
    if (way->label != NULL)
        assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(c, OPENSSL_strdup(way->label),
                                                          (int)strlen(way->label)),
                         1);
    return c;
}

size_t rsa_encrypt(EVP_PKEY *key, const rsa_way *way, const uint8_t *text, size_t len, uint8_t *out)
{
    EVP_PKEY_CTX *c = context(key, way, true);
    size_t got = KFE_KEY_WRAPPED_MAX - 1;
    out[0] = 3;
    assert_int_equal(EVP_PKEY_encrypt(c, out + 1, &got, text, len), 1);
    EVP_PKEY_CTX_free(c);
    return 1 + got;
}

void rsa_decrypt(EVP_PKEY *key, kfe_bytes wrapped, uint8_t secret[32])
{
    EVP_PKEY_CTX *c = context(key, &rsa_right, false);
    uint8_t text[RSA_NUMBER_MAX];
    size_t got = sizeof(text);
    assert_int_equal(wrapped.data[0], 3);
    assert_int_equal(EVP_PKEY_decrypt(c, text, &got, wrapped.data + 1, wrapped.len - 1), 1);
    assert_int_equal(got, 32);
    memcpy(secret, text, 32);
    EVP_PKEY_CTX_free(c);
}

void rsa_allow(kfe_config *config)
{
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.allow.rsa", "true"),
                     KFE_OK);
}
