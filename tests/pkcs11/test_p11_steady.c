/* SPDX-License-Identifier: Apache-2.0 */
/* Does sealing and opening many records leave the token alone once the session stands? KFE_RECORDS
 * says how many: 50,000, or 1,000,000 by `./dev campaign hsm`. */
#include <stdlib.h>
#include <string.h>

#include <kfe/kfe.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/rsa_key.h"

enum { CALLS_MAX = 4 }; /* of each side, those that begin an operation counted */

static unsigned long cryptographic_calls(const test_token *h)
{
    static const char *const functions[] = {"C_SignInit", "C_Sign",        "C_EncryptInit",
                                            "C_Encrypt",  "C_DecryptInit", "C_Decrypt",
                                            "C_WrapKey",  "C_UnwrapKey"};
    unsigned long sum = 0;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        sum += h->shim->calls(functions[i]);
    return sum;
}

/* The keys' names are the sessions' kinds: one made of bytes, one AES key. */
static void run(const test_token *h, const char *key, kfe_session_kind kind)
{
    const char *text = getenv("KFE_RECORDS");
    const unsigned long records = text ? strtoul(text, NULL, 10) : 50000;
    assert_true(records > 0);
    assert_int_equal(kfe_config_set(h->config, "encryption.keymanager.class", "topic"), KFE_OK);
    assert_int_equal(kfe_config_set(h->config, "encryption.keymanager.default.key", key), KFE_OK);
    kfe_engine *from = NULL, *to = NULL;
    assert_int_equal(kfe_engine_new(&from, h->config), KFE_OK);
    assert_int_equal(kfe_engine_new(&to, h->config), KFE_OK);
    uint8_t value[100] = {0}, space[8192], room[8192];
    kfe_record plain = {
        .topic = {(const uint8_t *)"t", 1}, .value = {value, sizeof(value)}, .partition = -1};
    unsigned long sealing = 0, opening = 0;
    h->shim->reset();
    for (unsigned long i = 0; i < records; i++) {
        kfe_record sealed, opened;
        kfe_envelope_info info[KFE_GROUPS_MAX];
        size_t n;
        memcpy(value, &i, sizeof(i));
        unsigned long before = cryptographic_calls(h);
        assert_int_equal(kfe_seal(from, &plain, &sealed, 1, space, sizeof(space), 0), KFE_OK);
        unsigned long between = cryptographic_calls(h);
        assert_int_equal(kfe_open(to, &sealed, &opened, 1, room, sizeof(room), 0), KFE_OK);
        opening += cryptographic_calls(h) - between;
        sealing += between - before;
        assert_memory_equal(opened.value.data, value, sizeof(value));
        if (i > 0)
            continue;
        assert_int_equal(kfe_inspect(&sealed, info, &n), KFE_OK);
        assert_int_equal(info[0].session_kind, kind);
    }
    print_message(
        "%s: %lu records, %lu cryptographic calls to seal them, %lu to open them, at most "
        "%d each: %s\n",
        key, records, sealing, opening, CALLS_MAX,
        sealing > CALLS_MAX || opening > CALLS_MAX ? "FAIL" : "PASS");
    assert_in_range(sealing, 1, CALLS_MAX);
    assert_in_range(opening, 1, CALLS_MAX);
    kfe_engine_free(from);
    kfe_engine_free(to);
}

static void test_derived(void **state)
{
    static const uint8_t master[32] = {5, 4, 3};
    raw_token raw;
    raw_open(&raw);
    raw_key key = raw_key_good("derived", 1, master);
    raw_import(&raw, &key);
    raw_close(&raw);
    run(*state, "derived", KFE_DERIVED);
}

static void test_gcm(void **state)
{
    aes_import("gcm", 1, 32, AES_CRYPT);
    run(*state, "gcm", KFE_WRAPPED);
}

static void test_rfc3394(void **state)
{
    aes_import("rfc3394", 1, 32, AES_KEY_WRAP);
    run(*state, "rfc3394", KFE_WRAPPED);
}

static void test_rsa(void **state)
{
    const test_token *h = *state;
    const rsa_spec good = rsa_good("rsa", 1);
    EVP_PKEY_free(rsa_import(&good));
    rsa_allow(h->config);
    run(h, "rsa", KFE_WRAPPED);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_derived),
        TOKEN_TEST(test_gcm),
        TOKEN_TEST(test_rfc3394),
        TOKEN_TEST(test_rsa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
