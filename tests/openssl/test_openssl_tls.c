/* SPDX-License-Identifier: Apache-2.0 */
/* IVs that the context counts by itself, and TLS 1.2 records as libssl's record layer asks for
 * them: each equal to OpenSSL's, each side opening the other's. */
#include "tests/openssl/rig.h"

#include <string.h>

enum { EXPLICIT = 8, AROUND = EXPLICIT + RIG_TAG, AAD = 13, TEXT_MAX = 16384, ROUNDS = 300 };

static EVP_CIPHER_CTX *context(int side, int size, int seal, const uint8_t *key)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex2(ctx, rig_cipher[side][size], key, NULL, seal, NULL), 1);
    return ctx;
}

static void fix_iv(EVP_CIPHER_CTX *ctx, const uint8_t *iv, int len)
{
    uint8_t copy[128];
    memcpy(copy, iv, len < 0 ? sizeof(copy) : (size_t)len);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_FIXED, len, copy), 1);
}

/* An AAD for a record of `len` bytes in all, as libssl fills it in. */
static void set_aad(EVP_CIPHER_CTX *ctx, const uint8_t *head, size_t len)
{
    uint8_t aad[AAD];
    memcpy(aad, head, AAD);
    aad[AAD - 2] = (uint8_t)(len >> 8);
    aad[AAD - 1] = (uint8_t)len;
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, AAD, aad), RIG_TAG);
}

typedef struct {
    uint8_t key[32], iv[128], head[AAD], text[TEXT_MAX];
    size_t len;
} sample;

static void fill(sample *s)
{
    s->len = rig_some(TEXT_MAX);
    rig_fill(s->key, sizeof(s->key));
    rig_fill(s->iv, sizeof(s->iv));
    rig_fill(s->head, sizeof(s->head));
    rig_fill(s->text, s->len);
}

/* Opens `record` at `side`; the result of the update. */
static int open_record(int side, int size, const sample *s, uint8_t *record, int iv_len)
{
    EVP_CIPHER_CTX *ctx = context(side, size, 0, s->key);
    int made = -1;
    if (iv_len != 12)
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, iv_len, NULL), 1);
    fix_iv(ctx, s->iv, iv_len - EXPLICIT);
    set_aad(ctx, s->head, s->len + AROUND);
    int result = EVP_CipherUpdate(ctx, record, &made, record, (int)s->len + AROUND);
    assert_int_equal(made, result == 1 ? s->len : 0);
    EVP_CIPHER_CTX_free(ctx);
    return result;
}

/* Three records of one connection, with equal bytes on both sides, of which the last one is opened
 * by each, once whole and once with a bit changed. */
static void one_connection(int size, int iv_len)
{
    static sample s;
    static uint8_t made[SIDES][TEXT_MAX + AROUND], copy[TEXT_MAX + AROUND];
    static const uint8_t zero[TEXT_MAX];
    fill(&s);
    for (int side = 0; side < SIDES; side++) {
        EVP_CIPHER_CTX *ctx = context(side, size, 1, s.key);
        if (iv_len != 12)
            assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, iv_len, NULL), 1);
        fix_iv(ctx, s.iv, -1);
        for (int i = 0; i < 3; i++) {
            int len = 0;
            memset(made[side], 0, sizeof(made[side]));
            memcpy(made[side] + EXPLICIT, s.text, s.len);
            set_aad(ctx, s.head, s.len + EXPLICIT);
            assert_int_equal(
                EVP_CipherUpdate(ctx, made[side], &len, made[side], (int)s.len + AROUND), 1);
            assert_int_equal(len, s.len + AROUND);
        }
        EVP_CIPHER_CTX_free(ctx);
    }
    assert_memory_equal(made[OURS], made[THEIRS], s.len + AROUND);
    for (int side = 0; side < SIDES; side++) {
        memcpy(copy, made[OURS], s.len + AROUND);
        assert_int_equal(open_record(side, size, &s, copy, iv_len), 1);
        assert_memory_equal(copy + EXPLICIT, s.text, s.len);
        memcpy(copy, made[OURS], s.len + AROUND);
        copy[kit_below((uint32_t)s.len + AROUND)] ^= (uint8_t)(1u << kit_below(8));
        assert_int_not_equal(open_record(side, size, &s, copy, iv_len), 1);
        assert_memory_equal(copy + EXPLICIT, zero, s.len);
    }
}

static void records(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        one_connection(i % RIG_KEYS, 12);
        if (i % 8 == 0)
            one_connection(i % RIG_KEYS, 12 + (int)kit_below(30));
    }
}

/* As a connection does it: four bytes fixed, the others at random from the sealing side on. */
static void fresh_explicit_ivs(void **state)
{
    (void)state;
    static sample s;
    static uint8_t made[TEXT_MAX + AROUND], first[EXPLICIT];
    fill(&s);
    for (int i = 0; i < 2; i++) {
        int len = 0;
        EVP_CIPHER_CTX *ctx = context(OURS, 2, 1, s.key);
        fix_iv(ctx, s.iv, 4);
        memcpy(made + EXPLICIT, s.text, s.len);
        set_aad(ctx, s.head, s.len + EXPLICIT);
        assert_int_equal(EVP_CipherUpdate(ctx, made, &len, made, (int)s.len + AROUND), 1);
        EVP_CIPHER_CTX_free(ctx);
        if (i == 0)
            memcpy(first, made, EXPLICIT);
        else
            assert_memory_not_equal(first, made, EXPLICIT);
        assert_int_equal(open_record(THEIRS, 2, &s, made, 12), 1);
    }
}

/* EVP_CTRL_GCM_IV_GEN and EVP_CTRL_GCM_SET_IV_INV around ordinary messages. */
static void counted_ivs(void **state)
{
    (void)state;
    static sample s;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t iv[SIDES][16] = {{0}}, out[SIDES][32], tag[SIDES][RIG_TAG], back[32];
        int len = 0;
        fill(&s);
        memset(s.iv + 4, i % 2 ? 0xff : 0, 8); /* carries */
        for (int side = 0; side < SIDES; side++) {
            EVP_CIPHER_CTX *ctx = context(side, i % RIG_KEYS, 1, s.key);
            assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_IV_GEN, 8, iv[side]), 0);
            fix_iv(ctx, s.iv, -1);
            for (int n = 0; n < 3; n++) {
                assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_IV_GEN, i % 13, iv[side]),
                                 1);
                assert_int_equal(EVP_CipherUpdate(ctx, out[side], &len, s.key, 32), 1);
                assert_int_equal(EVP_CipherFinal_ex(ctx, out[side], &len), 1);
            }
            assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, tag[side]),
                             1);
            EVP_CIPHER_CTX_free(ctx);
        }
        assert_memory_equal(iv[OURS], iv[THEIRS], 16);
        assert_memory_equal(out[OURS], out[THEIRS], 32);
        assert_memory_equal(tag[OURS], tag[THEIRS], RIG_TAG);
        if (i % 13 != 8)
            continue;
        EVP_CIPHER_CTX *ctx = context(OURS, i % RIG_KEYS, 0, s.key);
        fix_iv(ctx, s.iv, 4);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_INV, 8, iv[THEIRS]), 1);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RIG_TAG, tag[THEIRS]), 1);
        assert_int_equal(EVP_CipherUpdate(ctx, back, &len, out[THEIRS], 32), 1);
        assert_int_equal(EVP_CipherFinal_ex(ctx, back, &len), 1);
        assert_memory_equal(back, s.key, 32);
        EVP_CIPHER_CTX_free(ctx);
    }
}

/* Wrong on both sides alike: AADs and records that are too short, not in place, fixed parts that
 * leave too little to count. */
static void wrong(void **state)
{
    (void)state;
    for (int side = 0; side < SIDES; side++) {
        uint8_t bytes[64] = {0}, out[64];
        int len = -1;
        EVP_CIPHER_CTX *ctx = context(side, 2, 1, bytes);
        /* OpenSSL 3.0's writes behind its IV for more. */
        for (int fixed = 0; fixed <= (side == OURS ? 20 : 12); fixed++)
            assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_FIXED, fixed, bytes),
                             fixed == 4);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_INV, 8, bytes), 0);
        assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, 12, bytes), RIG_TAG);
        set_aad(ctx, bytes, 8);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, bytes, 24), 0);
        set_aad(ctx, bytes, 8);
        assert_int_equal(EVP_CipherUpdate(ctx, bytes, &len, bytes, 23), 0);
        set_aad(ctx, bytes, 8);
        assert_int_equal(EVP_CipherUpdate(ctx, bytes, &len, bytes, 24), 1);
        assert_int_equal(EVP_CipherUpdate(ctx, bytes, &len, bytes, 24), 0);
        EVP_CIPHER_CTX_free(ctx);
        for (int seal = 0; seal < 2; seal++) {
            ctx = context(side, 2, seal, bytes);
            memset(bytes, 0, sizeof(bytes));
            bytes[AAD - 1] = seal ? EXPLICIT - 1 : AROUND - 1;
            assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, AAD, bytes),
                                 RIG_TAG);
            EVP_CIPHER_CTX_free(ctx);
        }
        rig_first_error();
    }
}

int main(void)
{
    rig_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(fresh_explicit_ivs),
        cmocka_unit_test(counted_ivs),
        cmocka_unit_test(wrong),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_end();
    return failed;
}
