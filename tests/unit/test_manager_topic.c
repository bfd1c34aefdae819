/* SPDX-License-Identifier: Apache-2.0 */
/* Does the KeyManager `topic` give each record the key that its configuration says? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/config.h"

#define TOPICS "encryption.keymanager.topics"
#define DEFAULT "encryption.keymanager.default.key"
#define HEADERS "encryption.keymanager.headers.key"
#define SAYS(word) assert_non_null(strstr(kfe_error_detail(), word))

static kfe_bytes text(const char *string)
{
    return (kfe_bytes){(const uint8_t *)string, strlen(string)};
}

static kfe_config *config;
static kfe_key_manager *manager;
static kfe_key_choice choice;

static int set_up(void **state)
{
    (void)state;
    manager = NULL;
    return kfe_config_new(&config) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    kfe_topic_manager.free(manager);
    kfe_config_free(config);
    return 0;
}

static void set(const char *name, const char *value)
{
    if (kfe_config_set(config, name, value))
        fail_msg("%s=%s: %s", name, value, kfe_error_detail());
}

static void open_manager(void)
{
    if (kfe_topic_manager.open(&manager, config))
        fail_msg("%s", kfe_error_detail());
}

static kfe_error choose(const char *topic, const kfe_header *headers, size_t n)
{
    kfe_record record = {.topic = text(topic), .headers = headers, .n_headers = n, .partition = -1};
    memset(&choice, 0, sizeof(choice));
    return manager->ops->choose(manager, &record, &choice);
}

static void assert_keys(const char *topic, const char *record, const char *headers)
{
    if (choose(topic, NULL, 0))
        fail_msg("%s: %s", topic, kfe_error_detail());
    assert_string_equal(choice.record, record);
    assert_string_equal(choice.headers, headers);
}

static void assert_no_key(const char *topic, const kfe_header *headers, size_t n, const char *word)
{
    static const kfe_key_choice none;
    assert_int_equal(choose(topic, headers, n), KFE_E_NO_KEY);
    assert_memory_equal(&choice, &none, sizeof(none));
    SAYS(word);
}

static void the_first_pattern_that_matches_wins(void **state)
{
    (void)state;
    set(TOPICS, "orders=one;orders.*=two;.*=three");
    open_manager();
    assert_keys("orders", "one", "one");
    assert_keys("orders-eu", "two", "two");
    assert_keys("my-orders", "three", "three");
}

static void blanks_and_empty_items_do_not_count(void **state)
{
    (void)state;
    set(TOPICS, " ;orders = one ;\t pay.*\t=  key two ; ");
    set(DEFAULT, "rest");
    open_manager();
    assert_keys("orders", "one", "one");
    assert_keys("payments", "key two", "key two");
    assert_keys(" orders", "rest", "rest");
}

static void a_backslash_takes_the_meaning_of_a_divider(void **state)
{
    (void)state;
    set(TOPICS, "a\\=b=one;c\\;d=two;e[\\=\\;]f=x\\;y\\\\z=w;(*pla:g)g=four;h\\\\=five");
    open_manager();
    assert_keys("a=b", "one", "one");
    assert_keys("c;d", "two", "two");
    assert_keys("e;f", "x;y\\z=w", "x;y\\z=w");
    assert_keys("e=f", "x;y\\z=w", "x;y\\z=w");
    assert_keys("g", "four", "four");
    assert_keys("h\\", "five", "five");
    assert_keys("a", "", "");
}

static void no_match_and_no_default_is_none(void **state)
{
    (void)state;
    set(TOPICS, "orders=one");
    open_manager();
    assert_keys("logs", "", "");
}

static void the_default_takes_the_rest(void **state)
{
    (void)state;
    set(TOPICS, "orders=one");
    set(DEFAULT, "rest");
    open_manager();
    assert_keys("orders", "one", "one");
    assert_keys("logs", "rest", "rest");
}

static void headers_may_have_a_key_of_their_own(void **state)
{
    (void)state;
    set(TOPICS, "orders=one");
    set(HEADERS, "routing-${topic}");
    open_manager();
    assert_keys("orders", "one", "routing-orders");
    assert_keys("logs", "", "routing-logs");
}

static void templates_read_the_record(void **state)
{
    (void)state;
    set(TOPICS, "orders.*=${header:tenant}/${topic}/$x;logs=${topic}${topic}");
    open_manager();
    const kfe_header headers[] = {
        {.name = text("other"), .value = text("no")},
        {.name = text("tenants"), .value = text("no")},
        {.name = text("tenant"), .value = text("acme")},
        {.name = text("tenant"), .value = text("evil")},
    };
    assert_int_equal(choose("orders-7", headers, 4), KFE_OK);
    assert_string_equal(choice.record, "acme/orders-7/$x");
    assert_string_equal(choice.headers, "acme/orders-7/$x");
    assert_int_equal(choose("logs", headers, 4), KFE_OK);
    assert_string_equal(choice.record, "logslogs");
}

static void a_header_that_gives_no_name_is_an_error_never_none(void **state)
{
    (void)state;
    set(DEFAULT, "${header:tenant}");
    open_manager();
    static uint8_t large[KFE_NAME_MAX + 1];
    memset(large, 's', sizeof(large));
    const struct {
        kfe_bytes value;
        const char *word;
    } bad[] = {
        {{NULL, 0}, "null"},
        {text(""), "empty"},
        {{(const uint8_t *)"se\0cret", 7}, "NUL"},
        {text("se\ncret"), "control"},
        {text("secret\xff"), "UTF-8"},
        {{large, sizeof(large)}, "longer than 255"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        /* The second header of that name never steps in. */
        const kfe_header headers[] = {{.name = text("tenant"), .value = bad[i].value},
                                      {.name = text("tenant"), .value = text("acme")}};
        assert_no_key("orders", headers, 2, bad[i].word);
        assert_null(strstr(kfe_error_detail(), "cret"));
    }
    assert_no_key("orders", NULL, 0, "'tenant'");
    SAYS("missing");
    const kfe_header longest = {.name = text("tenant"), .value = {large, KFE_NAME_MAX}};
    assert_int_equal(choose("orders", &longest, 1), KFE_OK);
    assert_int_equal(strlen(choice.record), KFE_NAME_MAX);
}

static void a_header_key_that_fails_leaves_no_choice(void **state)
{
    (void)state;
    set(DEFAULT, "one");
    set(HEADERS, "${header:tenant}");
    open_manager();
    assert_no_key("orders", NULL, 0, "missing");
}

static void broken_options_are_refused_when_set(void **state)
{
    (void)state;
    static const char *const broken[][3] = {
        {TOPICS, "", "empty"},
        {TOPICS, " ; ", "empty"},
        {TOPICS, "orders", "PATTERN=KEY"},
        {TOPICS, "a=b;orders", "'orders'"},
        {TOPICS, "orders\\=one", "PATTERN=KEY"},
        {TOPICS, "=one", "empty pattern"},
        {TOPICS, "orders=", "encryption.unencrypted.topics"},
        {TOPICS, "(?=a)b=c", "pattern '(?'"},
        {TOPICS, "a=b;(=c", "pattern '('"},
        {TOPICS, "a=${nothing}", "${topic}"},
        {DEFAULT, "", "1 to 255 bytes"},
        {DEFAULT, "${topic", "${header:NAME}"},
        {DEFAULT, "${header:}", "${header:NAME}"},
        {DEFAULT, "${header}", "${header:NAME}"},
        {DEFAULT, "${Topic}", "${topic}"},
        {DEFAULT, "a\tb${topic}", "control"},
        {DEFAULT, "\xff${topic}", "UTF-8"},
        {HEADERS,
         "${topic}${topic}${topic}${topic}${topic}${topic}${topic}${topic}${topic}"
         "${topic}${topic}${topic}${topic}${topic}${topic}${topic}${topic}",
         "more than 16 parts"},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        if (kfe_config_set(config, broken[i][0], broken[i][1]) != KFE_E_CONFIG)
            fail_msg("%s=%s was not refused", broken[i][0], broken[i][1]);
        SAYS(broken[i][0]);
        SAYS(broken[i][2]);
    }
    char name[300] = "${topic}";
    memset(name + 8, 'k', 255);
    assert_int_equal(kfe_config_set(config, DEFAULT, name), KFE_E_CONFIG);
    SAYS("longer than 255");
}

static void a_manager_that_chooses_nothing_is_refused(void **state)
{
    (void)state;
    assert_int_equal(kfe_topic_manager.open(&manager, config), KFE_E_CONFIG);
    SAYS(TOPICS);
    assert_null(manager);
}

static void its_options_are_its_own(void **state)
{
    (void)state;
    set("encryption.keymanager.class", "topic");
    set(TOPICS, "a=b");
    set(DEFAULT, "b");
    set(HEADERS, "b");
    set("encryption.keymanager.deterministic.key", "b@1");
    assert_int_equal(
        kfe_config_check_class(config, "encryption.keymanager.", kfe_topic_manager.options),
        KFE_OK);
    set("encryption.keymanager.topic", "a=b");
    assert_int_equal(
        kfe_config_check_class(config, "encryption.keymanager.", kfe_topic_manager.options),
        KFE_E_CONFIG);
    SAYS("the nearest is " TOPICS);
}

int main(void)
{
#define WITH_CONFIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_CONFIG(the_first_pattern_that_matches_wins),
        WITH_CONFIG(blanks_and_empty_items_do_not_count),
        WITH_CONFIG(a_backslash_takes_the_meaning_of_a_divider),
        WITH_CONFIG(no_match_and_no_default_is_none),
        WITH_CONFIG(the_default_takes_the_rest),
        WITH_CONFIG(headers_may_have_a_key_of_their_own),
        WITH_CONFIG(templates_read_the_record),
        WITH_CONFIG(a_header_that_gives_no_name_is_an_error_never_none),
        WITH_CONFIG(a_header_key_that_fails_leaves_no_choice),
        WITH_CONFIG(broken_options_are_refused_when_set),
        WITH_CONFIG(a_manager_that_chooses_nothing_is_refused),
        WITH_CONFIG(its_options_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
