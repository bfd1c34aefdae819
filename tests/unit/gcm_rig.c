/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/gcm_rig.h"

#include <string.h>

#include <openssl/evp.h>

static void random_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)kit_random();
}

rig_key rig_key_new(const char *backend)
{
    rig_key key = {.len = 16 + 8 * kit_below(3)};
    random_bytes(key.raw, key.len);
    if (kfe_gcm_key_new(&key.key, key.raw, key.len, backend) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
    return key;
}

static void oracle(rig_message *m)
{
    const EVP_CIPHER *cipher = m->key->len == 16   ? EVP_aes_128_gcm()
                               : m->key->len == 24 ? EVP_aes_192_gcm()
                                                   : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t last[16];
    int made = 0;
    assert_non_null(ctx);
    assert_int_equal(EVP_EncryptInit_ex(ctx, cipher, NULL, m->key->raw, m->nonce), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &made, m->aad, (int)(m->absorbed + m->aad_len)),
                     1);
    assert_int_equal(EVP_EncryptUpdate(ctx, m->sealed_text, &made, m->plain, (int)m->len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, last, &made), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, m->sealed_tag), 1);
    EVP_CIPHER_CTX_free(ctx);
}

void rig_message_init(rig_message *m, const rig_key *key, bool plain_aad)
{
    memset(m, 0, sizeof(*m));
    m->key = key;
    m->plain_aad = plain_aad;
    m->absorbed = !plain_aad && kit_below(2) ? 16 * kit_below(RIG_PREFIX / 16 + 1) : 0;
    m->aad_len = kit_below(RIG_AAD + 1);
    m->len = kit_below(4) ? kit_below(60) : kit_below(RIG_LEN + 1);
    random_bytes(m->nonce, sizeof(m->nonce));
    random_bytes(m->aad, sizeof(m->aad));
    random_bytes(m->plain, sizeof(m->plain));
    oracle(m);
}

static void set_op(rig_message *m, kfe_gcm_op *op)
{
    *op = (kfe_gcm_op){.key = m->key->key,
                       .nonce = m->nonce,
                       .aad = m->aad + m->absorbed,
                       .aad_len = m->aad_len,
                       .out = m->text,
                       .len = m->len,
                       .tag = m->tag};
    if (m->plain_aad || (m->absorbed == 0 && kit_below(2)))
        return;
    assert_int_equal(kfe_gcm_absorb(m->key->key, m->aad, m->absorbed, &m->prefix), KFE_OK);
    assert_int_equal(m->prefix.len, m->absorbed);
    op->prefix = &m->prefix;
}

static const uint8_t *input(rig_message *m, const uint8_t *bytes)
{
    memset(m->text, 0x55, sizeof(m->text));
    if (kit_below(2))
        return bytes;
    memcpy(m->text, bytes, m->len);
    return m->text;
}

void rig_seal_op(rig_message *m, kfe_gcm_op *op)
{
    set_op(m, op);
    op->in = input(m, m->plain);
    memset(m->tag, 0x55, sizeof(m->tag));
}

void rig_open_op(rig_message *m, kfe_gcm_op *op)
{
    set_op(m, op);
    op->in = input(m, m->sealed_text);
    memcpy(m->tag, m->sealed_tag, sizeof(m->tag));
}

void rig_check_sealed(const rig_message *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_memory_equal(m[i].text, m[i].sealed_text, m[i].len);
        assert_memory_equal(m[i].tag, m[i].sealed_tag, 16);
    }
}

void rig_check_opened(const rig_message *m, const bool *forged, size_t n)
{
    static const uint8_t zeros[RIG_LEN];
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(m[i].text, forged != NULL && forged[i] ? zeros : m[i].plain, m[i].len);
}
