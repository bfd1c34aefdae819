/* SPDX-License-Identifier: Apache-2.0 */
/* Which URIs name a token, and what is said about the others? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkcs11/test_token.h"

#define MODULE "?module-path=" KFE_TEST_SHIM

static kfe_error try_open(const char *uri)
{
    kfe_key_provider *p = NULL;
    kfe_config *config = test_token_config(uri, NULL);
    kfe_error err = kfe_pkcs11.open(&p, config);
    if (!err)
        p->ops->free(p);
    kfe_config_free(config);
    return err;
}

static void test_refused(void **state)
{
    const test_token *h = *state;
    static const struct {
        const char *uri, *detail;
    } bad[] = {
        {"/usr/lib/softhsm/libsofthsm2.so", "RFC 7512"},
        {"pkcs11:token=%zz" MODULE, "RFC 7512"},
        {"pkcs11:", "module-path"},
        {"pkcs11:token=kfe%20test", "module-path"},
        {"pkcs11:token=kfe%20test?module-path=libsofthsm2.so", "module-path"},
        {"pkcs11:" MODULE, "token"},
        {"pkcs11:token=" MODULE, "token"},
        {"pkcs11:manufacturer=SoftHSM%20project" MODULE, "token"},
        {"pkcs11:token=kfe%20test;colour=red" MODULE, "unknown attribute"},
        {"pkcs11:token=123456789012345678901234567890123" MODULE, "32"},
        {"pkcs11:token=kfe%20test;object=orders" MODULE, "object"},
        {"pkcs11:token=kfe%20test;id=%01" MODULE, "object"},
        {"pkcs11:token=kfe%20test;type=secret-key" MODULE, "object"},
        {"pkcs11:token=kfe%20test;slot-id=0" MODULE, "slot"},
        {"pkcs11:token=kfe%20test;slot-description=x" MODULE, "slot"},
        {"pkcs11:token=kfe%20test;library-description=x" MODULE, "library"},
        {"pkcs11:token=kfe%20test?module-name=softhsm", "module-name"},
        {"pkcs11:token=other;token=kfe%20test" MODULE, "twice"},
        {"pkcs11:token=kfe%20test" MODULE "&module-path=/x.so", "twice"},
        {"pkcs11:token=kfe%20test" MODULE "&pin-value=secret-Zq7", "pkcs11.pin"},
        {"pkcs11:token=kfe%20test" MODULE "&pin-source=file:/secret-Zq7", "pkcs11.pin"},
        {"pkcs11:token=%zz?pin-value=secret-Zq7", "RFC 7512"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        kfe_error err = try_open(bad[i].uri);
        if (err != KFE_E_CONFIG || !strstr(kfe_error_detail(), bad[i].detail) ||
            strstr(kfe_error_detail(), "Zq7"))
            fail_msg("%s: %s: %s", bad[i].uri, kfe_error_name(err), kfe_error_detail());
    }
    assert_int_equal(h->shim->calls("C_Initialize"), 0);
    kfe_config *config;
    kfe_key_provider *p = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    assert_int_equal(kfe_pkcs11.open(&p, config), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "not set"));
    kfe_config_free(config);
}

static void test_modules(void **state)
{
    const test_token *h = *state;
    char path[160], uri[300];
    assert_int_equal(try_open("pkcs11:token=t?module-path=/nowhere/module.so"), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "/nowhere/module.so"));
    snprintf(path, sizeof(path), "%s/text", h->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("no module\n", file);
    assert_int_equal(fclose(file), 0);
    snprintf(uri, sizeof(uri), "pkcs11:token=t?module-path=%s", path);
    assert_int_equal(try_open(uri), KFE_E_CONFIG);
    assert_int_equal(try_open("pkcs11:token=t?module-path=" KFE_TEST_LIBRARY), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "C_GetFunctionList"));
    h->shim->inject("C_Initialize", SHIM_INSTEAD, CKR_GENERAL_ERROR, 0, 1);
    assert_int_equal(try_open(NULL), KFE_E_PROVIDER);
    assert_int_equal(try_open(NULL), KFE_OK);
}

static void test_tokens(void **state)
{
    const test_token *h = *state;
    char uri[800];
    assert_int_equal(try_open(NULL), KFE_OK);
    assert_int_equal(try_open("pkcs11:token=absent" MODULE), KFE_E_PROVIDER);
    assert_int_equal(try_open("pkcs11:serial=0123456789abcdef" MODULE), KFE_E_PROVIDER);
    assert_int_equal(try_open("pkcs11:token=kfe%20tes" MODULE), KFE_E_PROVIDER);
    snprintf(uri, sizeof(uri), "%s;model=none" MODULE, test_token_named());
    assert_int_equal(try_open(uri), KFE_E_PROVIDER);
    h->shim->inject("C_GetSlotList", SHIM_INSTEAD, CKR_BUFFER_TOO_SMALL, 1, 1);
    assert_int_equal(try_open(NULL), KFE_OK);
    h->shim->inject("C_GetSlotList", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(try_open(NULL), KFE_E_PROVIDER);
}

static void test_another_token(void **state)
{
    (void)state;
    test_token_needs(TOKEN_HAS_ROOM);
    test_token_add("second");
    assert_int_equal(try_open(NULL), KFE_OK);
    assert_int_equal(try_open("pkcs11:token=second" MODULE), KFE_OK);
}

static kfe_error take_where(void *arg, const kfe_key_info *key)
{
    snprintf(arg, 300, "%s", key->where);
    return KFE_OK;
}

/* Two tokens of one label: an error, until the serial tells them apart. */
static void test_same_label(void **state)
{
    test_token_needs(TOKEN_HAS_ROOM);
    char where[300], uri[800];
    kfe_key_provider *p = test_token_open(*state);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    assert_int_equal(p->ops->list(p, take_where, where), KFE_OK);
    p->ops->free(p);
    test_token_add(TOKEN_LABEL);
    assert_int_equal(try_open(NULL), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "serial"));
    char *serial = strstr(where, "serial=");
    assert_non_null(serial);
    serial[strcspn(serial, ";")] = '\0';
    snprintf(uri, sizeof(uri), "pkcs11:%s" MODULE, serial);
    assert_int_equal(try_open(uri), KFE_OK);
    snprintf(uri, sizeof(uri), "pkcs11:%s;token=kfe%%20test" MODULE, serial);
    assert_int_equal(try_open(uri), KFE_OK);
    snprintf(uri, sizeof(uri), "pkcs11:%s;token=other" MODULE, serial);
    assert_int_equal(try_open(uri), KFE_E_PROVIDER);
}

static void test_options(void **state)
{
    (void)state;
    assert_string_equal(kfe_pkcs11.name, "pkcs11");
    assert_int_equal(kfe_pkcs11.size, sizeof(kfe_key_provider_ops));
    assert_string_equal(kfe_pkcs11.options[0], "encryption.keyprovider.pkcs11.uri");
    assert_string_equal(kfe_pkcs11.options[1], "encryption.keyprovider.pkcs11.pin");
    assert_string_equal(kfe_pkcs11.options[2], "encryption.keyprovider.pkcs11.session");
    assert_string_equal(kfe_pkcs11.options[3], "encryption.keyprovider.pkcs11.init.args");
    assert_string_equal(kfe_pkcs11.options[4], "encryption.keyprovider.pkcs11.timeout.ms");
    assert_string_equal(kfe_pkcs11.options[5], "encryption.keyprovider.pkcs11.sessions");
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_refused),       TOKEN_TEST(test_modules),    TOKEN_TEST(test_tokens),
        TOKEN_TEST(test_another_token), TOKEN_TEST(test_same_label), cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
