/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <openssl/evp.h>

#include "tests/pkcs11/aes_key.h"

const uint8_t aes_master[32] = {0x2b, 0x7e, 0x15, 0x16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xfe, 0xff};

void aes_import(const char *label, uint32_t version, size_t len, unsigned usages)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BBOOL may[4];
    for (int i = 0; i < 4; i++)
        may[i] = (usages >> i & 1) != 0;
    CK_BYTE id[64] = {(CK_BYTE)(version >> 24), (CK_BYTE)(version >> 16), (CK_BYTE)(version >> 8),
                      (CK_BYTE)version};
    assert_true(4 + strlen(label) <= sizeof(id));
    memcpy(id + 4, label, strlen(label)); /* as not all tokens keep two keys of one id */
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_KEY_TYPE, &type, sizeof(type)},
                        {CKA_TOKEN, &yes, sizeof(yes)},
                        {CKA_PRIVATE, &yes, sizeof(yes)},
                        {CKA_SENSITIVE, &yes, sizeof(yes)},
                        {CKA_EXTRACTABLE, &no, sizeof(no)},
                        {CKA_ENCRYPT, &may[0], sizeof(may[0])},
                        {CKA_DECRYPT, &may[1], sizeof(may[1])},
                        {CKA_WRAP, &may[2], sizeof(may[2])},
                        {CKA_UNWRAP, &may[3], sizeof(may[3])},
                        {CKA_SIGN, &no, sizeof(no)},
                        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                        {CKA_ID, id, 4 + strlen(label)},
                        {CKA_VALUE, (void *)(uintptr_t)aes_master, len}};
    raw_token raw;
    raw_open(&raw);
    raw_create(&raw, a, sizeof(a) / sizeof(a[0]));
    raw_close(&raw);
}

/* By attributes of each: not all tokens find objects of a session by CKA_TOKEN. What tells the
 * provider whether its handles are still good does not count. */
static bool counts(const raw_token *raw, CK_OBJECT_HANDLE object)
{
    CK_BBOOL token = CK_TRUE;
    CK_BYTE id[64];
    CK_ATTRIBUTE a[] = {{CKA_TOKEN, &token, sizeof(token)}, {CKA_ID, id, sizeof(id)}};
    CK_RV rv = raw->calls->C_GetAttributeValue(raw->session, object, a, 2);
    assert_true(rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID);
    bool mark = a[1].ulValueLen == 9 && memcmp(id, "kfe login", 9) == 0;
    return !token && !mark;
}

unsigned aes_session_objects(void)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)}};
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n = 0;
    unsigned counted = 0;
    raw_token raw;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_FindObjectsInit(raw.session, a, 1), CKR_OK);
    assert_int_equal(raw.calls->C_FindObjects(raw.session, found, 64, &n), CKR_OK);
    assert_int_equal(raw.calls->C_FindObjectsFinal(raw.session), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++)
        counted += counts(&raw, found[i]);
    raw_close(&raw);
    return counted;
}

kfe_key *aes_get(kfe_key_provider *provider, const char *name, uint32_t version)
{
    kfe_key *key = NULL;
    const kfe_key_ref ref = {name, version};
    kfe_error err = provider->ops->get_key(provider, &ref, &key);
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
    return key;
}

kfe_key_ability aes_ability(kfe_key *key)
{
    kfe_key_ability can = {.size = sizeof(can)};
    key->ops->ability(key, &can);
    return can;
}

kfe_key_provider *aes_open(const test_token *h, const char *session)
{
    assert_int_equal(kfe_config_set(h->config, "encryption.keyprovider.pkcs11.session", session),
                     KFE_OK);
    return test_token_open(h);
}

/* Opens when there is a tag to check, which is not written then. */
static bool gcm(size_t key_len, const kfe_bytes part[3], const uint8_t *check, uint8_t *tag,
                uint8_t *out)
{
    const kfe_bytes iv = part[0], aad = part[1], in = part[2];
    const bool seal = check == NULL;
    uint8_t end[16];
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex(ctx, key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
                                       NULL, NULL, NULL, seal),
                     1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)iv.len, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, aes_master, iv.data, seal), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, aad.data, (int)aad.len), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &n, in.data, (int)in.len), 1);
    if (!seal)
        assert_int_equal(
            EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, (void *)(uintptr_t)check), 1);
    bool good = EVP_CipherFinal_ex(ctx, end, &n) == 1;
    if (seal)
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

bool aes_gcm_open(size_t key_len, kfe_bytes iv, kfe_bytes aad, kfe_bytes sealed, const uint8_t *tag,
                  uint8_t *out)
{
    const kfe_bytes parts[] = {iv, aad, sealed};
    return gcm(key_len, parts, tag, NULL, out);
}

void aes_gcm_seal(size_t key_len, kfe_bytes iv, kfe_bytes aad, kfe_bytes text, uint8_t *out,
                  uint8_t *tag)
{
    const kfe_bytes parts[] = {iv, aad, text};
    assert_true(gcm(key_len, parts, NULL, tag, out));
}

void aes_rfc3394(const uint8_t in[32], uint8_t out[40])
{
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, aes_master, NULL, 1), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &n, in, 32), 1);
    assert_int_equal(n, 40);
    EVP_CIPHER_CTX_free(ctx);
}
