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
