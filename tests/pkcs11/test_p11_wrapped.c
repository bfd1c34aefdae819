/* SPDX-License-Identifier: Apache-2.0 */
/* Do keys in the token wrap session secrets as docs/format.md says, in the form that key and token
 * can, and is a forged secret told from a token that fails? */
#include <string.h>

#include <kfe/kfe.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/wrap_rig.h"

typedef struct wrap_rig scene;

static scene scene_new(void **state, unsigned usages)
{
    scene s;
    aes_import("kek", 1, 32, usages);
    wrap_rig_open(&s, *state);
    return s;
}

static void test_gcm_envelope(void **state)
{
    scene s = scene_new(state, AES_CRYPT);
    uint8_t out[32];
    assert_int_equal(aes_ability(s.key).sealing, KFE_WRAPPED);
    assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
    assert_int_equal(s.len, 61);
    assert_int_equal(s.wrapped[0], 2);
    assert_true(aes_gcm_open(32, (kfe_bytes){s.wrapped + 1, 12}, wrap_aad,
                             (kfe_bytes){s.wrapped + 13, 32}, s.wrapped + 45, out));
    assert_memory_equal(out, wrap_secret, 32);
    wrap_rig_round(&s);
    wrap_rig_wipe(&s);
}

static void test_rfc3394(void **state)
{
    scene s = scene_new(state, AES_KEY_WRAP);
    uint8_t want[40];
    aes_rfc3394(wrap_secret, want);
    assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
    assert_int_equal(s.len, 41);
    assert_int_equal(s.wrapped[0], 1);
    assert_memory_equal(s.wrapped + 1, want, 40);
    wrap_rig_round(&s);
    wrap_rig_wipe(&s);
}

/* What the other side made by OpenSSL, in either form, whatever we would write ourselves. */
static void test_opens_both_forms(void **state)
{
    scene s = scene_new(state, AES_DECRYPT | AES_UNWRAP);
    const uint8_t iv[12] = {1, 2, 3};
    assert_int_equal(wrap_rig_wrap(&s), KFE_E_KEY_DENIED); /* it opens, no more */
    s.wrapped[0] = 1;
    aes_rfc3394(wrap_secret, s.wrapped + 1);
    s.len = 41;
    wrap_rig_round(&s);
    s.wrapped[0] = 2;
    memcpy(s.wrapped + 1, iv, 12);
    aes_gcm_seal(32, (kfe_bytes){iv, 12}, wrap_aad, (kfe_bytes){wrap_secret, 32}, s.wrapped + 13,
                 s.wrapped + 45);
    s.len = 61;
    wrap_rig_round(&s);
    uint8_t rsa[257] = {3};
    assert_int_equal(s.key->ops->unwrap(s.key, wrap_aad, (kfe_bytes){rsa, sizeof(rsa)}, s.back),
                     KFE_E_KEY_DENIED);
    wrap_rig_wipe(&s);
}

/* A token without AES-GCM, and one that makes IVs which the form has no room for. */
static void test_second_choice(void **state)
{
    scene s = scene_new(state, AES_CRYPT | AES_KEY_WRAP);
    s.h->shim->inject("C_EncryptInit", SHIM_INSTEAD, CKR_MECHANISM_INVALID, 0, 1000);
    assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
    assert_int_equal(s.wrapped[0], 1);
    wrap_rig_round(&s);
    unsigned long tried = s.h->shim->calls("C_EncryptInit");
    assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
    assert_int_equal(s.h->shim->calls("C_EncryptInit"), tried); /* it is known now */
    wrap_rig_wipe(&s);
    s.h->shim->reset();
    s.h->shim->iv(SHIM_IV_APPENDED);
    s.provider = test_token_open(*state);
    s.key = aes_get(s.provider, "kek", 1);
    assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
    assert_int_equal(s.wrapped[0], 1);
    wrap_rig_wipe(&s);
}

static void test_written_back(void **state)
{
    scene s = scene_new(state, AES_CRYPT);
    s.h->shim->iv(SHIM_IV_WRITTEN_BACK);
    assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
    assert_int_equal(s.wrapped[0], 2);
    wrap_rig_round(&s);
    wrap_rig_wipe(&s);
}

static void test_forged(void **state)
{
    static const unsigned usages[] = {AES_CRYPT, AES_KEY_WRAP};
    for (uint32_t i = 0; i < 2; i++) {
        char name[] = {'k', (char)('0' + i), 0};
        aes_import(name, 1, 32, usages[i]);
        scene s = {.h = *state, .provider = test_token_open(*state)};
        s.key = aes_get(s.provider, name, 1);
        assert_int_equal(wrap_rig_wrap(&s), KFE_OK);
        unsigned long opened = s.h->shim->calls("C_OpenSession");
        for (size_t at = 1; at < s.len; at++) {
            s.wrapped[at] ^= 4;
            assert_int_equal(wrap_rig_unwrap(&s), KFE_E_AUTH);
            s.wrapped[at] ^= 4;
        }
        wrap_rig_round(&s);
        assert_int_equal(s.h->shim->calls("C_OpenSession"), opened);
        wrap_rig_wipe(&s);
    }
}

static void test_what_keys_can(void **state)
{
    const test_token *h = *state;
    aes_import("crypt", 1, 32, AES_CRYPT);
    aes_import("short", 1, 16, AES_CRYPT);
    aes_import("wrap", 1, 32, AES_KEY_WRAP);
    aes_import("idle", 1, 32, AES_WRAP | AES_ENCRYPT);
    aes_import("idle", 2, 16, AES_KEY_WRAP);
    static const struct {
        const char *option, *key;
        unsigned kinds, len;
        kfe_session_kind sealing;
    } cases[] = {
        {"auto", "crypt", 1u << KFE_WRAPPED | 1u << KFE_DIRECT, 32, KFE_WRAPPED},
        {"wrapped", "crypt", 1u << KFE_WRAPPED | 1u << KFE_DIRECT, 32, KFE_WRAPPED},
        {"direct", "crypt", 1u << KFE_WRAPPED | 1u << KFE_DIRECT, 32, KFE_DIRECT},
        {"derived", "crypt", 1u << KFE_WRAPPED | 1u << KFE_DIRECT, 32, KFE_DERIVED},
        {"direct", "short", 1u << KFE_DIRECT, 16, KFE_DIRECT},
        {"auto", "wrap", 1u << KFE_WRAPPED, 32, KFE_WRAPPED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kfe_key_provider *p = aes_open(h, cases[i].option);
        kfe_key *key = aes_get(p, cases[i].key, 1);
        uint8_t out[32];
        kfe_key_ability can = aes_ability(key);
        assert_int_equal(can.kinds, cases[i].kinds);
        assert_int_equal(can.sealing, cases[i].sealing);
        assert_int_equal(can.key_len, cases[i].len);
        assert_int_equal(key->ops->derive(key, wrap_aad.data, wrap_aad.len, out), KFE_E_KEY_DENIED);
        key->ops->release(key);
        for (uint32_t v = 1; v <= 2; v++) {
            const kfe_key_ref idle = {"idle", v};
            assert_int_equal(p->ops->get_key(p, &idle, &key), KFE_E_KEY_DENIED);
        }
        p->ops->free(p);
    }
}

static kfe_session_kind kind_sealed(kfe_engine *engine, kfe_engine *other, const char *topic)
{
    const uint8_t text[] = "a value";
    kfe_record sealed, opened,
        plain = {.topic = {(const uint8_t *)topic, strlen(topic)},
                 .value = {text, sizeof(text)},
                 .partition = -1};
    uint8_t space[8192], room[8192];
    kfe_envelope_info info[KFE_GROUPS_MAX];
    size_t n;
    assert_int_equal(kfe_seal(engine, &plain, &sealed, 1, space, sizeof(space), 0), KFE_OK);
    assert_int_equal(kfe_inspect(&sealed, info, &n), KFE_OK);
    assert_int_equal(kfe_open(other, &sealed, &opened, 1, room, sizeof(room), 0), KFE_OK);
    assert_memory_equal(opened.value.data, text, sizeof(text));
    return info[0].session_kind;
}

/* Two AES keys of one provider, made alike: each seals by its own kind; names are exact. */
static void test_kinds_by_name(void **state)
{
    const test_token *h = *state;
    static const char kinds[] = "auto,payments=direct,a=b=direct,made=direct";
    aes_import("payments", 1, 32, AES_CRYPT);
    aes_import("payment", 1, 32, AES_CRYPT);
    assert_int_equal(kfe_config_set(h->config, "encryption.keymanager.class", "topic"), KFE_OK);
    assert_int_equal(
        kfe_config_set(h->config, "encryption.keymanager.topics", "one=payments;two=payment"),
        KFE_OK);
    assert_int_equal(kfe_config_set(h->config, "encryption.keyprovider.pkcs11.session", kinds),
                     KFE_OK);
    kfe_engine *from = NULL, *to = NULL;
    assert_int_equal(kfe_engine_new(&from, h->config), KFE_OK);
    assert_int_equal(kfe_engine_new(&to, h->config), KFE_OK);
    assert_int_equal(kind_sealed(from, to, "one"), KFE_DIRECT);
    assert_int_equal(kind_sealed(from, to, "two"), KFE_WRAPPED);
    assert_int_equal(kind_sealed(from, to, "one"), KFE_DIRECT);
    kfe_engine_free(from);
    kfe_engine_free(to);
    /* A new one is made for what it is going to be used for. */
    kfe_key_provider *p = test_token_open(h);
    static const char *const names[] = {"made", "other"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p->ops->create(p, names[i]), KFE_OK);
        kfe_key *key = aes_get(p, names[i], 1);
        assert_int_equal(aes_ability(key).sealing, i == 0 ? KFE_DIRECT : KFE_DERIVED);
        assert_int_equal(aes_ability(key).key_len, i == 0 ? 32 : 0);
        key->ops->release(key);
    }
    p->ops->free(p);
}

static void set(const test_token *h, const char *name, const char *value, kfe_error wanted)
{
    assert_int_equal(kfe_config_set(h->config, name, value), KFE_OK);
    kfe_engine *engine = NULL;
    assert_int_equal(kfe_engine_new(&engine, h->config), wanted);
    kfe_engine_free(engine);
}

/* A kind for one key does not go with what no direct key can do, either. */
static void test_direct_by_name_with_others(void **state)
{
    static const char option[] = "encryption.keyprovider.pkcs11.session";
    const test_token *h = *state;
    set(h, "encryption.commit", "true", KFE_OK);
    set(h, option, "auto,direct=wrapped", KFE_OK);
    set(h, option, "auto,payments=direct", KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), option));
    set(h, option, "a=wrapped,direct,b=auto", KFE_E_CONFIG);
    set(h, "encryption.commit", "false", KFE_OK);
}

/* An AES key of 16 bytes, wrapped and unwrapped by other tools; the length that the token tells of
 * it. */
static void unwrap_short_key(const char *label, CK_ULONG *told)
{
    static const uint8_t short_key[16] = {1, 2, 3};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BYTE id[4] = {0, 0, 0, 1}, wrapped[64];
    CK_MECHANISM by = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_ATTRIBUTE loose[] = {{CKA_CLASS, &class, sizeof(class)},
                            {CKA_KEY_TYPE, &type, sizeof(type)},
                            {CKA_TOKEN, &no, sizeof(no)},
                            {CKA_EXTRACTABLE, &yes, sizeof(yes)},
                            {CKA_VALUE, (void *)(uintptr_t)short_key, sizeof(short_key)}};
    CK_ATTRIBUTE strict[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_KEY_TYPE, &type, sizeof(type)},
                             {CKA_TOKEN, &yes, sizeof(yes)},
                             {CKA_PRIVATE, &yes, sizeof(yes)},
                             {CKA_SENSITIVE, &yes, sizeof(yes)},
                             {CKA_EXTRACTABLE, &no, sizeof(no)},
                             {CKA_ENCRYPT, &yes, sizeof(yes)},
                             {CKA_DECRYPT, &yes, sizeof(yes)},
                             {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                             {CKA_ID, id, sizeof(id)}};
    raw_token raw;
    CK_OBJECT_HANDLE kek, key, made;
    CK_ULONG len = sizeof(wrapped);
    aes_import("kek", 1, 32, AES_KEY_WRAP);
    raw_open(&raw);
    assert_int_equal(raw_count(&raw, CKO_SECRET_KEY, "kek", &kek), 1);
    key = raw_create(&raw, loose, sizeof(loose) / sizeof(loose[0]));
    assert_int_equal(raw.calls->C_WrapKey(raw.session, &by, kek, key, wrapped, &len), CKR_OK);
    assert_int_equal(raw.calls->C_UnwrapKey(raw.session, &by, kek, wrapped, len, strict, 10, &made),
                     CKR_OK);
    CK_ATTRIBUTE length = {CKA_VALUE_LEN, told, sizeof(*told)};
    *told = 0;
    if (raw.calls->C_GetAttributeValue(raw.session, made, &length, 1) != CKR_OK)
        *told = 0;
    raw_close(&raw);
}

/* It would pass for one of 32. */
static void test_length_not_told(void **state)
{
    const kfe_key_ref ref = {"short", 1};
    kfe_key *key = NULL;
    CK_ULONG told;
    unwrap_short_key("short", &told);
    kfe_key_provider *p = test_token_open(*state);
    kfe_error err = p->ops->get_key(p, &ref, &key);
    if (told == 16) {
        assert_int_equal(err, KFE_OK);
        assert_int_equal(aes_ability(key).key_len, 16);
        key->ops->release(key);
    } else {
        assert_int_equal(err, KFE_E_KEY_DENIED);
        assert_non_null(strstr(kfe_error_detail(), "does not tell"));
    }
    p->ops->free(p);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_gcm_envelope),     TOKEN_TEST(test_rfc3394),
        TOKEN_TEST(test_opens_both_forms), TOKEN_TEST(test_second_choice),
        TOKEN_TEST(test_written_back),     TOKEN_TEST(test_forged),
        TOKEN_TEST(test_what_keys_can),    TOKEN_TEST(test_length_not_told),
        TOKEN_TEST(test_kinds_by_name),    TOKEN_TEST(test_direct_by_name_with_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
