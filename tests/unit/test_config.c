/* SPDX-License-Identifier: Apache-2.0 */
/* Does a configuration take what is right, refuse what is wrong, and say which and why? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/config.h"
#include "engine/options.h"

#define SAYS(word) assert_non_null(strstr(kfe_error_detail(), word))

static int new_config(void **state)
{
    kfe_config *config;
    if (kfe_config_new(&config))
        return -1;
    *state = config;
    return 0;
}

static int free_config(void **state)
{
    kfe_config_free(*state);
    return 0;
}

static void set(kfe_config *config, const char *name, const char *value)
{
    if (kfe_config_set(config, name, value))
        fail_msg("%s=%s: %s", name, value, kfe_error_detail());
    assert_string_equal(kfe_config_get(config, name), value);
}

static void refuse(kfe_config *config, const char *name, const char *value)
{
    if (kfe_config_set(config, name, value) != KFE_E_CONFIG)
        fail_msg("%s=%s was not refused", name, value);
    SAYS(name);
}

static void defaults_are_those_of_the_manual(void **state)
{
    static const char *const defaults[][2] = {
        {"encryption.keyprovider.class", NULL},
        {"encryption.keyprovider.file.path", NULL},
        {"encryption.keyprovider.file.passphrase", NULL},
        {"encryption.keyprovider.pkcs11.uri", NULL},
        {"encryption.keyprovider.pkcs11.pin", NULL},
        {"encryption.keyprovider.pkcs11.allow.rsa", "false"},
        {"encryption.keyprovider.refresh.ms", "60000"},
        {"encryption.keyprovider.cache.ms", "300000"},
        {"encryption.keymanager.class", NULL},
        {"encryption.keymanager.topics", NULL},
        {"encryption.keymanager.default.key", NULL},
        {"encryption.keymanager.headers.key", NULL},
        {"encryption.keymanager.deterministic.key", NULL},
        {"encryption.algorithms", "A256GCM"},
        {"encryption.encrypt.keys", "true"},
        {"encryption.encrypt.values", "true"},
        {"encryption.encrypt.headers", ".*"},
        {"encryption.unencrypted.topics", NULL},
        {"encryption.scope", "field"},
        {"encryption.commit", "false"},
        {"encryption.allow.compression", "false"},
        {"encryption.aad.topic", "exact"},
        {"encryption.aad.topic.map", NULL},
        {"encryption.consumer.on.error", "fail"},
        {"encryption.consumer.partial", "false"},
        {"encryption.consumer.added.headers", "refuse"},
        {"encryption.backend", "auto"},
        {"encryption.openssl.propquery", NULL},
        {"encryption.session.max.fields", "2147483648"},
        {"encryption.session.max.bytes", "274877906944"},
        {"encryption.session.max.age.ms", "3600000"},
        {"encryption.statistics.interval.ms", "0"},
    };
    for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++) {
        const kfe_option *option = kfe_option_find(defaults[i][0]);
        assert_non_null(option);
        const char *value = kfe_config_get(*state, defaults[i][0]);
        if (defaults[i][1] == NULL) {
            assert_null(value);
            continue;
        }
        assert_string_equal(value, defaults[i][1]);
        /* A default is a value that may be given. */
        assert_int_equal(kfe_option_check(option, value), KFE_OK);
    }
    assert_int_equal(kfe_config_number(*state, "encryption.session.max.bytes"), UINT64_C(1) << 38);
    assert_true(kfe_config_flag(*state, "encryption.encrypt.values"));
    assert_false(kfe_config_flag(*state, "encryption.commit"));
}

static void values_that_belong_are_taken(void **state)
{
    static const char *const good[][2] = {
        {"encryption.keyprovider.class", "file"},
        {"encryption.keyprovider.class", "pkcs11"},
        {"encryption.keyprovider.class", "/opt/a:b/lib.so.1:my_provider2"},
        {"encryption.keyprovider.file.path", "/etc/kfe/keys.json"},
        {"encryption.keyprovider.file.passphrase", "env:KFE_PASS"},
        {"encryption.keyprovider.pkcs11.pin", "file:/run/secrets/pin"},
        {"encryption.keyprovider.pkcs11.uri", "pkcs11:token=a?module-path=/m.so"},
        {"encryption.keyprovider.pkcs11.allow.rsa", "true"},
        {"encryption.keyprovider.refresh.ms", "1"},
        {"encryption.keyprovider.cache.ms", "86400000"},
        {"encryption.keymanager.class", "topic"},
        {"encryption.keymanager.topics", "orders=orders-key; pay.*=${topic}"},
        {"encryption.keymanager.default.key", "tenant-${header:tenant}"},
        {"encryption.keymanager.headers.key", "routing"},
        {"encryption.keymanager.deterministic.key", "a@b@4294967295"},
        {"encryption.keyprovider.pkcs11.session", "direct"},
        {"encryption.keyprovider.pkcs11.session", "auto,payments=direct,a=b=wrapped"},
        {"encryption.keyprovider.pkcs11.session", "payments=direct,derived,pay=auto"},
        {"encryption.algorithms", "C20P1305"},
        {"encryption.algorithms", "A128GCM,A256GCM,C20P1305"},
        {"encryption.encrypt.keys", "deterministic"},
        {"encryption.encrypt.values", "false"},
        {"encryption.encrypt.headers", ""},
        {"encryption.unencrypted.topics", "public\\..*|logs"},
        {"encryption.scope", "record"},
        {"encryption.commit", "true"},
        {"encryption.aad.topic", "label:orders of all regions"},
        {"encryption.aad.topic", "none"},
        {"encryption.aad.topic.map", "(?=e)east\\.(.*)=$1"},
        {"encryption.consumer.on.error", "skip"},
        {"encryption.consumer.added.headers", "keep"},
        {"encryption.backend", "vaes512"},
        {"encryption.backend", "vaes256"},
        {"encryption.backend", "aesni"},
        {"encryption.backend", "armv8"},
        {"encryption.backend", "armv8-eor3"},
        {"encryption.backend", "openssl"},
        {"encryption.openssl.propquery", "fips=yes"},
        {"encryption.session.max.fields", "1"},
        {"encryption.session.max.fields", "2147483648"},
        {"encryption.session.max.bytes", "274877906944"},
        {"encryption.session.max.age.ms", "86400000"},
        {"encryption.statistics.interval.ms", "0"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        set(*state, good[i][0], good[i][1]);
    assert_int_equal(kfe_config_number(*state, "encryption.session.max.age.ms"), 86400000);
    assert_true(kfe_config_flag(*state, "encryption.commit"));
    assert_false(kfe_config_flag(*state, "encryption.encrypt.values"));
}

static void values_that_do_not_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"encryption.keyprovider.class", ""},
        {"encryption.keyprovider.class", "File"},
        {"encryption.keyprovider.class", "topic"},
        {"encryption.keyprovider.class", "lib.so:symbol"},
        {"encryption.keyprovider.class", "./lib.so:symbol"},
        {"encryption.keyprovider.class", "/lib.so"},
        {"encryption.keyprovider.class", "/lib.so:"},
        {"encryption.keyprovider.class", "/:symbol"},
        {"encryption.keyprovider.class", "/lib.so:1symbol"},
        {"encryption.keyprovider.class", "/lib.so:sym bol"},
        {"encryption.keymanager.class", "file"},
        {"encryption.keyprovider.file.path", ""},
        {"encryption.keyprovider.pkcs11.pin", "env:"},
        {"encryption.keyprovider.pkcs11.pin", "file:"},
        {"encryption.keyprovider.refresh.ms", "0"},
        {"encryption.keyprovider.refresh.ms", "86400001"},
        {"encryption.keyprovider.cache.ms", ""},
        {"encryption.keyprovider.cache.ms", "-1"},
        {"encryption.keyprovider.cache.ms", "+1"},
        {"encryption.keyprovider.cache.ms", " 1"},
        {"encryption.keyprovider.cache.ms", "1s"},
        {"encryption.keyprovider.cache.ms", "0x10"},
        {"encryption.keyprovider.cache.ms", "18446744073709551621"},
        {"encryption.keyprovider.cache.ms", "99999999999999999999999"},
        {"encryption.keymanager.topics", "orders"},
        {"encryption.keymanager.default.key", "${partition}"},
        {"encryption.keymanager.deterministic.key", "orders"},
        {"encryption.keymanager.deterministic.key", "orders@"},
        {"encryption.keymanager.deterministic.key", "orders@0"},
        {"encryption.keymanager.deterministic.key", "orders@01"},
        {"encryption.keymanager.deterministic.key", "orders@-1"},
        {"encryption.keymanager.deterministic.key", "orders@4294967296"},
        {"encryption.keymanager.deterministic.key", "@1"},
        {"encryption.keymanager.deterministic.key", "a\tb@1"},
        {"encryption.algorithms", ""},
        {"encryption.algorithms", "A256GCM,"},
        {"encryption.algorithms", ",A256GCM"},
        {"encryption.algorithms", "A256GCM,A256GCM"},
        {"encryption.algorithms", "A256GCM,ROT13"},
        {"encryption.algorithms", "A256"},
        {"encryption.encrypt.keys", "yes"},
        {"encryption.encrypt.values", "TRUE"},
        {"encryption.encrypt.values", "deterministic"},
        {"encryption.encrypt.headers", "("},
        {"encryption.scope", ""},
        {"encryption.scope", "fields"},
        {"encryption.aad.topic", "label:"},
        {"encryption.aad.topic", "labels"},
        {"encryption.aad.topic.map", "east"},
        {"encryption.aad.topic.map", "=a"},
        {"encryption.aad.topic.map", "a="},
        {"encryption.aad.topic.map", "(=$1"},
        {"encryption.aad.topic.map", "east\\.(.*)=$2"},
        {"encryption.aad.topic.map", "east\\.(.*)=${topic}"},
        {"encryption.consumer.on.error", "ignore"},
        {"encryption.consumer.added.headers", "true"},
        {"encryption.backend", "portable"},
        {"encryption.openssl.propquery", ""},
        {"encryption.session.max.fields", "0"},
        {"encryption.session.max.fields", "2147483649"},
        {"encryption.session.max.bytes", "274877906945"},
        {"encryption.session.max.age.ms", "86400001"},
        {"encryption.statistics.interval.ms", "86400001"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        refuse(*state, bad[i][0], bad[i][1]);
    /* And nothing of it was kept. */
    assert_null(kfe_config_get(*state, "encryption.keyprovider.class"));
    assert_string_equal(kfe_config_get(*state, "encryption.algorithms"), "A256GCM");
}

/* A kind for all keys, and NAME=KIND. */
static void kinds_of_sessions(void **state)
{
    static const char *const wrong[] = {
        "",        "indirect",       "auto,",          "auto,direct",
        "auto,a=", "auto, a=direct", "auto,a =direct", "a=auto,b=auto,a=auto",
        "=direct", "auto,=direct",   "a\xff=direct"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        refuse(*state, "encryption.keyprovider.pkcs11.session", wrong[i]);
    refuse(*state, "encryption.keyprovider.pkcs11.session", "auto,a=indirect");
    SAYS("'indirect' is not one of: auto, derived, wrapped, direct");
    refuse(*state, "encryption.keyprovider.pkcs11.session", "a=direct,direct,a=auto");
    SAYS("twice what is to be of key a");
}

static void what_this_version_lacks_is_refused_by_name(void **state)
{
    static const char *const later[][2] = {
        {"encryption.consumer.on.error", "raw"},
        {"encryption.consumer.on.error", "dlq:dead"},
    };
    for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
        refuse(*state, later[i][0], later[i][1]);
        SAYS("this version of kfe does not have it yet");
    }
    refuse(*state, "encryption.consumer.on.error", "dlq:");
}

static void an_unknown_name_is_answered_with_the_nearest(void **state)
{
    static const char *const near[][2] = {
        {"encryption.scop", "encryption.scope"},
        {"encryption.algorithm", "encryption.algorithms"},
        {"encryption.keyprovider", "encryption.keyprovider.class"},
        {"encryption.keyprovider-clas", "encryption.keyprovider.class"},
        {"encryption.encrypt.key", "encryption.encrypt.keys"},
        {"encryption.consumer.onerror", "encryption.consumer.on.error"},
        {"encryption.session.max.age", "encryption.session.max.age.ms"},
        {"encryption.keyprovider.", "encryption.keyprovider.class"},
    };
    char expected[80];
    for (size_t i = 0; i < sizeof(near) / sizeof(*near); i++) {
        refuse(*state, near[i][0], "true");
        snprintf(expected, sizeof(expected), "the nearest is %s", near[i][1]);
        SAYS(expected);
    }
    char long_name[1000] = "encryption.";
    memset(long_name + 11, 'x', sizeof(long_name) - 12);
    assert_int_equal(kfe_config_set(*state, long_name, "1"), KFE_E_CONFIG);
    refuse(*state, "bootstrap.servers", "localhost");
}

static void dashes_are_another_spelling(void **state)
{
    assert_int_equal(kfe_config_set(*state, "encryption.keyprovider-class", "file"), KFE_OK);
    assert_string_equal(kfe_config_get(*state, "encryption.keyprovider.class"), "file");
    assert_string_equal(kfe_config_get(*state, "encryption.keyprovider-class"), "file");
    set(*state, "encryption.encrypt-keys", "false");
    set(*state, "encryption.session-max-age-ms", "5");
    assert_int_equal(kfe_config_number(*state, "encryption.session.max.age.ms"), 5);
    /* The same spelling again replaces. */
    set(*state, "encryption.keyprovider-class", "pkcs11");
    refuse(*state, "encryption-keyprovider.class", "file");
}

static void both_spellings_at_once_are_refused(void **state)
{
    set(*state, "encryption.keyprovider-class", "file");
    assert_int_equal(kfe_config_set(*state, "encryption.keyprovider.class", "file"), KFE_E_CONFIG);
    SAYS("dashes");
    set(*state, "encryption.scope", "field");
    set(*state, "encryption.aad.topic", "none");
    assert_int_equal(kfe_config_set(*state, "encryption.aad-topic", "none"), KFE_E_CONFIG);
    SAYS("encryption.aad.topic");
}

static void a_second_value_replaces_the_first(void **state)
{
    char value[16];
    set(*state, "encryption.scope", "record");
    for (int i = 0; i < 100; i++) { /* also names of a class, so that the list grows */
        char name[64];
        snprintf(name, sizeof(name), "encryption.keyprovider.vault.%d", i);
        snprintf(value, sizeof(value), "%d", i);
        set(*state, name, value);
    }
    set(*state, "encryption.scope", "field");
    assert_string_equal(kfe_config_get(*state, "encryption.keyprovider.vault.42"), "42");
    assert_int_equal(kfe_config_number(*state, "encryption.keyprovider.vault.42"), 42);
    /* A value that is refused leaves the old one. */
    refuse(*state, "encryption.scope", "galaxy");
    assert_string_equal(kfe_config_get(*state, "encryption.scope"), "field");
}

static void calls_out_of_contract_are_harmless(void **state)
{
    assert_true(kfe_config_owns("encryption.anything"));
    assert_false(kfe_config_owns("encryption"));
    assert_false(kfe_config_owns("security.protocol"));
    assert_false(kfe_config_owns(NULL));
    assert_int_equal(kfe_config_set(*state, NULL, "x"), KFE_E_ARGUMENT);
    assert_int_equal(kfe_config_set(*state, "encryption.scope", NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_config_set(NULL, "encryption.scope", "field"), KFE_E_ARGUMENT);
    assert_null(kfe_config_get(*state, "encryption.nothing"));
    assert_null(kfe_config_get(*state, NULL));
    assert_int_equal(kfe_config_number(*state, "encryption.scope"), 0);
    assert_int_equal(kfe_config_number(*state, "encryption.nothing"), 0);
    assert_false(kfe_config_flag(*state, "encryption.nothing"));
    kfe_config_free(NULL);
}

/* ---- Contradictions ----------------------------------------------------------------- */

static void contradict(kfe_config *config, const char *word)
{
    assert_int_equal(kfe_config_check(config), KFE_E_CONFIG);
    SAYS(word);
}

static void a_provider_is_needed(void **state)
{
    contradict(*state, "encryption.keyprovider.class");
    set(*state, "encryption.keyprovider.class", "file");
    assert_int_equal(kfe_config_check(*state), KFE_OK);
}

static void deterministic_keys_need_their_key_and_the_other_way_round(void **state)
{
    set(*state, "encryption.keyprovider.class", "file");
    set(*state, "encryption.keymanager.deterministic.key", "orders@1");
    contradict(*state, "encryption.encrypt.keys=deterministic");
    set(*state, "encryption.encrypt.keys", "deterministic");
    assert_int_equal(kfe_config_check(*state), KFE_OK);
}

static void deterministic_keys_without_key_are_refused(void **state)
{
    set(*state, "encryption.keyprovider.class", "file");
    set(*state, "encryption.encrypt.keys", "deterministic");
    contradict(*state, "encryption.keymanager.deterministic.key");
}

static void options_of_a_manager_need_one(void **state)
{
    set(*state, "encryption.keyprovider.class", "file");
    set(*state, "encryption.keymanager.default.key", "orders");
    contradict(*state, "encryption.keymanager.default.key needs encryption.keymanager.class");
    set(*state, "encryption.keymanager.class", "topic");
    assert_int_equal(kfe_config_check(*state), KFE_OK);
}

static void something_must_be_sealed(void **state)
{
    set(*state, "encryption.keyprovider.class", "file");
    set(*state, "encryption.encrypt.keys", "false");
    set(*state, "encryption.encrypt.values", "false");
    assert_int_equal(kfe_config_check(*state), KFE_OK);
    set(*state, "encryption.encrypt.headers", "");
    contradict(*state, "nothing to seal");
}

static void a_map_needs_topics_to_map(void **state)
{
    set(*state, "encryption.keyprovider.class", "file");
    set(*state, "encryption.aad.topic.map", "east\\.(.*)=$1");
    assert_int_equal(kfe_config_check(*state), KFE_OK);
    set(*state, "encryption.aad.topic", "label:orders");
    contradict(*state, "encryption.aad.topic.map");
}

static void a_class_names_its_options(void **state)
{
    static const char *const own[] = {"encryption.keyprovider.vault.url",
                                      "encryption.keyprovider.vault.role", NULL};
    set(*state, "encryption.keyprovider.class", "/lib.so:vault");
    set(*state, "encryption.keyprovider.refresh.ms", "10");
    set(*state, "encryption.keyprovider.pkcs11.allow.rsa", "false");
    set(*state, "encryption.keyprovider.vault.url", "https://vault");
    set(*state, "encryption.keymanager.whatever", "x");
    assert_int_equal(kfe_config_check_class(*state, KFE_PROVIDER_PREFIX, own), KFE_OK);
    assert_int_equal(kfe_config_check_class(*state, KFE_PROVIDER_PREFIX, NULL), KFE_E_CONFIG);
    set(*state, "encryption.keyprovider.vault.rol", "me");
    assert_int_equal(kfe_config_check_class(*state, KFE_PROVIDER_PREFIX, own), KFE_E_CONFIG);
    SAYS("'encryption.keyprovider.vault.rol'");
    SAYS("the nearest is encryption.keyprovider.vault.role");
    assert_int_equal(kfe_config_check_class(*state, KFE_MANAGER_PREFIX, NULL), KFE_E_CONFIG);
    SAYS("encryption.keymanager.whatever");
}

static void options_of_another_class_are_refused(void **state)
{
    static const char *const pkcs11[] = {"encryption.keyprovider.pkcs11.uri",
                                         "encryption.keyprovider.pkcs11.pin", NULL};
    set(*state, "encryption.keyprovider.class", "pkcs11");
    set(*state, "encryption.keyprovider.file.path", "/keys.json");
    assert_int_equal(kfe_config_check_class(*state, KFE_PROVIDER_PREFIX, pkcs11), KFE_E_CONFIG);
    SAYS("encryption.keyprovider.file.path");
}

int main(void)
{
#define WITH_CONFIG(test) cmocka_unit_test_setup_teardown(test, new_config, free_config)
    const struct CMUnitTest tests[] = {
        WITH_CONFIG(defaults_are_those_of_the_manual),
        WITH_CONFIG(values_that_belong_are_taken),
        WITH_CONFIG(values_that_do_not_are_refused),
        WITH_CONFIG(kinds_of_sessions),
        WITH_CONFIG(what_this_version_lacks_is_refused_by_name),
        WITH_CONFIG(an_unknown_name_is_answered_with_the_nearest),
        WITH_CONFIG(dashes_are_another_spelling),
        WITH_CONFIG(both_spellings_at_once_are_refused),
        WITH_CONFIG(a_second_value_replaces_the_first),
        WITH_CONFIG(calls_out_of_contract_are_harmless),
        WITH_CONFIG(a_provider_is_needed),
        WITH_CONFIG(deterministic_keys_need_their_key_and_the_other_way_round),
        WITH_CONFIG(deterministic_keys_without_key_are_refused),
        WITH_CONFIG(options_of_a_manager_need_one),
        WITH_CONFIG(something_must_be_sealed),
        WITH_CONFIG(a_map_needs_topics_to_map),
        WITH_CONFIG(a_class_names_its_options),
        WITH_CONFIG(options_of_another_class_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
