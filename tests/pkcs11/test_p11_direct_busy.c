/* SPDX-License-Identifier: Apache-2.0 */
/* How does a direct key fare on a token that is busy, slow, or hangs? */
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/gate.h"

enum { FIELDS = 16, LEN = 300, LEN_MAX = 65537, AAD = 32 };

static const uint8_t aad[AAD] = "P of a record and D of a field";

typedef struct {
    const test_token *h;
    kfe_config *config;
    kfe_key_provider *provider;
    kfe_key *key;
    unsigned iv_size;
    size_t len;
    kfe_key_field fields[FIELDS];
    uint8_t plain[LEN_MAX], sealed[FIELDS][LEN_MAX], opened[FIELDS][LEN_MAX], iv_tag[FIELDS][32];
} scene;

static void scene_init(scene *s, void **state, const char *timeout_ms)
{
    memset(s, 0, sizeof(*s));
    s->h = *state;
    s->config = test_token_config(NULL, NULL);
    s->len = LEN;
    memset(s->plain, 'x', sizeof(s->plain));
    aes_import("field", 1, 32, AES_CRYPT);
    assert_int_equal(kfe_config_set(s->config, "encryption.keyprovider.pkcs11.session", "direct"),
                     KFE_OK);
    assert_int_equal(
        kfe_config_set(s->config, "encryption.keyprovider.pkcs11.timeout.ms", timeout_ms), KFE_OK);
    assert_int_equal(kfe_pkcs11.open(&s->provider, s->config), KFE_OK);
    s->key = aes_get(s->provider, "field", 1);
    s->h->shim->reset();
}

static void scene_wipe(scene *s)
{
    s->key->ops->release(s->key);
    s->provider->ops->free(s->provider);
    kfe_config_free(s->config);
}

static kfe_error seal(scene *s)
{
    kfe_error err = s->key->ops->iv_size(s->key, &s->iv_size);
    for (size_t i = 0; i < FIELDS; i++)
        s->fields[i] = (kfe_key_field){.aad = aad,
                                       .aad_size = sizeof(aad),
                                       .in = s->plain,
                                       .len = s->len,
                                       .out = s->sealed[i],
                                       .iv_tag = s->iv_tag[i],
                                       .iv_size = s->iv_size};
    return err ? err : s->key->ops->seal(s->key, s->fields, FIELDS);
}

static kfe_error open_all(scene *s)
{
    for (size_t i = 0; i < FIELDS; i++) {
        s->fields[i].in = s->sealed[i];
        s->fields[i].out = s->opened[i];
    }
    return s->key->ops->open(s->key, s->fields, FIELDS);
}

/* All but one that is forged; FIELDS: none is. */
static void check(const scene *s, size_t forged)
{
    for (size_t i = 0; i < FIELDS; i++) {
        assert_int_equal(s->fields[i].forged, i == forged);
        if (i != forged)
            assert_memory_equal(s->opened[i], s->plain, s->len);
    }
}

/* A session copy is made by the thread that hangs: the key of the token goes, too. */
static void test_control_hangs(void **state)
{
    scene s;
    struct gate gate;
    kfe_key *other = NULL;
    scene_init(&s, state, "200");
    gate_shut(&gate, s.h, "C_FindObjectsInit");
    assert_int_equal(s.provider->ops->get_current_key(s.provider, "field", &other), KFE_E_PROVIDER);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(seal(&s), KFE_OK);
        assert_int_equal(open_all(&s), KFE_OK);
        check(&s, FIELDS);
    }
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 0);
    gate_open(&gate);
    uint64_t until = now_ms() + PATIENCE_MS;
    while (s.h->shim->calls("C_CopyObject") == 0 && now_ms() < until)
        assert_int_equal(seal(&s), KFE_OK);
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 1);
    scene_wipe(&s);
}

/* What a token says of forged data, some say when they are busy: of an honest field once, not
 * twice.
 */
static void test_busy(void **state)
{
    static const CK_RV codes[] = {CKR_DEVICE_ERROR, CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR,
                                  CKR_VENDOR_DEFINED + 1};
    scene s;
    scene_init(&s, state, "10000");
    assert_int_equal(seal(&s), KFE_OK);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        s.h->shim->reset();
        s.h->shim->inject("C_Decrypt", SHIM_AFTER, codes[i], 5, 1);
        assert_int_equal(open_all(&s), KFE_OK);
        check(&s, FIELDS);
        assert_int_equal(s.h->shim->calls("C_Decrypt"), FIELDS + 2); /* and a known one */
        assert_int_equal(s.h->shim->calls("C_CloseSession"), 0);
        s.h->shim->inject("C_Decrypt", SHIM_AFTER, codes[i], 5, 2);
        const bool opaque = codes[i] >= CKR_VENDOR_DEFINED; /* which is not tried again */
        assert_int_equal(open_all(&s), opaque ? KFE_E_PROVIDER : KFE_OK);
        if (!opaque)
            check(&s, FIELDS);
        assert_int_equal(s.h->shim->calls("C_CloseSession"), 1);
    }
    /* An operation that such a call leaves behind costs the session, not the field. */
    s.h->shim->reset();
    s.h->shim->inject("C_Decrypt", SHIM_INSTEAD, CKR_DEVICE_ERROR, 5, 1);
    assert_int_equal(open_all(&s), KFE_OK);
    check(&s, FIELDS);
    scene_wipe(&s);
}

/* What is said of bad data alone is said once: a forgery costs one call. */
static void test_forged(void **state)
{
    scene s;
    scene_init(&s, state, "10000");
    assert_int_equal(seal(&s), KFE_OK);
    s.h->shim->reset();
    s.h->shim->inject("C_Decrypt", SHIM_AFTER, CKR_ENCRYPTED_DATA_INVALID, 5, 1);
    assert_int_equal(open_all(&s), KFE_OK);
    check(&s, 5);
    assert_int_equal(s.h->shim->calls("C_Decrypt"), FIELDS);
    scene_wipe(&s);
}

static uint64_t tasks(const scene *s, unsigned kind)
{
    kfe_key_provider_statistics statistics = {.size = sizeof(statistics)};
    s->provider->ops->statistics(s->provider, &statistics);
    return statistics.calls[kind];
}

/* A task is what a deadline is for: 64 KiB with what is bound to them, unless it is one field. */
static void test_what_goes_at_once(void **state)
{
    static const struct {
        size_t len;
        unsigned fields; /* of one task */
    } rows[] = {{100, 16},        {4096 - AAD, 16}, {4097 - AAD, 15}, {32768 - AAD, 2},
                {32769 - AAD, 1}, {65536, 1},       {LEN_MAX, 1}};
    scene s;
    scene_init(&s, state, "100000");    /* time is not what cuts them */
    assert_int_equal(seal(&s), KFE_OK); /* finds out what IVs the token makes */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint64_t sealed = tasks(&s, KFE_CALL_ENCRYPT), opened = tasks(&s, KFE_CALL_DECRYPT);
        const unsigned wanted = (FIELDS + rows[i].fields - 1) / rows[i].fields;
        s.len = rows[i].len;
        assert_int_equal(seal(&s), KFE_OK);
        assert_int_equal(open_all(&s), KFE_OK);
        check(&s, FIELDS);
        assert_int_equal(tasks(&s, KFE_CALL_ENCRYPT) - sealed, wanted);
        assert_int_equal(tasks(&s, KFE_CALL_DECRYPT) - opened, wanted);
    }
    scene_wipe(&s);
}

/* Nor is one asked about again because another was: its IV is refused, as no honest one is. */
static void test_forged_beside_a_doubtful_one(void **state)
{
    scene s;
    scene_init(&s, state, "10000");
    assert_int_equal(seal(&s), KFE_OK);
    s.h->shim->reset();
    s.sealed[5][0] ^= 1;
    s.fields[6].iv_size = 16;
    s.h->shim->inject("C_Decrypt", SHIM_AFTER, CKR_DEVICE_ERROR, 5, 1);
    /* After what is known to be good, and the doubtful one again. */
    s.h->shim->inject("C_DecryptInit", SHIM_INSTEAD, CKR_MECHANISM_PARAM_INVALID, 8, 1);
    assert_int_equal(open_all(&s), KFE_OK);
    for (size_t i = 0; i < FIELDS; i++)
        assert_int_equal(s.fields[i].forged, i == 5 || i == 6);
    assert_int_equal(s.h->shim->calls("C_DecryptInit"), FIELDS + 2);
    scene_wipe(&s);
}

/* As many fields as need longer than a deadline, each of which is done in time. */
static void slow(void **state, const char *deadline_ms, size_t len, const char *const call[2],
                 unsigned microseconds)
{
    scene s;
    scene_init(&s, state, deadline_ms);
    s.len = len;
    assert_int_equal(seal(&s), KFE_OK);
    s.h->shim->delay(call[0], microseconds);
    s.h->shim->delay(call[1], microseconds);
    assert_int_equal(seal(&s), KFE_OK);
    assert_int_equal(open_all(&s), KFE_OK);
    check(&s, FIELDS);
    scene_wipe(&s);
}

static const char *const both_ways[2] = {"C_Encrypt", "C_Decrypt"};

static void test_slow(void **state)
{
    slow(state, "800", LEN, both_ways, 60000);
}

/* Each takes all the time that there is for one task. */
static void test_slow_and_long(void **state)
{
    slow(state, "800", LEN_MAX, both_ways, 150000);
}

/* That time is over before the first one. */
static void test_slow_to_begin(void **state)
{
    static const char *const look[2] = {"C_GetAttributeValue", "C_GetAttributeValue"};
    slow(state, "240", LEN, look, 35000);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_control_hangs), TOKEN_TEST(test_busy),
        TOKEN_TEST(test_forged),        TOKEN_TEST(test_what_goes_at_once),
        TOKEN_TEST(test_slow),          TOKEN_TEST(test_slow_and_long),
        TOKEN_TEST(test_slow_to_begin), TOKEN_TEST(test_forged_beside_a_doubtful_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
