/* SPDX-License-Identifier: Apache-2.0 */
/* Two make a key at the same moment: is one of them told that he did not, and is the other's key
 * what it was? Some tokens put a new object in the place of one that has its id. */
#include <string.h>

#include "tests/pkcs11/keys_rig.h"
#include "tests/pkcs11/rsa_key.h"

enum { SIGN_MAX = 512 };

static const uint8_t bytes[32] = {7, 7, 7};

/* Another operator, who makes a key while ours is being made. */
struct another {
    kfe_key_provider *p;
    const char *name;
    kfe_key_purpose purpose;
    uint32_t version; /* 1: create, else: rotate */
    kfe_error made;
    bool signs;
    uint8_t sign[SIGN_MAX];
};

static bool modulus_of(const char *name, uint8_t modulus[SIGN_MAX])
{
    CK_OBJECT_HANDLE object = 0;
    CK_ATTRIBUTE a = {CKA_MODULUS, modulus, SIGN_MAX};
    raw_token raw;
    raw_open(&raw);
    bool there = raw_count(&raw, CKO_PRIVATE_KEY, name, &object) == 1 &&
                 raw.calls->C_GetAttributeValue(raw.session, object, &a, 1) == CKR_OK;
    raw_close(&raw);
    return there;
}

/* What only that key could have made: a derived secret, or the modulus. */
static bool sign_of(const struct another *another, uint8_t sign[SIGN_MAX])
{
    const kfe_key_ref ref = {another->name, another->version};
    kfe_key *key = NULL;
    memset(sign, 0, SIGN_MAX);
    if (another->purpose == KFE_FOR_RSA)
        return modulus_of(another->name, sign);
    if (another->p->ops->get_key(another->p, &ref, &key) != KFE_OK)
        return false;
    kfe_error err = key->ops->derive(key, bytes, sizeof(bytes), sign);
    key->ops->release(key);
    return err == KFE_OK;
}

static kfe_error make(kfe_key_provider *p, const struct another *like, const char *name)
{
    uint32_t version = 0;
    if (like->version > 1)
        return p->ops->rotate(p, name, &version);
    return p->ops->create_kind(p, name, like->purpose);
}

/* On a thread of the one who makes ours. */
static void make_theirs(void *arg)
{
    struct another *another = arg;
    another->made = make(another->p, another, another->name);
    another->signs = sign_of(another, another->sign);
}

static void assert_theirs_is_there(const struct another *another)
{
    uint8_t sign[SIGN_MAX];
    assert_int_equal(another->made, KFE_OK);
    assert_true(another->signs);
    assert_true(sign_of(another, sign));
    assert_memory_equal(sign, another->sign, sizeof(sign));
}

/* How often objects of that class have that label, however they are called by id. */
static unsigned count(CK_OBJECT_CLASS class, const char *label)
{
    raw_token raw;
    raw_open(&raw);
    unsigned n = raw_count(&raw, class, label, NULL);
    raw_close(&raw);
    return n;
}

static kfe_key_provider *provider(const test_token *h)
{
    kfe_key_provider *p = NULL;
    rsa_allow(h->config);
    /* Two RSA keys, one after the other, on a busy machine. */
    assert_int_equal(kfe_config_set(h->config, "encryption.keyprovider.pkcs11.timeout.ms", "60000"),
                     KFE_OK);
    assert_int_equal(kfe_pkcs11.open(&p, h->config), KFE_OK);
    return p;
}

/* ---- Two at once ---------------------------------------------------------------------------- */

/* Before ours is there, and when it is but not called so yet. */
static const char *const moments[] = {"C_GenerateKey", "C_SetAttributeValue", "C_GenerateKeyPair"};

static void test_same_version(void **state)
{
    const test_token *h = *state;
    static const char *const names[] = {"a", "b", "c"};
    kfe_key_provider *p = provider(h);
    for (size_t i = 0; i < 3; i++) {
        struct another other = {.p = provider(h), .name = names[i], .version = 1};
        other.purpose = i < 2 ? KFE_FOR_DERIVED : KFE_FOR_RSA;
        h->shim->before(moments[i], make_theirs, &other);
        assert_int_equal(make(p, &other, other.name), KFE_E_KEY_DENIED);
        keys_assert_detail(i == 1 ? "ambiguous" : "by somebody else");
        assert_theirs_is_there(&other);
        assert_int_equal(count(i < 2 ? CKO_SECRET_KEY : CKO_PRIVATE_KEY, other.name), 1);
        other.p->ops->free(other.p);
    }
    p->ops->free(p);
}

static void test_same_rotation(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = provider(h);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    for (uint32_t i = 0; i < 2; i++) {
        struct another other = {.p = provider(h), .name = "k", .version = 2 + i};
        h->shim->before(moments[i], make_theirs, &other);
        assert_int_equal(make(p, &other, "k"), KFE_E_KEY_DENIED);
        assert_theirs_is_there(&other);
        assert_int_equal(count(CKO_SECRET_KEY, "k"), 2 + i);
        other.p->ops->free(other.p);
    }
    p->ops->free(p);
}

/* Another name, whose first version has the same id. */
static void test_same_id(void **state)
{
    const test_token *h = *state;
    static const char *const ours[] = {"our-a", "our-b"}, *const theirs[] = {"their-a", "their-b"};
    kfe_key_provider *p = provider(h);
    for (size_t i = 0; i < 2; i++) {
        struct another other = {.p = provider(h), .name = theirs[i], .version = 1};
        h->shim->before(moments[i], make_theirs, &other);
        assert_int_equal(make(p, &other, ours[i]), KFE_OK);
        assert_int_equal(keys_current(p, ours[i]), 1);
        assert_theirs_is_there(&other);
        other.p->ops->free(other.p);
    }
    p->ops->free(p);
}

static void test_imported(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = provider(h);
    uint32_t version;
    struct another other = {.p = provider(h), .name = "k", .version = 1};
    h->shim->before("C_SetAttributeValue", make_theirs, &other);
    assert_int_equal(p->ops->import(p, "k", bytes, &version), KFE_E_KEY_DENIED);
    assert_theirs_is_there(&other);
    assert_int_equal(count(CKO_SECRET_KEY, "k"), 1);
    other.p->ops->free(other.p);
    p->ops->free(p);
}

/* ---- The id ---------------------------------------------------------------------------------- */

static void test_token_changes_no_id(void **state)
{
    const test_token *h = *state;
    static const CK_RV refusals[] = {CKR_ATTRIBUTE_READ_ONLY, CKR_ACTION_PROHIBITED,
                                     CKR_FUNCTION_NOT_SUPPORTED};
    static const char *const names[] = {"a", "b", "c"};
    kfe_key_provider *p = provider(h);
    for (size_t i = 0; i < 3; i++) {
        h->shim->inject("C_SetAttributeValue", SHIM_INSTEAD, refusals[i], 0, 1);
        assert_int_equal(p->ops->create(p, names[i]), KFE_OK);
        assert_int_equal(keys_current(p, names[i]), 1);
        assert_int_equal(count(CKO_SECRET_KEY, names[i]), 1);
    }
    p->ops->free(p);
}

static void test_id_is_not_changed(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = provider(h);
    h->shim->inject("C_SetAttributeValue", SHIM_INSTEAD, CKR_FUNCTION_FAILED, 0, 1);
    assert_int_equal(p->ops->create(p, "k"), KFE_E_PROVIDER);
    assert_int_equal(count(CKO_SECRET_KEY, "k"), 0);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    assert_int_equal(count(CKO_SECRET_KEY, "k"), 1);
    p->ops->free(p);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_same_version),
        TOKEN_TEST(test_same_rotation),
        TOKEN_TEST(test_same_id),
        TOKEN_TEST(test_imported),
        TOKEN_TEST(test_token_changes_no_id),
        TOKEN_TEST(test_id_is_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
