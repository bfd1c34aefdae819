/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing of kfe's is used here: this is what it is compared with. */
#include "tests/backend/lab.h"

#include <openssl/evp.h>

void lab_oracle(lab_message *m)
{
    const EVP_CIPHER *cipher = m->key->suite == 1    ? EVP_aes_256_gcm()
                               : m->key->suite == 2  ? EVP_aes_128_gcm()
                               : m->key->suite == 31 ? EVP_aes_192_gcm()
                                                     : EVP_chacha20_poly1305();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t last[16];
    int made = 0;
    assert_non_null(ctx);
    assert_int_equal(EVP_EncryptInit_ex(ctx, cipher, NULL, m->key->bytes, m->nonce), 1);
    if (m->prefix_len + m->aad_len > 0)
        assert_int_equal(
            EVP_EncryptUpdate(ctx, NULL, &made, m->aad, (int)(m->prefix_len + m->aad_len)), 1);
    if (m->len > 0)
        assert_int_equal(EVP_EncryptUpdate(ctx, m->sealed, &made, m->plain, (int)m->len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, last, &made), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, m->tag), 1);
    EVP_CIPHER_CTX_free(ctx);
}

void lab_oracle_block(const lab_key *key, const uint8_t in[16], uint8_t out[16])
{
    const EVP_CIPHER *cipher = key->suite == 1   ? EVP_aes_256_ecb()
                               : key->suite == 2 ? EVP_aes_128_ecb()
                                                 : EVP_aes_192_ecb();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int made = 0;
    assert_non_null(ctx);
    assert_int_equal(EVP_EncryptInit_ex(ctx, cipher, NULL, key->bytes, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out, &made, in, 16), 1);
    assert_int_equal(made, 16);
    EVP_CIPHER_CTX_free(ctx);
}

/* x * h, algorithm 1 of SP 800-38D. */
static void multiply(uint8_t x[16], const uint8_t h[16])
{
    uint64_t z[2] = {0, 0}, v[2] = {0, 0};
    for (int i = 0; i < 16; i++)
        v[i / 8] = v[i / 8] << 8 | h[i];
    for (int i = 0; i < 128; i++) {
        if ((x[i / 8] >> (7 - i % 8) & 1) != 0) {
            z[0] ^= v[0];
            z[1] ^= v[1];
        }
        uint64_t last = v[1] & 1;
        v[1] = v[1] >> 1 | v[0] << 63;
        v[0] = v[0] >> 1 ^ (last != 0 ? 0xe100000000000000u : 0);
    }
    for (int i = 0; i < 16; i++)
        x[i] = (uint8_t)(z[i / 8] >> (56 - 8 * (i % 8)));
}

void lab_oracle_ghash(const lab_key *key, uint8_t state[16], const uint8_t *data, size_t blocks)
{
    static const uint8_t zero[16];
    uint8_t h[16];
    lab_oracle_block(key, zero, h);
    for (size_t i = 0; i < blocks; i++) {
        for (int b = 0; b < 16; b++)
            state[b] ^= data[16 * i + (size_t)b];
        multiply(state, h);
    }
}
