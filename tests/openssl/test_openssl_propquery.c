/* SPDX-License-Identifier: Apache-2.0 */
/* With encryption.openssl.propquery every cipher is OpenSSL's, from an OpenSSL provider that fits,
 * and records are the same as ever; without one that fits, there is no engine, and the option is
 * named. The OpenSSL configuration file, which activates kfe.so for all, changes neither. */
#include "tests/support/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const kit_key keys[] = {{"orders", 1, {1, 2, 3}, NULL}};

static kfe_config *configure(const char *query, const char *backend)
{
    kfe_config *config =
        kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                   kit_keystore("keys.json", keys, 1), "encryption.keymanager.class", "topic",
                   "encryption.keymanager.default.key", "orders", (char *)NULL);
    if (query != NULL)
        kit_set(config, "encryption.openssl.propquery", query);
    if (backend != NULL)
        kit_set(config, "encryption.backend", backend);
    return config;
}

/* An engine, and the configuration that it borrows. */
typedef struct {
    kfe_config *config;
    kfe_engine *engine;
} pair;

static pair pair_of(const char *query, const char *backend)
{
    kfe_config *config = configure(query, backend);
    return (pair){config, kit_engine(config)};
}

static void drop(pair *p)
{
    kfe_engine_free(p->engine);
    kfe_config_free(p->config);
}

static void uses(const char *query, const char *named, const char *want)
{
    pair p = pair_of(query, named);
    assert_string_equal(kfe_engine_backend(p.engine), want);
    drop(&p);
}

static void refused(const char *query, const char *backend, kfe_error want)
{
    kfe_engine *engine = NULL;
    kfe_config *config = configure(query, backend);
    assert_int_equal(kfe_engine_new(&engine, config), want);
    assert_null(engine);
    if (strstr(kfe_error_detail(), "encryption.openssl.propquery") == NULL)
        fail_msg("%s", kfe_error_detail());
    kfe_config_free(config);
}

static void each_opens_the_others(void **state)
{
    (void)state;
    pair both[] = {pair_of(NULL, NULL), pair_of("provider=default", NULL)};
    print_message("without: %s\n", kfe_engine_backend(both[0].engine));
    for (int i = 0; i < 200; i++) {
        kfe_record plain = kit_random_record("t", 6);
        kit_record sealed, opened;
        assert_int_equal(kit_seal(both[i % 2].engine, &plain, &sealed), KFE_OK);
        assert_int_equal(kit_open(both[1 - i % 2].engine, &sealed.r, &opened), KFE_OK);
        assert_true(kit_same(&plain, &opened.r));
        kit_free(&sealed);
        kit_free(&opened);
        kit_drop(&plain);
    }
    drop(&both[0]);
    drop(&both[1]);
}

static void who_wins(void **state)
{
    (void)state;
    const char *best = kfe_backends()[0];
    uses("provider=default", NULL, "openssl");
    uses("provider=default", "openssl", "openssl");
    assert_int_equal(setenv("KFE_BACKEND", best, 1), 0);
    uses("provider=default", NULL, "openssl");
    uses(NULL, NULL, best);
    assert_int_equal(unsetenv("KFE_BACKEND"), 0);
    if (strcmp(best, "openssl") != 0)
        refused("provider=default", best, KFE_E_CONFIG);
}

static void nothing_fits(void **state)
{
    (void)state;
    refused("provider=nonexistent", NULL, KFE_E_BACKEND);
    refused("fips=yes,provider=default", NULL, KFE_E_BACKEND);
    refused("provider==", NULL, KFE_E_BACKEND);
}

/* OpenSSL reads its configuration when it is first used: so this is set before. */
static void activate_for_all(void)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/openssl.cnf", kit_dir());
    FILE *file = fopen(path, "w");
    if (file == NULL)
        exit(1);
    fprintf(file,
            "openssl_conf = init\n[init]\nproviders = list\nalg_section = algorithms\n"
            "[list]\ndefault = on\nkfe = kfe\n[on]\nactivate = 1\n"
            "[kfe]\nmodule = %s/kfe.so\nactivate = 1\n"
            "[algorithms]\ndefault_properties = ?provider=kfe\n",
            KFE_MODULES);
    if (fclose(file) != 0 || setenv("OPENSSL_CONF", path, 1) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    (void)argv;
    unsetenv("KFE_BACKEND");
    kit_seed();
    if (argc > 1)
        activate_for_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_opens_the_others),
        cmocka_unit_test(who_wins),
        cmocka_unit_test(nothing_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
