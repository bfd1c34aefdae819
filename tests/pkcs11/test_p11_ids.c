/* SPDX-License-Identifier: Apache-2.0 */
/* Are names, versions and states told by CKA_ID where a token needs that? */
#include <string.h>

#include "tests/pkcs11/keys_rig.h"

static const uint8_t secret[32] = {1, 2, 3};

/* As on a token that keeps no data objects: the same states, in secret keys. */
static void test_states_in_keys(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h);
    kfe_key_state is;
    uint32_t version;
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_ATTRIBUTE_VALUE_INVALID, 0, 2);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 2, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    raw_token raw;
    raw_open(&raw);
    assert_int_equal(raw_count(&raw, CKO_DATA, "orders", NULL), 0);
    raw_close(&raw);
    assert_int_equal(keys_markers("orders"), 2);
    assert_int_equal(keys_look(p, "orders", 1, NULL, NULL), KFE_E_KEY_DESTROYED);
    assert_int_equal(keys_look(p, "orders", 2, &is, NULL), KFE_OK);
    assert_int_equal(is, KFE_KEY_DECRYPT_ONLY);
    keys_assert_list(p, "orders 1 3 -\n"
                        "orders 2 2 id=%00%00%00%02;object=orders;type=secret-key\n");
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(version, 3);
    p->ops->free(p);
}

/* An id that a new key or a marker has, made by hand. */
static void plant(const char *label, const char *id, size_t len)
{
    CK_OBJECT_HANDLE made;
    raw_token raw;
    raw_key key = raw_key_good(label, 77, secret);
    CK_ATTRIBUTE a = {CKA_ID, (void *)(uintptr_t)id, len};
    raw_open(&raw);
    made = raw_import(&raw, &key);
    assert_int_equal(raw.calls->C_SetAttributeValue(raw.session, made, &a, 1), CKR_OK);
    raw_close(&raw);
}

static void test_ids(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    kfe_key_state is;
    plant("k", "\0\0\0\7k", 5); /* version and name: a key */
    assert_int_equal(keys_look(p, "k", 7, &is, NULL), KFE_OK);
    assert_int_equal(is, KFE_KEY_ACTIVE);
    plant("k", "\0\0\0\10x", 5); /* another's name, a longer one, no version: a stranger's */
    plant("k", "\0\0\0\10kk", 6);
    plant("k", "\0\0\0\0k", 5);
    assert_int_equal(keys_current(p, "k"), 7);
    plant("k", "\0\0\0\7\2k", 6);
    assert_int_equal(keys_look(p, "k", 7, &is, NULL), KFE_OK);
    assert_int_equal(is, KFE_KEY_DECRYPT_ONLY);
    plant("k", "\0\0\0\7\3k", 6);
    assert_int_equal(keys_look(p, "k", 7, NULL, NULL), KFE_E_KEY_DESTROYED);
    plant("k", "\0\0\0\7\4k", 6);
    assert_int_equal(keys_look(p, "k", 7, NULL, NULL), KFE_E_KEY_DENIED);
    keys_assert_detail("marker");
    p->ops->free(p);
}

/* On some tokens a key with an id that another has would take the other one's place. */
static void test_no_id_is_given_twice(void **state)
{
    kfe_key_provider *p = test_token_open(*state);
    const uint8_t bytes[32] = {9, 9};
    uint32_t version = 0;
    raw_token raw;
    raw_key key = raw_key_good("another's", 1, secret);
    raw_open(&raw);
    raw_import(&raw, &key);
    raw_close(&raw);
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(p->ops->import(p, "payments", bytes, &version), KFE_OK);
    assert_int_equal(version, 1);
    raw_open(&raw);
    static const char *const labels[] = {"another's", "orders", "payments"};
    for (int i = 0; i < 3; i++) {
        CK_OBJECT_HANDLE at = 0;
        CK_BYTE id[32];
        CK_ATTRIBUTE a = {CKA_ID, id, sizeof(id)};
        assert_int_equal(raw_count(&raw, CKO_SECRET_KEY, labels[i], &at), 1);
        assert_int_equal(raw.calls->C_GetAttributeValue(raw.session, at, &a, 1), CKR_OK);
        assert_int_equal(a.ulValueLen, i == 0 ? 4 : 4 + strlen(labels[i]));
    }
    raw_close(&raw);
    assert_int_equal(keys_current(p, "orders"), 1);
    assert_int_equal(keys_current(p, "payments"), 1);
    p->ops->free(p);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_states_in_keys),
        TOKEN_TEST(test_ids),
        TOKEN_TEST(test_no_id_is_given_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
