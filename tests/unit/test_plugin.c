/* SPDX-License-Identifier: Apache-2.0 */
/* Are classes found by name and in libraries, and refused when they are not what they claim? */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <kfe/kfe.h>

#include "engine/config.h"
#include "tests/support/example_provider.h"

/* EXAMPLE_PROVIDER and EXAMPLE_MANAGER are the paths of the two libraries. */
#define PROVIDER_CLASS "encryption.keyprovider.class"
#define MANAGER_CLASS "encryption.keymanager.class"
#define KEYS "encryption.keyprovider.example.keys"
#define SAYS(word) assert_non_null(strstr(kfe_error_detail(), word))

static kfe_config *config;

static int set_up(void **state)
{
    (void)state;
    kfe_example_reset();
    return kfe_config_new(&config) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    kfe_config_free(config);
    return 0;
}

static void set(const char *name, const char *value)
{
    if (kfe_config_set(config, name, value))
        fail_msg("%s=%s: %s", name, value, kfe_error_detail());
}

static kfe_key_provider *open_example(void)
{
    kfe_key_provider *provider = NULL;
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_provider");
    if (kfe_key_provider_open(&provider, config))
        fail_msg("%s", kfe_error_detail());
    return provider;
}

/* ---- Finding classes ---------------------------------------------------------------- */

static void built_in_classes_are_found_by_name(void **state)
{
    (void)state;
    const kfe_key_provider_ops *provider = NULL;
    const kfe_key_manager_ops *manager = NULL;
    set(PROVIDER_CLASS, "file");
    set(MANAGER_CLASS, "topic");
    assert_int_equal(kfe_class_provider(config, &provider), KFE_OK);
    assert_ptr_equal(provider, &kfe_file_provider);
    assert_int_equal(kfe_class_manager(config, &manager), KFE_OK);
    assert_ptr_equal(manager, &kfe_topic_manager);
}

static void a_provider_is_needed_a_manager_is_not(void **state)
{
    (void)state;
    const kfe_key_provider_ops *provider = NULL;
    const kfe_key_manager_ops *manager = &kfe_topic_manager;
    assert_int_equal(kfe_class_provider(config, &provider), KFE_E_CONFIG);
    SAYS(PROVIDER_CLASS);
    assert_null(provider);
    assert_int_equal(kfe_class_manager(config, &manager), KFE_OK);
    assert_null(manager);
}

static void classes_are_found_in_libraries(void **state)
{
    (void)state;
    const kfe_key_provider_ops *provider = NULL;
    const kfe_key_manager_ops *manager = NULL;
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_provider");
    assert_int_equal(kfe_class_provider(config, &provider), KFE_OK);
    assert_string_equal(provider->name, "example");
    assert_true(provider->list == kfe_example_provider.list);
    set(MANAGER_CLASS, EXAMPLE_MANAGER ":kfe_example_manager");
    assert_int_equal(kfe_class_manager(config, &manager), KFE_OK);
    assert_string_equal(manager->name, "example");
}

/* It stands in a library that need not be installed. */
static void pkcs11_is_loaded_or_its_library_is_named(void **state)
{
    (void)state;
    const kfe_key_provider_ops *ops = NULL;
    set(PROVIDER_CLASS, "pkcs11");
    if (kfe_class_provider(config, &ops) == KFE_OK) {
        assert_string_equal(ops->name, "pkcs11");
        return;
    }
    assert_null(ops);
    SAYS("libkfe-pkcs11: install it");
    SAYS("libkfe-pkcs11.so.1");
}

static void a_provider_that_cannot_be_used_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"/nowhere/lib.so:kfe_example_provider", "/nowhere/lib.so"},
        {"/etc/passwd:kfe_example_provider", "/etc/passwd"},
        {EXAMPLE_PROVIDER ":nothing", "no symbol 'nothing'"},
        {EXAMPLE_PROVIDER ":kfe_example_text", "not the table"},
        {EXAMPLE_PROVIDER ":kfe_example_short", "not the table"},
        {EXAMPLE_PROVIDER ":kfe_example_bare", "not the table"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const kfe_key_provider_ops *ops = NULL;
        kfe_key_provider *provider = NULL;
        set(PROVIDER_CLASS, bad[i][0]);
        assert_int_equal(kfe_class_provider(config, &ops), KFE_E_CONFIG);
        SAYS(PROVIDER_CLASS);
        SAYS(bad[i][1]);
        assert_null(ops);
        assert_int_equal(kfe_key_provider_open(&provider, config), KFE_E_CONFIG);
        assert_null(provider);
    }
    assert_int_equal(kfe_example_counted().open, 0);
}

static void a_manager_that_cannot_be_used_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/nowhere/lib.so:kfe_example_manager",
                                      EXAMPLE_MANAGER ":nothing",
                                      EXAMPLE_MANAGER ":kfe_example_silent_manager"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const kfe_key_manager_ops *ops = &kfe_topic_manager;
        set(MANAGER_CLASS, bad[i]);
        assert_int_equal(kfe_class_manager(config, &ops), KFE_E_CONFIG);
        SAYS(MANAGER_CLASS);
        assert_ptr_equal(ops, &kfe_topic_manager);
    }
}

static void an_older_table_is_met_safely(void **state)
{
    (void)state;
    const kfe_key_provider_ops *ops = NULL;
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_older");
    assert_int_equal(kfe_class_provider(config, &ops), KFE_OK);
    assert_true(KFE_HAS(ops, get_current_key));
    assert_false(KFE_HAS(ops, list));
    assert_false(KFE_HAS(ops, set_state));
}

/* ---- Opening a provider ------------------------------------------------------------- */

static void names_are_checked_before_a_provider_is_opened(void **state)
{
    (void)state;
    kfe_key_provider *provider = NULL;
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_provider");
    set("encryption.keyprovider.example.key", "orders");
    assert_int_equal(kfe_key_provider_open(&provider, config), KFE_E_CONFIG);
    SAYS("the nearest is " KEYS);
    assert_null(provider);
    assert_int_equal(kfe_example_counted().open, 0);
    assert_int_equal(kfe_key_provider_open(NULL, config), KFE_E_ARGUMENT);
    assert_int_equal(kfe_key_provider_open(&provider, NULL), KFE_E_ARGUMENT);
}

static void what_open_says_goes_through(void **state)
{
    (void)state;
    kfe_key_provider *provider = NULL;
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_provider");
    set(KEYS, "orders,\t");
    assert_int_equal(kfe_key_provider_open(&provider, config), KFE_E_ARGUMENT);
    SAYS("control characters");
    assert_null(provider);
}

static void a_provider_from_a_library_works(void **state)
{
    (void)state;
    set(KEYS, "orders,payments");
    kfe_key_provider *provider = open_example();
    kfe_key *key = NULL;
    assert_int_equal(provider->ops->get_current_key(provider, "payments", &key), KFE_OK);
    assert_int_equal(key->version, 1);
    assert_int_equal(key->state, KFE_KEY_ACTIVE);
    /* HMAC-SHA-256 under the documented master key, computed by Python. */
    static const uint8_t expected[32] = {0x16, 0xe0, 0x1f, 0x52, 0xd4, 0x82, 0xbb, 0x66,
                                         0x84, 0x80, 0xe4, 0x0c, 0x42, 0x97, 0xf6, 0x7c,
                                         0xcf, 0x20, 0x7c, 0xa1, 0xda, 0x92, 0x0c, 0x28,
                                         0x24, 0xb5, 0xad, 0x74, 0x26, 0x0f, 0xe9, 0xb9};
    uint8_t out[32];
    assert_int_equal(key->ops->derive(key, (const uint8_t *)"context", 7, out), KFE_OK);
    assert_memory_equal(out, expected, 32);
    key->ops->release(key);
    kfe_key_provider_close(provider);
    kfe_key_provider_close(NULL);
    kfe_example_counts counts = kfe_example_counted();
    assert_int_equal(counts.open, 1);
    assert_int_equal(counts.free, 1);
    assert_int_equal(counts.get_current_key, 1);
    assert_int_equal(counts.handed_out, counts.release);
}

/* ---- The example provider itself, as other tests trust it ----------------------------- */

static kfe_error get(kfe_key_provider *provider, const char *name, uint32_t version)
{
    kfe_key *key = NULL;
    kfe_error err = version == 0
                        ? provider->ops->get_current_key(provider, name, &key)
                        : provider->ops->get_key(provider, &(kfe_key_ref){name, version}, &key);
    if (err) {
        assert_null(key);
        return err;
    }
    assert_true(version == 0 || key->version == version);
    key->ops->release(key);
    return KFE_OK;
}

static void the_example_keeps_states_and_versions(void **state)
{
    (void)state;
    kfe_key_provider *provider = open_example();
    const kfe_key_provider_ops *ops = provider->ops;
    uint32_t version = 0;
    assert_int_equal(get(provider, "orders", 0), KFE_E_KEY_UNKNOWN);
    assert_int_equal(ops->rotate(provider, "orders", &version), KFE_E_KEY_UNKNOWN);
    assert_int_equal(ops->create(provider, "orders"), KFE_OK);
    assert_int_equal(ops->create(provider, "orders"), KFE_E_ARGUMENT);
    assert_int_equal(ops->rotate(provider, "orders", &version), KFE_OK);
    assert_int_equal(version, 2);
    assert_int_equal(get(provider, "orders", 1), KFE_OK);
    assert_int_equal(get(provider, "orders", 3), KFE_E_KEY_UNKNOWN);
    assert_int_equal(ops->set_state(provider, &(kfe_key_ref){"orders", 1}, KFE_KEY_DESTROYED),
                     KFE_OK);
    assert_int_equal(get(provider, "orders", 1), KFE_E_KEY_DESTROYED);
    assert_int_equal(ops->set_state(provider, &(kfe_key_ref){"orders", 2}, KFE_KEY_DECRYPT_ONLY),
                     KFE_OK);
    assert_int_equal(get(provider, "orders", 2), KFE_OK);
    assert_int_equal(get(provider, "orders", 0), KFE_E_KEY_UNKNOWN);
    kfe_key_provider_close(provider);
}

static void the_example_fails_as_often_as_told(void **state)
{
    (void)state;
    set(KEYS, "orders");
    kfe_key_provider *provider = open_example();
    kfe_example_fail(KFE_E_PROVIDER, 2);
    assert_int_equal(get(provider, "orders", 0), KFE_E_PROVIDER);
    assert_int_equal(get(provider, "orders", 1), KFE_E_PROVIDER);
    assert_int_equal(get(provider, "orders", 1), KFE_OK);
    assert_int_equal(kfe_example_counted().get_key, 2);
    kfe_key_provider_close(provider);
}

static void *get_on_a_thread(void *provider)
{
    return (void *)(uintptr_t)get(provider, "orders", 0);
}

static void the_example_waits_at_its_gate(void **state)
{
    (void)state;
    set(KEYS, "orders");
    kfe_key_provider *provider = open_example();
    pthread_t threads[3];
    kfe_example_gate_close();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_on_a_thread, provider), 0);
    kfe_example_await(3);
    assert_int_equal(kfe_example_counted().handed_out, 0);
    kfe_example_gate_open();
    for (size_t i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    assert_int_equal(kfe_example_counted().handed_out, 3);
    kfe_key_provider_close(provider);
}

/* ---- Key names ---------------------------------------------------------------------- */

static void key_names_are_checked(void **state)
{
    (void)state;
    char longest[258];
    memset(longest, 'k', sizeof(longest));
    longest[255] = '\0';
    assert_int_equal(kfe_key_name_check(longest), KFE_OK);
    longest[255] = 'k';
    longest[256] = '\0';
    assert_int_equal(kfe_key_name_check(longest), KFE_E_ARGUMENT);
    static const char *const good[] = {"a", "orders key/7", "\xc3\xa9", "\xf0\x9f\x94\x91", "@"};
    static const char *const bad[] = {"",           "a\nb",     "\x7f",         "\xff",
                                      "\xc3",       "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe2\x82 a", "\x80"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(kfe_key_name_check(good[i]), KFE_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(kfe_key_name_check(bad[i]), KFE_E_ARGUMENT);
    assert_int_equal(kfe_key_name_check(NULL), KFE_E_ARGUMENT);
}

static void a_provider_must_open_as_something(void **state)
{
    (void)state;
    kfe_key_provider *provider = NULL;
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_hollow");
    assert_int_equal(kfe_key_provider_open(&provider, config), KFE_E_PROVIDER);
    SAYS("hollow");
    assert_null(provider);
}

static void a_manager_must_open_as_something(void **state)
{
    (void)state;
    kfe_key_manager *manager = NULL;
    kfe_engine *engine = NULL;
    set(MANAGER_CLASS, EXAMPLE_MANAGER ":kfe_example_hollow_manager");
    assert_int_equal(kfe_key_manager_open(&manager, config), KFE_E_CONFIG);
    SAYS("hollow");
    assert_null(manager);
    set(PROVIDER_CLASS, EXAMPLE_PROVIDER ":kfe_example_provider");
    assert_int_equal(kfe_engine_new(&engine, config), KFE_E_CONFIG);
    assert_null(engine);
}

int main(void)
{
#define WITH_CONFIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_CONFIG(built_in_classes_are_found_by_name),
        WITH_CONFIG(a_provider_is_needed_a_manager_is_not),
        WITH_CONFIG(classes_are_found_in_libraries),
        WITH_CONFIG(pkcs11_is_loaded_or_its_library_is_named),
        WITH_CONFIG(a_provider_that_cannot_be_used_is_refused),
        WITH_CONFIG(a_manager_that_cannot_be_used_is_refused),
        WITH_CONFIG(an_older_table_is_met_safely),
        WITH_CONFIG(names_are_checked_before_a_provider_is_opened),
        WITH_CONFIG(what_open_says_goes_through),
        WITH_CONFIG(a_provider_from_a_library_works),
        WITH_CONFIG(the_example_keeps_states_and_versions),
        WITH_CONFIG(the_example_fails_as_often_as_told),
        WITH_CONFIG(the_example_waits_at_its_gate),
        cmocka_unit_test(key_names_are_checked),
        WITH_CONFIG(a_provider_must_open_as_something),
        WITH_CONFIG(a_manager_must_open_as_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
