/* SPDX-License-Identifier: Apache-2.0 */
/* Do records go through a key that never leaves its token, whoever makes the IVs and whenever that
 * changes, and is what does not go with such a key refused at once? */
#include <stdlib.h>
#include <string.h>

#include <kfe/kfe.h>

#include "tests/pkcs11/aes_key.h"

static const uint8_t text[] = "a value", letter[] = "h";

typedef struct {
    kfe_engine *engine;
    kfe_header header;
    kfe_record plain[8], sealed[8], opened[8];
    uint8_t *space;
} records;

static void records_new(records *r, const test_token *h, const char *scope)
{
    assert_int_equal(kfe_config_set(h->config, "encryption.scope", scope), KFE_OK);
    assert_int_equal(kfe_engine_new(&r->engine, h->config), KFE_OK);
    r->header = (kfe_header){.name = {letter, 1}, .value = {letter, 1}};
    r->space = malloc(1 << 18);
    for (int i = 0; i < 8; i++)
        r->plain[i] = (kfe_record){.topic = {text, 1},
                                   .key = {text, (size_t)i},
                                   .value = {i == 3 ? NULL : text, i == 3 ? 0 : sizeof(text)},
                                   .headers = &r->header,
                                   .n_headers = 1,
                                   .partition = -1};
}

static void records_free(records *r)
{
    free(r->space);
    kfe_engine_free(r->engine);
}

static kfe_error records_seal(records *r)
{
    return kfe_seal(r->engine, r->plain, r->sealed, 8, r->space, 1 << 17, 0);
}

static void records_check(records *r)
{
    assert_int_equal(kfe_open(r->engine, r->sealed, r->opened, 8, r->space + (1 << 17), 1 << 17, 0),
                     KFE_OK);
    for (int i = 0; i < 8; i++) {
        kfe_envelope_info info[KFE_GROUPS_MAX];
        size_t n;
        assert_int_equal(kfe_inspect(&r->sealed[i], info, &n), KFE_OK);
        assert_int_equal(info[0].session_kind, KFE_DIRECT);
        assert_int_equal(r->opened[i].key.len, i);
        assert_int_equal(r->opened[i].value.data == NULL, i == 3);
        assert_memory_equal(r->opened[i].headers[0].value.data, letter, 1);
    }
}

static void use_direct(const test_token *h)
{
    aes_import("orders", 1, 32, AES_CRYPT);
    assert_int_equal(kfe_config_set(h->config, "encryption.keymanager.class", "topic"), KFE_OK);
    assert_int_equal(kfe_config_set(h->config, "encryption.keymanager.default.key", "orders"),
                     KFE_OK);
    assert_int_equal(kfe_config_set(h->config, "encryption.keyprovider.pkcs11.session", "direct"),
                     KFE_OK);
}

static void test_records(void **state)
{
    static const shim_iv styles[] = {SHIM_IV_HOST, SHIM_IV_WRITTEN_BACK, SHIM_IV_APPENDED};
    static const char *const scopes[] = {"field", "record"};
    const test_token *h = *state;
    use_direct(h);
    for (int i = 0; i < 6; i++) {
        records r;
        h->shim->iv(styles[i / 2]);
        records_new(&r, h, scopes[i % 2]);
        assert_int_equal(records_seal(&r), KFE_OK);
        records_check(&r);
        records_free(&r);
    }
}

/* A token that changes its ways under a running producer fails one call, to whichever way. */
static void test_changed_iv_under_a_producer(void **state)
{
    static const shim_iv styles[] = {SHIM_IV_APPENDED, SHIM_IV_WRITTEN_BACK, SHIM_IV_APPENDED,
                                     SHIM_IV_HOST};
    const test_token *h = *state;
    records r;
    use_direct(h);
    records_new(&r, h, "field");
    assert_int_equal(records_seal(&r), KFE_OK);
    for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
        h->shim->iv(styles[i]);
        assert_int_equal(records_seal(&r), KFE_E_PROVIDER);
        assert_non_null(strstr(kfe_error_detail(), "the token makes IVs of"));
        assert_int_equal(records_seal(&r), KFE_OK);
        records_check(&r);
    }
    records_free(&r);
}

static void refuses(void **state, const char *name, const char *value)
{
    int made = test_token_setup(state);
    assert_int_equal(made, 0);
    const test_token *h = *state;
    kfe_engine *engine = NULL;
    assert_int_equal(kfe_config_set(h->config, "encryption.keyprovider.pkcs11.session", "direct"),
                     KFE_OK);
    assert_int_equal(kfe_config_set(h->config, name, value), KFE_OK);
    if (strcmp(value, "deterministic") == 0)
        assert_int_equal(
            kfe_config_set(h->config, "encryption.keymanager.deterministic.key", "k@1"), KFE_OK);
    assert_int_equal(kfe_engine_new(&engine, h->config), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), name));
    test_token_teardown(state);
}

static void test_refused_at_configuration(void **unused)
{
    (void)unused;
    void *state = NULL;
    refuses(&state, "encryption.commit", "true");
    refuses(&state, "encryption.encrypt.keys", "deterministic");
    refuses(&state, "encryption.algorithms", "C20P1305,A256GCM");
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_records),
        TOKEN_TEST(test_changed_iv_under_a_producer),
        cmocka_unit_test(test_refused_at_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
