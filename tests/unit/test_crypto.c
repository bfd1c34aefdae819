/* SPDX-License-Identifier: Apache-2.0 */

/* Do OpenSSL's algorithms come out as the RFCs print them, and does every failure close? */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "engine/openssl/crypto.h"

static kfe_crypto *crypto;

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[0] != '\0'; hex += 2) {
        char two[] = {hex[0], hex[1], '\0'};
        out[n++] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static int setup(void **state)
{
    (void)state;
    return kfe_crypto_new(&crypto, NULL) == KFE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    kfe_crypto_free(crypto);
    kfe_crypto_free(NULL);
    return 0;
}

/* RFC 4231, cases 1 to 4. Keys shorter than 32 bytes: HMAC itself pads a key with zeros. */
static void hmac_rfc4231(void **state)
{
    (void)state;
    static const struct {
        const char *key, *data, *mac;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
         "d"
         "dddddddddd",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"0102030405060708090a0b0c0d0e0f10111213141516171819",
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc"
         "d"
         "cdcdcdcdcd",
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t key[32] = {0}, data[64], mac[32], out[32];
        unhex(cases[i].key, key);
        size_t len = unhex(cases[i].data, data);
        unhex(cases[i].mac, mac);
        assert_int_equal(kfe_hmac_sha256(crypto, key, data, len, out), KFE_OK);
        assert_memory_equal(out, mac, 32);
    }
    uint8_t key[32] = {0}, out[32], mac[32];
    unhex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", mac);
    assert_int_equal(kfe_hmac_sha256(crypto, key, NULL, 0, out), KFE_OK);
    assert_memory_equal(out, mac, 32);
}

/* RFC 7914, section 12: the first 32 of the 64 bytes (PBKDF2 makes them block by block). */
static void scrypt_rfc7914(void **state)
{
    (void)state;
    static const struct {
        const char *pass, *salt, *out;
        unsigned log2_n, r, p;
    } cases[] = {
        {"", "", "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442", 4, 1, 1},
        {"password", "NaCl", "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162", 10,
         8, 16},
        {"pleaseletmein", "SodiumChloride",
         "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2", 14, 8, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t want[32], out[32];
        unhex(cases[i].out, want);
        kfe_bytes pass = {(const uint8_t *)cases[i].pass, strlen(cases[i].pass)};
        kfe_bytes salt = {(const uint8_t *)cases[i].salt, strlen(cases[i].salt)};
        const uint32_t cost[] = {cases[i].log2_n, cases[i].r, cases[i].p};
        if (pass.len == 0)
            pass.data = NULL;
        assert_int_equal(kfe_scrypt(crypto, pass, salt, cost, out), KFE_OK);
        assert_memory_equal(out, want, 32);
    }
}

static void scrypt_bounds(void **state)
{
    (void)state;
    static const kfe_bytes one = {(const uint8_t *)"x", 1};
    static const uint32_t bad[][3] = {
        {0, 8, 1},         {21, 8, 1},          {18, 8, 1},   {64, 1, 1},
        {32, 1, 1},        {14, 0, 1},          {14, 256, 1}, {14, 8, 0},
        {10, 8, 1u << 30}, {14, 0xffffffff, 1}, {16, 1, 1},   {4, 1024, 1024 * 4},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t out[32] = {0};
        assert_int_equal(kfe_scrypt(crypto, one, one, bad[i], out), KFE_E_ARGUMENT);
    }
    uint8_t out[32]; /* 128 MiB */
    assert_int_equal(kfe_scrypt(crypto, one, one, (const uint32_t[]){17, 8, 1}, out), KFE_OK);
}

/* ---- An oracle for SIV: RFC 5297 spelled out over AES-CMAC and AES-CTR ----------------- */

static void cmac(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
                 uint8_t out[16])
{
    assert_non_null(EVP_Q_mac(NULL, "CMAC", NULL, key_len == 16 ? "AES-128-CBC" : "AES-256-CBC",
                              NULL, key, key_len, data, len, out, 16, NULL));
}

static void dbl(uint8_t d[16])
{
    uint8_t carry = d[0] >> 7;
    for (int i = 0; i < 16; i++)
        d[i] = (uint8_t)(d[i] << 1 | (i < 15 ? d[i + 1] >> 7 : 0));
    d[15] ^= carry ? 0x87 : 0;
}

static void siv_by_the_book(const uint8_t *key, size_t half, const uint8_t *ad, size_t ad_len,
                            const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t d[16], mac[16], text[512] = {0}, counter[16];
    const uint8_t zero[16] = {0};
    cmac(key, half, zero, 16, d);
    dbl(d);
    cmac(key, half, ad, ad_len, mac);
    for (int i = 0; i < 16; i++)
        d[i] ^= mac[i];
    size_t text_len = len;
    if (len >= 16) {
        memcpy(text, in, len);
        for (size_t i = 0; i < 16; i++)
            text[len - 16 + i] ^= d[i];
    } else {
        dbl(d);
        memcpy(text, in, len);
        text[len] = 0x80;
        text_len = 16;
        for (int i = 0; i < 16; i++)
            text[i] ^= d[i];
    }
    cmac(key, half, text, text_len, out);
    memcpy(counter, out, 16);
    counter[8] &= 0x7f;
    counter[12] &= 0x7f;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    assert_int_equal(EVP_EncryptInit_ex(ctx, half == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(),
                                        NULL, key + half, counter),
                     1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out + 16, &n, in, (int)len), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void siv_rfc5297(void **state)
{
    (void)state;
    uint8_t key[64], ad[64], in[256], want[300], out[300], back[256];
    /* A.1 is AES-128-SIV: it proves the oracle, which then judges AES-256-SIV. */
    unhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", key);
    size_t ad_len = unhex("101112131415161718191a1b1c1d1e1f2021222324252627", ad);
    size_t len = unhex("112233445566778899aabbccddee", in);
    unhex("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c", want);
    siv_by_the_book(key, 16, ad, ad_len, in, len, out);
    assert_memory_equal(out, want, 30);

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7 + 3);
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 5 + 1);
    for (len = 1; len <= sizeof(in); len++) {
        siv_by_the_book(key, 32, ad, ad_len, in, len, want);
        assert_int_equal(kfe_siv_seal(crypto, key, ad, ad_len, in, len, out), KFE_OK);
        assert_memory_equal(out, want, len + 16);
        assert_int_equal(kfe_siv_open(crypto, key, ad, ad_len, out, len + 16, back), KFE_OK);
        assert_memory_equal(back, in, len);
    }
}

static void siv_refuses(void **state)
{
    (void)state;
    static const uint8_t zero[33];
    uint8_t key[64] = {1}, in[33] = {2}, out[49], back[33];
    assert_int_equal(kfe_siv_seal(crypto, key, "ad", 2, in, sizeof(in), out), KFE_OK);
    for (size_t i = 0; i < 8 * sizeof(out); i++) {
        out[i / 8] ^= (uint8_t)(1 << i % 8);
        memset(back, 0xaa, sizeof(back));
        assert_int_equal(kfe_siv_open(crypto, key, "ad", 2, out, sizeof(out), back), KFE_E_AUTH);
        assert_memory_equal(back, zero, sizeof(back));
        out[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(kfe_siv_open(crypto, key, "ae", 2, out, sizeof(out), back), KFE_E_AUTH);
    for (size_t len = 0; len <= 16; len++)
        assert_int_equal(kfe_siv_open(crypto, key, "ad", 2, out, len, back), KFE_E_AUTH);
    assert_int_equal(kfe_siv_seal(crypto, key, "ad", 2, in, 0, out), KFE_E_ARGUMENT);
    assert_int_equal(ERR_peek_error(), 0); /* a forgery leaves nothing in the caller's queue */
}

/* The GCM specification (McGrew, Viega), test case 16. */
static void gcm_case16(void **state)
{
    (void)state;
    uint8_t key[32], nonce[12], aad[20], in[64], want[80], out[80], back[64];
    unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    unhex("cafebabefacedbaddecaf888", nonce);
    unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
    size_t len = unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                       "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
                       in);
    size_t sealed = unhex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                          "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                          "76fc6ece0f4e1768cddf8853bb2d551b",
                          want);
    assert_int_equal(sealed, len + 16);
    assert_int_equal(kfe_gcm_seal_one(crypto, key, nonce, aad, 20, in, len, out), KFE_OK);
    assert_memory_equal(out, want, sealed);
    assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, aad, 20, out, sealed, back), KFE_OK);
    assert_memory_equal(back, in, len);
}

static void gcm_refuses(void **state)
{
    (void)state;
    static const uint8_t zero[20];
    uint8_t key[32] = {1}, nonce[12] = {2}, in[20] = {3}, out[36], back[20];
    assert_int_equal(kfe_gcm_seal_one(crypto, key, nonce, "a", 1, in, sizeof(in), out), KFE_OK);
    for (size_t i = 0; i < 8 * sizeof(out); i++) {
        out[i / 8] ^= (uint8_t)(1 << i % 8);
        memset(back, 0xaa, sizeof(back));
        assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, "a", 1, out, sizeof(out), back),
                         KFE_E_AUTH);
        assert_memory_equal(back, zero, sizeof(back));
        out[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, "b", 1, out, 36, back), KFE_E_AUTH);
    assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, NULL, 0, out, 36, back), KFE_E_AUTH);
    assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, "a", 1, out, 15, back), KFE_E_AUTH);
    /* Nothing at all is a message too. */
    assert_int_equal(kfe_gcm_seal_one(crypto, key, nonce, NULL, 0, NULL, 0, out), KFE_OK);
    assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, NULL, 0, out, 16, NULL), KFE_OK);
    out[0] ^= 1;
    assert_int_equal(kfe_gcm_open_one(crypto, key, nonce, NULL, 0, out, 16, NULL), KFE_E_AUTH);
}

static void property_queries(void **state)
{
    (void)state;
    kfe_crypto *other = NULL;
    assert_int_equal(kfe_crypto_new(&other, "provider=nonesuch"), KFE_E_BACKEND);
    assert_null(other);
    assert_non_null(strstr(kfe_error_detail(), "AES-128-GCM"));
    assert_non_null(strstr(kfe_error_detail(), "provider=nonesuch"));
    assert_int_equal(kfe_crypto_new(&other, "=,="), KFE_E_BACKEND);
    assert_int_equal(kfe_crypto_new(&other, "provider=default"), KFE_OK);
    kfe_crypto_free(other);
    assert_int_equal(kfe_crypto_new(&other, ""), KFE_OK);
    kfe_crypto_free(other);
}

/* As with a FIPS module: what is missing fails by its name, the rest works. */
static void missing_algorithms(void **state)
{
    (void)state;
    kfe_crypto fips = *crypto;
    fips.siv256 = NULL;
    fips.scrypt = NULL;
    uint8_t key[64] = {0}, in[32] = {0}, out[64];
    assert_int_equal(kfe_siv_seal(&fips, key, "a", 1, in, 16, out), KFE_E_BACKEND);
    assert_int_equal(kfe_siv_open(&fips, key, "a", 1, in, 32, out), KFE_E_BACKEND);
    const uint32_t cost[] = {14, 8, 1};
    assert_int_equal(kfe_scrypt(&fips, (kfe_bytes){in, 1}, (kfe_bytes){in, 1}, cost, out),
                     KFE_E_BACKEND);
    assert_int_equal(kfe_hmac_sha256(&fips, key, in, 16, out), KFE_OK);
}

static void openssl_reasons(void **state)
{
    (void)state;
    ERR_raise(ERR_LIB_EVP, EVP_R_BAD_DECRYPT);
    assert_int_equal(kfe_fail_openssl(KFE_E_IO, "this"), KFE_E_IO);
    assert_non_null(strstr(kfe_error_detail(), "bad decrypt"));
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(kfe_fail_openssl(KFE_E_IO, "that"), KFE_E_IO);
    assert_non_null(strstr(kfe_error_detail(), "no reason given"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_rfc4231),       cmocka_unit_test(scrypt_rfc7914),
        cmocka_unit_test(scrypt_bounds),      cmocka_unit_test(siv_rfc5297),
        cmocka_unit_test(siv_refuses),        cmocka_unit_test(gcm_case16),
        cmocka_unit_test(gcm_refuses),        cmocka_unit_test(property_queries),
        cmocka_unit_test(missing_algorithms), cmocka_unit_test(openssl_reasons),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
