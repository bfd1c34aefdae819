/* SPDX-License-Identifier: Apache-2.0 */
/* The same messages through <kfe/gcm.h>: batches under keys of the backend, and under keys of all
 * backends that run here at once; forged ones among them; and what a caller may do wrong. */
#include "tests/backend/lab.h"

#include <string.h>

enum { KEYS = 24, BATCH = LAB_BATCH_MAX };

static lab_bench *bench;
static lab_key keys[KEYS];
static lab_message batch[BATCH];
static size_t n;

/* The first half is of the backend under test, the others of any. */
static int set_up(void **state)
{
    (void)state;
    size_t usable = 0;
    while (kfe_backends()[usable] != NULL)
        usable++;
    for (int i = 0; i < KEYS; i++)
        lab_key_on(&keys[i], lab_some_gcm(),
                   i < KEYS / 2 ? lab_backend->name : kfe_backends()[kit_below((uint32_t)usable)]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        lab_key_wipe(&keys[i]);
    return 0;
}

static void make(size_t size, uint32_t used)
{
    for (n = 0; n < size; n++) {
        const uint32_t lens[3] = {16 * kit_below(5), kit_below(LAB_AAD_MAX + 1),
                                  kit_below(kit_below(8) != 0 ? 330 : 5000)};
        lab_random(&batch[n], &keys[kit_below(used)], lens);
    }
}

static void drop(void)
{
    while (n > 0)
        lab_drop(&batch[--n]);
}

static void batches_of(uint32_t used)
{
    for (size_t size = 1; size <= 100; size++) {
        make(size, used);
        lab_both(bench, batch, n);
        drop();
    }
    for (int i = 0; i < 20; i++) {
        make(1 + kit_below(BATCH), used);
        lab_both(bench, batch, n);
        drop();
    }
}

static void keys_of_one_backend(void **state)
{
    (void)state;
    batches_of(1);
    batches_of(KEYS / 2);
}

static void keys_of_all_backends(void **state)
{
    (void)state;
    batches_of(KEYS);
}

static void forged_ones(void **state)
{
    (void)state;
    make(130, KEYS);
    for (size_t place = 0; place < n; place++) {
        lab_flip flip = lab_forge(&batch[place]), other;
        size_t second = kit_below((uint32_t)n);
        if (second != place)
            other = lab_forge(&batch[second]);
        const char *wrong = lab_open(bench, batch, n);
        if (wrong != NULL)
            fail_msg("%s", wrong);
        lab_flip_again(&batch[place], flip);
        if (second != place)
            lab_flip_again(&batch[second], other);
    }
    drop();
}

/* ---- What a caller may do wrong -------------------------------------------------------------- */

enum { OPS = 9 };

static uint8_t texts[OPS][32], tags[OPS][16], nonces[OPS][12], aad[32];
static kfe_gcm_op ops[OPS];

static void lay_out(void)
{
    memset(texts, 0x77, sizeof(texts));
    memset(tags, 0x77, sizeof(tags));
    for (int i = 0; i < OPS; i++)
        ops[i] = (kfe_gcm_op){.key = keys[i % KEYS].key,
                              .nonce = nonces[i],
                              .aad = aad,
                              .in = texts[i],
                              .out = texts[i],
                              .tag = tags[i],
                              .aad_len = 32,
                              .len = 32};
}

/* Neither call may have done anything. */
static void must_refuse(size_t count)
{
    static uint8_t text[sizeof(texts)], tag[sizeof(tags)];
    uint64_t failed = 0;
    memset(text, 0x77, sizeof(text));
    memset(tag, 0x77, sizeof(tag));
    assert_int_equal(kfe_gcm_seal(ops, count), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_open(ops, count, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_open(ops, count, &failed), KFE_E_ARGUMENT);
    assert_memory_equal(texts, text, sizeof(text));
    assert_memory_equal(tags, tag, sizeof(tag));
}

static void one_bad_op_among_good_ones(void **state)
{
    (void)state;
    for (int i = 0; i < OPS; i++) {
        lay_out(), ops[i].key = NULL, must_refuse(OPS);
        lay_out(), ops[i].nonce = NULL, must_refuse(OPS);
        lay_out(), ops[i].aad = NULL, must_refuse(OPS);
        lay_out(), ops[i].in = NULL, must_refuse(OPS);
        lay_out(), ops[i].out = NULL, must_refuse(OPS);
        lay_out(), ops[i].tag = NULL, must_refuse(OPS);
    }
    lay_out();
    assert_int_equal(kfe_gcm_seal(NULL, 1), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_open(NULL, 1, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_seal(ops, OPS), KFE_OK);
    assert_int_equal(kfe_gcm_open(ops, OPS, NULL), KFE_OK);
}

static void nothing_at_all(void **state)
{
    (void)state;
    lay_out();
    assert_int_equal(kfe_gcm_seal(NULL, 0), KFE_OK);
    assert_int_equal(kfe_gcm_open(NULL, 0, NULL), KFE_OK);
    for (int i = 0; i < OPS; i++)
        ops[i].aad = ops[i].in = ops[i].out = NULL, ops[i].aad_len = ops[i].len = 0;
    assert_int_equal(kfe_gcm_seal(ops, OPS), KFE_OK);
    assert_int_equal(kfe_gcm_open(ops, OPS, NULL), KFE_OK);
    tags[OPS - 1][15] ^= 1;
    assert_int_equal(kfe_gcm_open(ops, OPS, NULL), KFE_E_AUTH);
}

static void keys_and_beginnings(void **state)
{
    (void)state;
    static const uint8_t bytes[64];
    kfe_gcm_key *key = NULL;
    kfe_gcm_prefix prefix;
    for (size_t len = 0; len <= 64; len++)
        if (len != 16 && len != 24 && len != 32)
            assert_int_equal(kfe_gcm_key_new(&key, bytes, len, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_key_new(&key, NULL, 32, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_key_new(NULL, bytes, 32, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_key_new(&key, bytes, 32, "none-such"), KFE_E_BACKEND);
    assert_null(key);
    kfe_gcm_key_free(NULL);
    for (size_t len = 0; len <= 64; len++)
        assert_int_equal(kfe_gcm_absorb(keys[0].key, bytes, len, &prefix),
                         len % 16 == 0 ? KFE_OK : KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, NULL, 0, &prefix), KFE_OK);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, NULL, 16, &prefix), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_absorb(NULL, bytes, 16, &prefix), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, bytes, 16, NULL), KFE_E_ARGUMENT);
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    lab_public = true;
    bench = lab_bench_new(kit_random());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_backend), cmocka_unit_test(keys_of_all_backends),
        cmocka_unit_test(forged_ones),         cmocka_unit_test(one_bad_op_among_good_ones),
        cmocka_unit_test(nothing_at_all),      cmocka_unit_test(keys_and_beginnings),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
