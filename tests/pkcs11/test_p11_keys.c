/* SPDX-License-Identifier: Apache-2.0 */
/* Do keys in a token live as <kfe/keys.h> says: create, list, rotate, retire, destroy? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkcs11/keys_rig.h"

static const uint8_t secret[64] = {1, 2, 3};

static void test_create(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    kfe_key_state is;
    keys_assert_list(p, "");
    assert_int_equal(keys_look(p, "orders", 0, NULL, NULL), KFE_E_KEY_UNKNOWN);
    assert_int_equal(keys_look(p, "orders", 1, NULL, NULL), KFE_E_KEY_UNKNOWN);
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(keys_current(p, "orders"), 1);
    assert_int_equal(keys_look(p, "orders", 1, &is, NULL), KFE_OK);
    assert_int_equal(is, KFE_KEY_ACTIVE);
    assert_int_equal(keys_look(p, "orders", 2, NULL, NULL), KFE_E_KEY_UNKNOWN);
    assert_int_equal(keys_look(p, "order", 1, NULL, NULL), KFE_E_KEY_UNKNOWN);
    assert_int_equal(p->ops->create(p, "orders"), KFE_E_ARGUMENT);
    keys_assert_detail("rotate");
    keys_assert_list(p, "orders 1 1 id=%00%00%00%01;object=orders;type=secret-key\n");
    p->ops->free(p);
}

static void test_created_key_is_strict(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    raw_token raw;
    raw_open(&raw);
    CK_OBJECT_HANDLE key = 0;
    assert_int_equal(raw_count(&raw, CKO_SECRET_KEY, "orders", &key), 1);
    const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_BBOOL value;
    } flags[] = {{CKA_TOKEN, 1},
                 {CKA_PRIVATE, 1},
                 {CKA_SENSITIVE, 1},
                 {CKA_EXTRACTABLE, 0},
                 {CKA_ALWAYS_SENSITIVE, 1},
                 {CKA_NEVER_EXTRACTABLE, 1},
                 {CKA_LOCAL, 1},
                 {CKA_SIGN, 1},
                 {CKA_VERIFY, 0},
                 {CKA_ENCRYPT, 0},
                 {CKA_DECRYPT, 0},
                 {CKA_WRAP, 0},
                 {CKA_UNWRAP, 0},
                 {CKA_DERIVE, 0}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        CK_BBOOL value = 7;
        CK_ATTRIBUTE a = {flags[i].type, &value, sizeof(value)};
        assert_int_equal(raw.calls->C_GetAttributeValue(raw.session, key, &a, 1), CKR_OK);
        bool kept = flags[i].type != CKA_LOCAL || value != 0; /* not all tokens tell it */
        if (value != flags[i].value && kept)
            fail_msg("attribute 0x%lx is %d", flags[i].type, value);
    }
    CK_BYTE id[8], value[64];
    CK_ULONG len = 0;
    CK_ATTRIBUTE more[] = {{CKA_ID, id, sizeof(id)}, {CKA_VALUE_LEN, &len, sizeof(len)}};
    assert_int_equal(raw.calls->C_GetAttributeValue(raw.session, key, more, 2), CKR_OK);
    assert_int_equal(more[0].ulValueLen, 4);
    assert_memory_equal(id, "\0\0\0\1", 4);
    assert_int_equal(len, 32);
    CK_ATTRIBUTE whole = {CKA_VALUE, value, sizeof(value)};
    assert_int_equal(raw.calls->C_GetAttributeValue(raw.session, key, &whole, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
    raw_close(&raw);
    p->ops->free(p);
}

static void test_rotate(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    uint32_t version = 77;
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_E_KEY_UNKNOWN);
    assert_int_equal(version, 77);
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(p->ops->create(p, "payments"), KFE_OK);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(version, 2);
    assert_int_equal(keys_current(p, "orders"), 2);
    assert_int_equal(keys_current(p, "payments"), 1);
    assert_int_equal(keys_look(p, "orders", 1, NULL, NULL), KFE_OK);
    keys_assert_list(
        p,
        "orders 1 1 id=%00%00%00%01;object=orders;type=secret-key\n"
        "orders 2 1 id=%00%00%00%02;object=orders;type=secret-key\n"
        "payments 1 1 id=%00%00%00%01%70%61%79%6D%65%6E%74%73;object=payments;type=secret-key\n");
    p->ops->free(p);
}

static void test_retire(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    kfe_key_state is;
    uint32_t version;
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 2, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_int_equal(keys_look(p, "orders", 2, &is, NULL), KFE_OK);
    assert_int_equal(is, KFE_KEY_DECRYPT_ONLY);
    assert_int_equal(keys_current(p, "orders"), 1);
    assert_int_equal(keys_set_state(p, "orders", 2, KFE_KEY_DECRYPT_ONLY),
                     KFE_OK); /* again: nothing */
    assert_int_equal(keys_set_state(p, "orders", 2, KFE_KEY_ACTIVE), KFE_E_ARGUMENT);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_ACTIVE), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 3, KFE_KEY_DECRYPT_ONLY), KFE_E_KEY_UNKNOWN);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_int_equal(keys_look(p, "orders", 0, NULL, NULL), KFE_E_KEY_DENIED);
    keys_assert_detail("retired");
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(version, 3);
    assert_int_equal(keys_current(p, "orders"), 3);
    assert_int_equal(keys_markers("orders"), 2);
    p->ops->free(p);
}

static void test_destroy(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    uint32_t version;
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(keys_look(p, "orders", 1, NULL, NULL), KFE_E_KEY_DESTROYED);
    assert_int_equal(keys_look(p, "orders", 0, NULL, NULL), KFE_E_KEY_DESTROYED);
    assert_int_equal(keys_look(p, "orders", 2, NULL, NULL), KFE_E_KEY_UNKNOWN);
    keys_assert_list(p, "orders 1 3 -\n");
    assert_int_equal(keys_count("orders"), 0);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DECRYPT_ONLY), KFE_E_KEY_DESTROYED);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(p->ops->create(p, "orders"), KFE_E_ARGUMENT);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(version, 2); /* a number is never used twice */
    p->ops->free(p);
}

static void test_destroy_cut_off(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h);
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    h->shim->inject("C_DestroyObject", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DESTROYED), KFE_E_PROVIDER);
    assert_int_equal(keys_look(p, "orders", 1, NULL, NULL), KFE_E_KEY_DESTROYED);
    keys_assert_list(p, "orders 1 3 id=%00%00%00%01;object=orders;type=secret-key\n");
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(keys_count("orders"), 0);
    assert_int_equal(keys_markers("orders"), 1);
    /* The other way round: no marker, then the key must still be there. */
    assert_int_equal(p->ops->create(p, "payments"), KFE_OK);
    h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_DEVICE_MEMORY, 0, 1);
    assert_int_equal(keys_set_state(p, "payments", 1, KFE_KEY_DESTROYED), KFE_E_PROVIDER);
    assert_int_equal(keys_look(p, "payments", 1, NULL, NULL), KFE_OK);
    p->ops->free(p);
}

static void test_damaged_marker(void **state)
{
    test_token_needs(TOKEN_KEEPS_DATA);
    static const char *const damaged[] = {"destroyed",     "destroyed 0",    "destroyed 01",
                                          "destroyed 1\n", "Destroyed 1",    "destroyed 4294967296",
                                          "destroyed  1",  "decrypt-only+1", " 1"};
    kfe_key_provider *p = test_token_open(*state);
    assert_int_equal(p->ops->create(p, "other"), KFE_OK);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        char name[16];
        snprintf(name, sizeof(name), "key%zu", i);
        assert_int_equal(p->ops->create(p, name), KFE_OK);
        raw_token raw;
        raw_open(&raw);
        raw_mark(&raw, name, damaged[i]);
        raw_close(&raw);
        assert_int_equal(keys_look(p, name, 1, NULL, NULL), KFE_E_KEY_DENIED);
        keys_assert_detail("marker");
        assert_int_equal(keys_look(p, name, 0, NULL, NULL), KFE_E_KEY_DENIED);
    }
    assert_int_equal(keys_look(p, "other", 1, NULL, NULL), KFE_OK);
    p->ops->free(p);
}

static void test_two_hits(void **state)
{
    test_token_needs(TOKEN_KEEPS_TWINS);
    kfe_key_provider *p = test_token_open(*state);
    raw_token raw;
    raw_key key = raw_key_good("orders", 3, secret);
    raw_open(&raw);
    raw_import(&raw, &key);
    assert_int_equal(keys_look(p, "orders", 3, NULL, NULL), KFE_OK);
    raw_import(&raw, &key);
    raw_close(&raw);
    assert_int_equal(keys_look(p, "orders", 3, NULL, NULL), KFE_E_KEY_DENIED);
    keys_assert_detail("ambiguous");
    keys_assert_detail("orders@3");
    assert_int_equal(keys_look(p, "orders", 0, NULL, NULL), KFE_E_KEY_DENIED);
    assert_int_equal(keys_set_state(p, "orders", 3, KFE_KEY_DESTROYED), KFE_E_KEY_DENIED);
    uint32_t version;
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(keys_current(p, "orders"), 4);
    p->ops->free(p);
}

static void test_weak_keys(void **state)
{
    const raw_key good = raw_key_good("k", 1, secret);
    raw_key weak[6];
    for (size_t i = 0; i < 6; i++) {
        weak[i] = good;
        weak[i].id = i + 2;
    }
    weak[0].sensitive = CK_FALSE;
    weak[1].extractable = CK_TRUE;
    weak[2].type = 0x2b; /* CKK_SHA256_HMAC */
    weak[3].len = 16;
    weak[4].len = 64;
    weak[5].sign = CK_FALSE;
    static const char *const why[] = {"not sensitive", "extractable", "neither",
                                      "32 bytes",      "32 bytes",    "CKA_SIGN"};
    kfe_key_provider *p = test_token_open(*state);
    raw_token raw;
    raw_open(&raw);
    raw_import(&raw, &good);
    assert_int_equal(keys_look(p, "k", 1, NULL, NULL), KFE_OK);
    for (uint32_t i = 0; i < 6; i++) {
        raw_import(&raw, &weak[i]);
        assert_int_equal(keys_look(p, "k", i + 2, NULL, NULL), KFE_E_KEY_DENIED);
        keys_assert_detail(why[i]);
        assert_int_equal(keys_look(p, "k", 0, NULL, NULL),
                         KFE_E_KEY_DENIED); /* never an older one */
    }
    raw_close(&raw);
    p->ops->free(p);
}

/* Whoever can open a public session can add public objects: they must change nothing. */
static void test_foreign_objects(void **state)
{
    test_token_needs(TOKEN_KEEPS_TWINS);
    kfe_key_provider *p = test_token_open(*state);
    raw_token raw;
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    raw_open(&raw);
    raw_key planted = raw_key_good("k", 9, secret);
    planted.private = CK_FALSE;
    raw_import(&raw, &planted);
    planted.id = 1;
    raw_import(&raw, &planted);
    raw_key odd = raw_key_good("k", 0, secret);
    raw_import(&raw, &odd);
    odd.id = 0x0102030405;
    odd.id_len = 5;
    raw_import(&raw, &odd);
    odd.id = 8;
    odd.id_len = 1;
    raw_import(&raw, &odd);
    odd = raw_key_good("line\nend", 1, secret);
    raw_import(&raw, &odd);
    raw_close(&raw);
    assert_int_equal(keys_current(p, "k"), 1);
    assert_int_equal(keys_look(p, "k", 9, NULL, NULL), KFE_E_KEY_UNKNOWN);
    keys_assert_list(p, "k 1 1 id=%00%00%00%01;object=k;type=secret-key\n");
    p->ops->free(p);
}

static void test_names(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    char longest[256], longer[257];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    memset(longer, 'n', 256);
    longer[256] = '\0';
    assert_int_equal(p->ops->create(p, longest), KFE_OK);
    assert_int_equal(keys_current(p, longest), 1);
    assert_int_equal(p->ops->create(p, "gr\xc3\xbc\xc3\x9f"
                                       "e"),
                     KFE_OK);
    assert_int_equal(p->ops->create(p, longer), KFE_E_ARGUMENT);
    assert_int_equal(p->ops->create(p, ""), KFE_E_ARGUMENT);
    assert_int_equal(p->ops->create(p, "a\nb"), KFE_E_ARGUMENT);
    assert_int_equal(keys_look(p, "", 1, NULL, NULL), KFE_E_ARGUMENT);
    assert_int_equal(keys_set_state(p, longest, 0, KFE_KEY_DESTROYED), KFE_E_ARGUMENT);
    assert_int_equal(keys_set_state(p, longest, 1, (kfe_key_state)4), KFE_E_ARGUMENT);
    const kfe_key_ref none = {longest, 0};
    kfe_key *key;
    assert_int_equal(p->ops->get_key(p, &none, &key), KFE_E_ARGUMENT);
    p->ops->free(p);
}

/* Another operator makes the same version at the same moment. */
static void test_versions_run_out(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    raw_token raw;
    raw_key key = raw_key_good("k", 4294967295u, secret);
    raw_open(&raw);
    raw_import(&raw, &key);
    raw_close(&raw);
    uint32_t version;
    assert_int_equal(keys_current(p, "k"), 4294967295u);
    assert_int_equal(p->ops->rotate(p, "k", &version), KFE_E_KEY_DENIED);
    keys_assert_detail("no version left");
    p->ops->free(p);
}

static kfe_error stop(void *arg, const kfe_key_info *key)
{
    (void)key;
    ++*(int *)arg;
    return KFE_E_SPACE;
}

static void test_list_stops(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    int seen = 0;
    assert_int_equal(p->ops->create(p, "a"), KFE_OK);
    assert_int_equal(p->ops->create(p, "b"), KFE_OK);
    assert_int_equal(p->ops->list(p, stop, &seen), KFE_E_SPACE);
    assert_int_equal(seen, 1);
    p->ops->free(p);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_create),         TOKEN_TEST(test_created_key_is_strict),
        TOKEN_TEST(test_rotate),         TOKEN_TEST(test_retire),
        TOKEN_TEST(test_destroy),        TOKEN_TEST(test_destroy_cut_off),
        TOKEN_TEST(test_damaged_marker), TOKEN_TEST(test_two_hits),
        TOKEN_TEST(test_weak_keys),      TOKEN_TEST(test_foreign_objects),
        TOKEN_TEST(test_names),          TOKEN_TEST(test_versions_run_out),
        TOKEN_TEST(test_list_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
