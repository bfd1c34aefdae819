/* SPDX-License-Identifier: Apache-2.0 */
/* Does a context answer as OpenSSL's own does, whatever is asked of it in whatever order? Random
 * calls, right and wrong ones, go to both; results, outputs and the first error must be equal. Left
 * out is what cannot be equal (random IVs) and where we refuse on purpose: to go on after a
 * forgery, and with a message whose key was exchanged in the middle. */
#include "tests/openssl/rig.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/proverr.h>

enum { ROUNDS = 10000, CALLS = 40, ROOM = 300 };

typedef struct {
    EVP_CIPHER_CTX *ctx[SIDES];
    size_t key_len;
    uint8_t key[32]; /* the last one */
    bool has_iv, begun, sealing, spent;
    char log[CALLS * 24];
} pair;

/* What one call gave. */
typedef struct {
    int result, made;
    uint8_t out[ROOM];
    unsigned long error;
} answer;

/* The arguments of one call, the same for both sides. */
typedef struct {
    uint8_t bytes[ROOM], key[32], iv[128];
    size_t n;
    int a, b, c;
} arguments;

typedef int call(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out);

static int init(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    (void)out;
    return EVP_CipherInit_ex2(ctx, NULL, in->a ? in->key : NULL, in->b ? in->iv : NULL, in->c,
                              NULL);
}

static int update(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    return EVP_CipherUpdate(ctx, in->a ? out->out : NULL, &out->made, in->bytes, (int)in->n);
}

static int final(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    (void)in;
    return EVP_CipherFinal_ex(ctx, out->out, &out->made);
}

static int whole(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    return EVP_Cipher(ctx, in->a ? out->out : NULL, in->b ? in->bytes : NULL, (unsigned)in->n);
}

static int control(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    memcpy(out->out, in->bytes, ROOM);
    return EVP_CIPHER_CTX_ctrl(ctx, in->a, in->b, in->c ? out->out : NULL);
}

static int get_iv(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    return in->a ? EVP_CIPHER_CTX_get_original_iv(ctx, out->out, in->n)
                 : EVP_CIPHER_CTX_get_updated_iv(ctx, out->out, in->n);
}

static int lengths(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    (void)in;
    out->made = EVP_CIPHER_CTX_get_iv_length(ctx);
    out->out[0] = (uint8_t)EVP_CIPHER_CTX_get_key_length(ctx);
    out->out[1] = (uint8_t)EVP_CIPHER_CTX_get_tag_length(ctx);
    out->out[2] = (uint8_t)EVP_CIPHER_CTX_get_block_size(ctx);
    return 1;
}

static int key_length(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    (void)out;
    return EVP_CIPHER_CTX_set_key_length(ctx, (int)in->n);
}

/* Integers of all widths, and what is no integer. */
static int set_iv_length(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    static char ivlen[] = OSSL_CIPHER_PARAM_IVLEN;
    int narrow = in->b;
    size_t wide = (size_t)in->b;
    int64_t large = in->b;
    OSSL_PARAM params[] = {{ivlen, OSSL_PARAM_INTEGER, &narrow, sizeof(narrow), 0}, OSSL_PARAM_END};
    if (in->a == 1)
        params[0] = OSSL_PARAM_construct_size_t(ivlen, &wide);
    else if (in->a == 2)
        params[0] = OSSL_PARAM_construct_int64(ivlen, &large);
    else if (in->a == 3)
        params[0] = OSSL_PARAM_construct_octet_string(ivlen, &wide, sizeof(wide));
    (void)out;
    return EVP_CIPHER_CTX_set_params(ctx, params);
}

static int get_several(EVP_CIPHER_CTX *ctx, const arguments *in, answer *out)
{
    const void *iv = NULL;
    int keylen = -1;
    uint64_t taglen = 0;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_CIPHER_PARAM_KEYLEN, &keylen),
        OSSL_PARAM_construct_uint64(OSSL_CIPHER_PARAM_AEAD_TAGLEN, &taglen),
        OSSL_PARAM_construct_uint64("stranger", &taglen),
        OSSL_PARAM_construct_octet_ptr(OSSL_CIPHER_PARAM_IV, (void **)(uintptr_t)&iv, in->n),
        OSSL_PARAM_END};
    int result = EVP_CIPHER_CTX_get_params(ctx, params);
    if (iv != NULL && result == 1)
        memcpy(out->out, iv, params[3].return_size);
    out->made = keylen + (int)taglen;
    return result;
}

static void both(pair *p, const char *name, call *f, const arguments *in, answer out[SIDES])
{
    size_t used = strlen(p->log);
    snprintf(p->log + used, sizeof(p->log) - used, " %s(%d,%d,%d,%zu)", name, in->a, in->b, in->c,
             in->n);
    for (int side = 0; side < SIDES; side++) {
        memset(&out[side], 0, sizeof(out[side]));
        out[side].result = f(p->ctx[side], in, &out[side]);
        out[side].error = rig_first_error();
    }
    if (out[OURS].result != out[THEIRS].result || out[OURS].made != out[THEIRS].made ||
        out[OURS].error != out[THEIRS].error)
        fail_msg("%s: %d, %d, error %lx; OpenSSL: %d, %d, error %lx", p->log, out[OURS].result,
                 out[OURS].made, out[OURS].error, out[THEIRS].result, out[THEIRS].made,
                 out[THEIRS].error);
    if (memcmp(out[OURS].out, out[THEIRS].out, ROOM) != 0)
        fail_msg("%s: another output", p->log);
}

/* ---- Calls by chance ------------------------------------------------------------------------- */

static bool may_go_on(const pair *p)
{
    return !p->spent && (p->has_iv || !p->sealing);
}

static void one_init(pair *p, arguments *in)
{
    answer out[SIDES];
    in->a = (int)kit_below(2);
    in->b = kit_below(2) || (in->a && p->begun);
    in->c = (int)kit_below(3) - 1;
    if (in->a && kit_below(4) > 0) /* often the same, or nearly */
        memcpy(in->key, p->key, sizeof(in->key));
    if (in->a && kit_below(4) == 0)
        in->key[kit_below((uint32_t)p->key_len)] ^= (uint8_t)(1u << kit_below(8));
    if (in->a)
        memcpy(p->key, in->key, sizeof(in->key));
    both(p, "init", init, in, out);
    p->sealing = in->c == -1 ? p->sealing : in->c == 1;
    if (in->b) {
        p->has_iv = true;
        p->begun = p->spent = false;
    }
}

static void one_update(pair *p, arguments *in)
{
    answer out[SIDES];
    in->a = (int)kit_below(2);
    in->n = rig_some(ROOM);
    if (!may_go_on(p))
        return;
    p->begun = true;
    both(p, "update", update, in, out);
}

static void one_final(pair *p, arguments *in)
{
    answer out[SIDES];
    if (!may_go_on(p))
        return;
    bool by_cipher = kit_below(2);
    in->a = 1;
    in->b = 0;
    in->n = 0;
    both(p, by_cipher ? "Cipher" : "final", by_cipher ? whole : final, in, out);
    p->spent = !p->sealing;
    p->begun = true;
}

static void one_whole(pair *p, arguments *in)
{
    answer out[SIDES];
    in->a = (int)kit_below(2);
    in->b = 1;
    in->n = rig_some(ROOM);
    if (!may_go_on(p))
        return;
    p->begun = true;
    both(p, "Cipher", whole, in, out);
}

static void one_control(pair *p, arguments *in)
{
    static const int codes[] = {EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG,
                                EVP_CTRL_AEAD_SET_IVLEN, EVP_CTRL_INIT, EVP_CTRL_AEAD_SET_MAC_KEY};
    answer out[SIDES];
    in->a = codes[kit_below(5)];
    in->b = (int)kit_below(18) + (kit_below(8) == 0 ? 112 : 0);
    in->c = in->a == EVP_CTRL_AEAD_SET_IVLEN ? 0 : kit_below(4) != 0;
    if (in->a == EVP_CTRL_AEAD_SET_TAG && p->sealing)
        return;
    both(p, "ctrl", control, in, out);
}

static void one_question(pair *p, arguments *in)
{
    answer out[SIDES];
    in->a = (int)kit_below(2);
    in->n = kit_below(2) ? 12 + kit_below(120) : kit_below(20);
    both(p, "iv", get_iv, in, out);
    both(p, "lengths", lengths, in, out);
    both(p, "several", get_several, in, out);
}

static void one_length(pair *p, arguments *in)
{
    answer out[SIDES];
    in->n = kit_below(3) == 0 ? kit_below(40) : p->key_len;
    both(p, "keylen", key_length, in, out);
    in->a = (int)kit_below(4);
    in->b = (int)kit_below(140) - 4;
    if (kit_below(3) == 0)
        both(p, "ivlen", set_iv_length, in, out);
}

/* Copies the contexts, and goes on with the copies. OpenSSL's own cannot be copied everywhere. */
static void one_copy(pair *p)
{
    EVP_CIPHER_CTX *copy[SIDES] = {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new()};
    bool can = EVP_CIPHER_CTX_copy(copy[THEIRS], p->ctx[THEIRS]) == 1;
    assert_int_equal(EVP_CIPHER_CTX_copy(copy[OURS], p->ctx[OURS]), 1);
    rig_first_error();
    for (int side = 0; side < SIDES; side++) {
        EVP_CIPHER_CTX_free(can ? p->ctx[side] : copy[side]);
        p->ctx[side] = can ? copy[side] : p->ctx[side];
    }
}

static void any_calls(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        int size = (int)kit_below(RIG_KEYS);
        pair p = {.key_len = rig_key_len[size], .sealing = round % 2};
        for (int side = 0; side < SIDES; side++) {
            p.ctx[side] = EVP_CIPHER_CTX_new();
            assert_int_equal(EVP_CipherInit_ex2(p.ctx[side], rig_cipher[side][size], NULL, NULL,
                                                round % 2, NULL),
                             1);
        }
        for (int i = 0; i < CALLS; i++) {
            arguments in = {.n = 0};
            rig_fill(in.bytes, sizeof(in.bytes));
            rig_fill(in.key, sizeof(in.key));
            rig_fill(in.iv, sizeof(in.iv));
            void (*const calls[])(pair *, arguments *) = {
                one_init,  one_init,  one_update,  one_update,   one_update, one_final,
                one_final, one_whole, one_control, one_question, one_length};
            uint32_t which = kit_below(12);
            if (which < 11)
                calls[which](&p, &in);
            else
                one_copy(&p);
        }
        for (int side = 0; side < SIDES; side++)
            EVP_CIPHER_CTX_free(p.ctx[side]);
    }
}

/* ---- What cannot be compared ----------------------------------------------------------------- */

static EVP_CIPHER_CTX *ours(int seal, const uint8_t *key, const uint8_t *iv)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex2(ctx, rig_cipher[OURS][2], key, iv, seal, NULL), 1);
    return ctx;
}

/* Sealing without an IV makes one at random, which can be asked for; opening does not. */
static void random_iv(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, iv[2][12], out[20], tag[RIG_TAG];
    int len = 0;
    for (int i = 0; i < 2; i++) {
        EVP_CIPHER_CTX *ctx = ours(1, key, NULL);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 1);
        assert_int_equal(EVP_CIPHER_CTX_get_updated_iv(ctx, iv[i], 12), 1);
        assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), 1);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, tag), 1);
        EVP_CIPHER_CTX_free(ctx);
        ctx = EVP_CIPHER_CTX_new();
        assert_int_equal(EVP_DecryptInit_ex2(ctx, rig_cipher[THEIRS][2], key, iv[i], NULL), 1);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RIG_TAG, tag), 1);
        assert_int_equal(EVP_CipherUpdate(ctx, out, &len, out, 20), 1);
        assert_int_equal(EVP_CipherFinal_ex(ctx, out + 20, &len), 1);
        assert_memory_equal(out, key, 20);
        EVP_CIPHER_CTX_free(ctx);
    }
    assert_memory_not_equal(iv[0], iv[1], 12);
    EVP_CIPHER_CTX *ctx = ours(0, key, NULL);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 0);
    EVP_CIPHER_CTX_free(ctx);
    ctx = ours(1, key, NULL); /* less than 96 random bits would not do */
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 11, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 0);
    EVP_CIPHER_CTX_free(ctx);
}

/* Where we differ on purpose. */
static void refused(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, other[32] = {2}, iv[12] = {3}, out[20], tag[RIG_TAG] = {4};
    int len = 0;
    EVP_CIPHER_CTX *ctx = ours(0, key, iv);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RIG_TAG, tag), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), 0);
    assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), 0);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 0);
    EVP_CIPHER_CTX_free(ctx);
    ctx = ours(1, key, iv);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 1);
    assert_int_equal(EVP_CipherInit_ex2(ctx, NULL, other, NULL, 1, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 0);
    assert_int_equal(EVP_CipherInit_ex2(ctx, NULL, NULL, iv, 1, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &len, key, 20), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, out, &len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, tag), 1);
    rig_first_error();
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RIG_TAG, other), 0);
    assert_int_equal(ERR_GET_REASON(rig_first_error()), PROV_R_INVALID_TAG);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, out), 1);
    assert_memory_equal(out, tag, RIG_TAG);
    EVP_CIPHER_CTX_free(ctx);
}

/* The lists of parameters hold what OpenSSL's hold, and names and facts are the same. */
static void facts(void **state)
{
    (void)state;
    for (int i = 0; i < RIG_KEYS; i++) {
        const EVP_CIPHER *a = rig_cipher[THEIRS][i], *b = rig_cipher[OURS][i];
        assert_int_equal(EVP_CIPHER_get_nid(a), EVP_CIPHER_get_nid(b));
        assert_int_equal(EVP_CIPHER_get_flags(a), EVP_CIPHER_get_flags(b));
        assert_int_equal(EVP_CIPHER_get_mode(a), EVP_CIPHER_get_mode(b));
        assert_int_equal(EVP_CIPHER_get_key_length(a), EVP_CIPHER_get_key_length(b));
        assert_int_equal(EVP_CIPHER_get_iv_length(a), EVP_CIPHER_get_iv_length(b));
        assert_int_equal(EVP_CIPHER_get_block_size(a), EVP_CIPHER_get_block_size(b));
        const OSSL_PARAM *lists[][2] = {
            {EVP_CIPHER_gettable_ctx_params(a), EVP_CIPHER_gettable_ctx_params(b)},
            {EVP_CIPHER_settable_ctx_params(a), EVP_CIPHER_settable_ctx_params(b)},
            {EVP_CIPHER_gettable_params(a), EVP_CIPHER_gettable_params(b)}};
        for (int l = 0; l < 3; l++)
            for (const OSSL_PARAM *p = lists[l][0]; p->key != NULL; p++) {
                const OSSL_PARAM *same = OSSL_PARAM_locate_const(lists[l][1], p->key);
                if (same == NULL || same->data_type != p->data_type)
                    fail_msg("list %d: %s", l, p->key);
            }
    }
    static const char *const names[] = {"id-aes128-GCM", "2.16.840.1.101.3.4.1.26", "aes-256-gcm"};
    for (int i = 0; i < RIG_KEYS; i++)
        assert_true(EVP_CIPHER_is_a(rig_cipher[OURS][i], names[i]));
}

int main(void)
{
    rig_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_calls),
        cmocka_unit_test(random_iv),
        cmocka_unit_test(refused),
        cmocka_unit_test(facts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_end();
    return failed;
}
