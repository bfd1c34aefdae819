/* SPDX-License-Identifier: Apache-2.0 */
/* Are all backends of this build tested? The arguments are the names that ctest runs the tests
 * with: each backend must be among them. Also: is the list in order, and does picking keep its
 * word? */
#include "tests/backend/lab.h"

#include <stdlib.h>
#include <string.h>

static char **names;
static kfe_crypto *crypto;

static void every_backend_is_tested(void **state)
{
    (void)state;
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++) {
        bool named = false;
        for (char **name = names; *name != NULL; name++)
            named = named || strcmp(*name, kfe_all_backends[i]->name) == 0;
        if (!named)
            fail_msg("backend %s is not in tests/backend/CMakeLists.txt",
                     kfe_all_backends[i]->name);
    }
}

/* OpenSSL's does everything everywhere, so it is the last. */
static void the_last_one_always_runs(void **state)
{
    (void)state;
    size_t n = 0;
    while (kfe_all_backends[n] != NULL)
        n++;
    assert_true(n > 0);
    assert_ptr_equal(kfe_all_backends[n - 1], &kfe_openssl_backend);
    assert_true(kfe_openssl_backend.usable());
    assert_int_equal(kfe_openssl_backend.suites, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 31);
}

static void usable_ones_are_listed_best_first(void **state)
{
    (void)state;
    const char *const *listed = kfe_backends();
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++)
        if (kfe_all_backends[i]->usable())
            assert_string_equal(*listed++, kfe_all_backends[i]->name);
    assert_null(*listed);
}

static const kfe_backend *picked(const char *name, kfe_error expected)
{
    const kfe_backend *backend = NULL;
    kfe_error err = kfe_backend_pick(name, crypto, &backend);
    if (err != expected)
        fail_msg("%s: %s (%s)", name, kfe_error_name(err), kfe_error_detail());
    assert_true((backend == NULL) == (expected != KFE_OK));
    return backend;
}

static void picking_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++) {
        const kfe_backend *b = kfe_all_backends[i];
        const kfe_backend *got = picked(b->name, b->usable() ? KFE_OK : KFE_E_BACKEND);
        assert_true(got == NULL || got == b);
        if (got == NULL && b->needs != NULL)
            assert_non_null(strstr(kfe_error_detail(), b->needs));
    }
    picked("portable", KFE_E_BACKEND);
    picked("", KFE_E_BACKEND);
}

static void picking_by_itself(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("KFE_BACKEND"), 0);
    assert_string_equal(picked("auto", KFE_OK)->name, kfe_backends()[0]);
    assert_int_equal(setenv("KFE_BACKEND", "", 1), 0);
    assert_string_equal(picked("auto", KFE_OK)->name, kfe_backends()[0]);
    assert_int_equal(setenv("KFE_BACKEND", "openssl", 1), 0);
    assert_string_equal(picked("auto", KFE_OK)->name, "openssl");
    /* A name in the configuration is not for the environment to change. */
    assert_string_equal(picked(kfe_backends()[0], KFE_OK)->name, kfe_backends()[0]);
    assert_int_equal(setenv("KFE_BACKEND", "none-such", 1), 0);
    picked("auto", KFE_E_BACKEND);
    assert_int_equal(unsetenv("KFE_BACKEND"), 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    names = argv + 1;
    if (kfe_crypto_new(&crypto, NULL) != KFE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_backend_is_tested),
        cmocka_unit_test(the_last_one_always_runs),
        cmocka_unit_test(usable_ones_are_listed_best_first),
        cmocka_unit_test(picking_by_name),
        cmocka_unit_test(picking_by_itself),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kfe_crypto_free(crypto);
    return failed;
}
