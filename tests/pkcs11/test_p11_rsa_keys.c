/* SPDX-License-Identifier: Apache-2.0 */
/* Which RSA keys of a token may be used, are they made as strict as any, do records pass under
 * them, and is none of it there unless it was allowed? */
#include <string.h>

#include <kfe/kfe.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/rsa_key.h"

static const uint8_t aad_bytes[] = "kfe1 wrap and a context", secret[32] = {9, 8, 7, 6, 5};
static const kfe_bytes aad = {aad_bytes, sizeof(aad_bytes)};

static void assert_detail(const char *part)
{
    if (strstr(kfe_error_detail(), part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, kfe_error_detail());
}

/* ---- What keys may be ----------------------------------------------------------------------- */

/* Version 0: the current one. */
static kfe_error get(kfe_key_provider *p, uint32_t version)
{
    kfe_key *key = NULL;
    const kfe_key_ref ref = {"k", version};
    kfe_error err =
        version != 0 ? p->ops->get_key(p, &ref, &key) : p->ops->get_current_key(p, ref.name, &key);
    if (!err)
        key->ops->release(key);
    return err;
}

static void test_lengths(void **state)
{
    static const unsigned bits[] = {2048, 3072, 4096};
    const test_token *h = *state;
    rsa_allow(h->config);
    kfe_key_provider *p = test_token_open(h);
    for (uint32_t i = 0; i < 3; i++) {
        rsa_spec spec = rsa_good("k", i + 1);
        spec.bits = bits[i];
        EVP_PKEY *known = rsa_import(&spec);
        kfe_key *key = aes_get(p, "k", i + 1);
        uint8_t wrapped[KFE_KEY_WRAPPED_MAX], back[32];
        size_t len = rsa_encrypt(known, &rsa_right, secret, 32, wrapped);
        assert_int_equal(len, 1 + bits[i] / 8);
        assert_int_equal(key->ops->unwrap(key, aad, (kfe_bytes){wrapped, len}, back), KFE_OK);
        assert_memory_equal(back, secret, 32);
        assert_int_equal(key->ops->wrap(key, aad, secret, wrapped, &len), KFE_OK);
        rsa_decrypt(known, (kfe_bytes){wrapped, len}, back);
        assert_memory_equal(back, secret, 32);
        key->ops->release(key);
        EVP_PKEY_free(known);
    }
    p->ops->free(p);
}

static void test_weak_keys(void **state)
{
    static const char *const why[] = {"not sensitive", "extractable", "may not decrypt",
                                      "2048 to 4096 bits"};
    const test_token *h = *state;
    rsa_allow(h->config);
    kfe_key_provider *p = test_token_open(h);
    for (uint32_t i = 0; i < 4; i++) {
        rsa_spec weak = rsa_good("k", i + 1);
        weak.sensitive = i != 0;
        weak.extractable = i == 1;
        weak.decrypt = i != 2;
        weak.bits = i == 3 ? 1024 : 2048;
        EVP_PKEY_free(rsa_import(&weak));
        kfe_error err = get(p, i + 1);
        if (err != KFE_E_KEY_DENIED)
            fail_msg("case %u: %s: %s", (unsigned)i, kfe_error_name(err), kfe_error_detail());
        assert_detail(why[i]);
        assert_int_equal(get(p, 0), KFE_E_KEY_DENIED); /* never an older one */
    }
    /* What comes next is of the same kind, and as strict as any. */
    uint32_t version = 0;
    assert_int_equal(p->ops->rotate(p, "k", &version), KFE_OK);
    assert_int_equal(version, 5);
    assert_int_equal(get(p, 5), KFE_OK);
    p->ops->free(p);
}

static kfe_error count_wrong(void *arg, const kfe_key_info *key)
{
    assert_non_null(strstr(key->where, "type=private"));
    if (key->wrong != NULL) {
        assert_non_null(strstr(key->wrong, "encryption.keyprovider.pkcs11.allow.rsa=true"));
        ++*(int *)arg;
    }
    return KFE_OK;
}

static void test_not_allowed(void **state)
{
    const test_token *h = *state;
    const rsa_spec good = rsa_good("k", 1);
    EVP_PKEY_free(rsa_import(&good));
    kfe_key_provider *p = test_token_open(h);
    uint32_t version;
    int wrong = 0;
    assert_int_equal(get(p, 1), KFE_E_KEY_DENIED);
    assert_detail("encryption.keyprovider.pkcs11.allow.rsa=true");
    assert_int_equal(get(p, 0), KFE_E_KEY_DENIED);
    assert_int_equal(p->ops->rotate(p, "k", &version), KFE_E_KEY_DENIED);
    assert_detail("encryption.keyprovider.pkcs11.allow.rsa=true");
    assert_int_equal(p->ops->create_kind(p, "new", KFE_FOR_RSA), KFE_E_CONFIG);
    assert_detail("encryption.keyprovider.pkcs11.allow.rsa=true");
    assert_int_equal(p->ops->list(p, count_wrong, &wrong), KFE_OK);
    assert_int_equal(wrong, 1);
    p->ops->free(p);
    rsa_allow(h->config);
    p = test_token_open(h);
    assert_int_equal(p->ops->list(p, count_wrong, &wrong), KFE_OK);
    assert_int_equal(wrong, 1);
    p->ops->free(p);
}

/* ---- Making them ---------------------------------------------------------------------------- */

static void assert_flag(const raw_token *raw, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE t, CK_BBOOL is)
{
    CK_BBOOL value = !is;
    CK_ATTRIBUTE a = {t, &value, sizeof(value)};
    assert_int_equal(raw->calls->C_GetAttributeValue(raw->session, o, &a, 1), CKR_OK);
    assert_int_equal(value, is);
}

static CK_ULONG public_objects(const raw_token *raw)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE a = {CKA_CLASS, &class, sizeof(class)};
    CK_OBJECT_HANDLE found[4];
    CK_ULONG n = 0;
    assert_int_equal(raw->calls->C_FindObjectsInit(raw->session, &a, 1), CKR_OK);
    assert_int_equal(raw->calls->C_FindObjects(raw->session, found, 4, &n), CKR_OK);
    assert_int_equal(raw->calls->C_FindObjectsFinal(raw->session), CKR_OK);
    return n;
}

static void test_create(void **state)
{
    const test_token *h = *state;
    rsa_allow(h->config);
    kfe_key_provider *p = test_token_open(h);
    uint32_t version = 0;
    assert_int_equal(p->ops->create_kind(p, "k", KFE_FOR_RSA), KFE_OK);
    assert_int_equal(p->ops->create_kind(p, "k", KFE_FOR_RSA), KFE_E_ARGUMENT);
    raw_token raw;
    raw_open(&raw);
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    assert_int_equal(raw_count(&raw, CKO_PRIVATE_KEY, "k", &key), 1);
    assert_int_equal(public_objects(&raw), 0);
    static const CK_ATTRIBUTE_TYPE on[] = {
        CKA_TOKEN,   CKA_PRIVATE,          CKA_SENSITIVE,
        CKA_DECRYPT, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE};
    static const CK_ATTRIBUTE_TYPE off[] = {CKA_EXTRACTABLE, CKA_SIGN, CKA_SIGN_RECOVER,
                                            CKA_UNWRAP};
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++)
        assert_flag(&raw, key, on[i], CK_TRUE);
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
        assert_flag(&raw, key, off[i], CK_FALSE);
    raw_close(&raw);
    assert_int_equal(p->ops->rotate(p, "k", &version), KFE_OK);
    assert_int_equal(version, 2);
    kfe_key *made = aes_get(p, "k", 2);
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX], back[32];
    size_t len = 0;
    assert_int_equal(made->ops->wrap(made, aad, secret, wrapped, &len), KFE_OK);
    assert_int_equal(len, 1 + 3072 / 8);
    assert_int_equal(made->ops->unwrap(made, aad, (kfe_bytes){wrapped, len}, back), KFE_OK);
    assert_memory_equal(back, secret, 32);
    made->ops->release(made);
    p->ops->free(p);
}

/* A secret key and an RSA key of one name and version are two. */
static void test_ambiguous(void **state)
{
    const test_token *h = *state;
    const rsa_spec good = rsa_good("k", 1);
    rsa_allow(h->config);
    kfe_key_provider *p = test_token_open(h);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    assert_int_equal(get(p, 1), KFE_OK);
    EVP_PKEY_free(rsa_import(&good));
    assert_int_equal(get(p, 1), KFE_E_KEY_DENIED);
    assert_detail("ambiguous");
    p->ops->free(p);
}

/* ---- Records -------------------------------------------------------------------------------- */

static kfe_engine *engine_new(const test_token *h)
{
    kfe_engine *engine = NULL;
    kfe_error err = kfe_engine_new(&engine, h->config);
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
    return engine;
}

static const uint8_t value[] = "a value";

static void seal(kfe_engine *engine, kfe_record *sealed, uint8_t *space, uint32_t version)
{
    const kfe_key_ref ref = {"orders", version};
    const kfe_record plain = {
        .topic = {value, 1}, .value = {value, sizeof(value)}, .partition = -1, .key_ref = &ref};
    kfe_envelope_info info[KFE_GROUPS_MAX];
    size_t n;
    kfe_error err = kfe_seal(engine, &plain, sealed, 1, space, 8192, 0);
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
    assert_int_equal(kfe_inspect(sealed, info, &n), KFE_OK);
    assert_int_equal(info[0].session_kind, KFE_WRAPPED);
    assert_int_equal(info[0].key_version, version);
}

static kfe_error open_one(kfe_engine *engine, const kfe_record *sealed)
{
    uint8_t room[8192];
    kfe_record opened;
    kfe_error err = kfe_open(engine, sealed, &opened, 1, room, sizeof(room), 0);
    if (!err)
        assert_memory_equal(opened.value.data, value, sizeof(value));
    return err;
}

static void test_records(void **state)
{
    const test_token *h = *state;
    const rsa_spec first = rsa_good("orders", 1), second = rsa_good("orders", 2);
    EVP_PKEY_free(rsa_import(&first));
    kfe_engine *strict = engine_new(h);
    rsa_allow(h->config);
    kfe_engine *from = engine_new(h), *to = engine_new(h);
    uint8_t space[8192], other[8192];
    kfe_record sealed, later;
    for (int i = 0; i < 100; i++) {
        seal(from, &sealed, space, 1);
        assert_int_equal(open_one(to, &sealed), KFE_OK);
    }
    assert_int_equal(h->shim->calls("C_Decrypt"), 2); /* to see that it unwraps; to unwrap */
    /* Whoever was not told to take it asks for no key. */
    unsigned long searches = h->shim->calls("C_FindObjectsInit");
    assert_int_equal(open_one(strict, &sealed), KFE_E_AUTH);
    assert_detail("encryption.keyprovider.pkcs11.allow.rsa");
    assert_int_equal(h->shim->calls("C_FindObjectsInit"), searches);
    /* Old and new at once. */
    EVP_PKEY_free(rsa_import(&second));
    seal(from, &later, other, 2);
    assert_int_equal(open_one(to, &later), KFE_OK);
    assert_int_equal(open_one(to, &sealed), KFE_OK);
    kfe_engine_free(from);
    kfe_engine_free(to);
    kfe_engine_free(strict);
}

static void test_retired_and_destroyed(void **state)
{
    const test_token *h = *state;
    const kfe_key_ref ref = {"orders", 1};
    rsa_allow(h->config);
    kfe_key_provider *p = test_token_open(h);
    assert_int_equal(p->ops->create_kind(p, "orders", KFE_FOR_RSA), KFE_OK);
    kfe_engine *from = engine_new(h);
    uint8_t space[8192];
    kfe_record sealed;
    seal(from, &sealed, space, 1);
    kfe_engine_free(from);
    assert_int_equal(p->ops->set_state(p, &ref, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    kfe_engine *to = engine_new(h);
    assert_int_equal(open_one(to, &sealed), KFE_OK);
    kfe_engine_free(to);
    assert_int_equal(p->ops->set_state(p, &ref, KFE_KEY_DESTROYED), KFE_OK);
    to = engine_new(h);
    assert_int_equal(open_one(to, &sealed), KFE_E_KEY_DESTROYED);
    kfe_engine_free(to);
    raw_token raw;
    raw_open(&raw);
    assert_int_equal(raw_count(&raw, CKO_PRIVATE_KEY, "orders", NULL), 0);
    raw_close(&raw);
    p->ops->free(p);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_lengths),
        TOKEN_TEST(test_weak_keys),
        TOKEN_TEST(test_not_allowed),
        TOKEN_TEST(test_create),
        TOKEN_TEST(test_ambiguous),
        TOKEN_TEST(test_records),
        TOKEN_TEST(test_retired_and_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
