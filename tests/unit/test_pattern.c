/* SPDX-License-Identifier: Apache-2.0 */
/* Do patterns match whole names, byte by byte, and bound the work of hostile ones? */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/pattern.h"

static kfe_bytes text(const char *string)
{
    return (kfe_bytes){(const uint8_t *)string, strlen(string)};
}

static kfe_pattern *make(const char *pattern)
{
    kfe_pattern *made = NULL;
    assert_int_equal(kfe_pattern_new(&made, "an.option", pattern), KFE_OK);
    return made;
}

static bool match_made(const kfe_pattern *pattern, kfe_bytes subject)
{
    bool result = false;
    assert_int_equal(kfe_pattern_match(pattern, subject, &result), KFE_OK);
    return result;
}

static bool matches(const char *pattern, const char *string)
{
    kfe_pattern *made = make(pattern);
    bool result = false;
    (void)kfe_pattern_match(made, text(string), &result);
    kfe_pattern_free(made);
    return result;
}

static void the_whole_name_must_match(void **state)
{
    (void)state;
    assert_true(matches("orders", "orders"));
    assert_false(matches("orders", "orders-eu"));
    assert_false(matches("orders", "my-orders"));
    assert_true(matches("orders.*", "orders-eu"));
    assert_true(matches("a|ab", "ab"));
    assert_true(matches("ab|b", "b"));
    assert_false(matches("a|b", "ab"));
    assert_false(matches("orders$", "orders\n"));
    assert_false(matches("orders", "ORDERS"));
    assert_true(matches("(?i)orders", "ORDERS"));
}

static void an_empty_pattern_matches_nothing_but_the_empty_name(void **state)
{
    (void)state;
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    kfe_pattern *any = make(".*");
    assert_true(match_made(any, (kfe_bytes){NULL, 0}));
    kfe_pattern_free(any);
}

static void a_dot_matches_any_byte(void **state)
{
    (void)state;
    kfe_pattern *any = make("(.*)");
    static const uint8_t bytes[] = {'a', '\n', 0, 0xff, '\r', 0x80};
    assert_true(match_made(any, (kfe_bytes){bytes, sizeof(bytes)}));
    kfe_pattern_free(any);
    /* Two bytes, whatever UTF-8 says. */
    assert_true(matches("..", "\xc3\xa9"));
    assert_false(matches(".", "\xc3\xa9"));
}

static void a_broken_pattern_is_told_with_option_reason_and_place(void **state)
{
    (void)state;
    static const char *const broken[] = {"(", "a(b", "[", "*", "a\\", "(*UTF)a", "(?<n>a)(?<n>b)"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        kfe_pattern *made = NULL;
        assert_int_equal(kfe_pattern_new(&made, "an.option", broken[i]), KFE_E_CONFIG);
        assert_null(made);
        assert_non_null(strstr(kfe_error_detail(), "an.option"));
        assert_non_null(strstr(kfe_error_detail(), broken[i]));
        assert_non_null(strstr(kfe_error_detail(), "at byte"));
    }
    kfe_pattern_free(NULL);
}

/* Processor time, so that a busy machine does not matter; without limits these take years. */
static void hostile_patterns_end_soon(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "(a+)+$", "(a|a)*b", "(a*)*b", "(?:a?){60}a{60}", "(*NO_JIT)(a+)+$", "(*NO_JIT)(x+x+)+y"};
    char subject[4001];
    memset(subject, 'a', sizeof(subject) - 1);
    subject[sizeof(subject) - 2] = '!';
    subject[sizeof(subject) - 1] = '\0';
    clock_t start = clock();
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++)
        assert_false(matches(hostile[i], subject));
    /* What was given up is an error: taken for "no", it would let a header leave in clear. */
    kfe_pattern *made = make("(a+)+$");
    bool result = true;
    assert_int_equal(kfe_pattern_match(made, text(subject), &result), KFE_E_RECORD);
    assert_false(result);
    kfe_pattern_free(made);
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
}

/* Two million steps lead to the second alternative: too many. */
static void steps_are_limited(void **state)
{
    (void)state;
    static const char name[] = "aaaaaaaaaaaaaaaaaaaaa";
    assert_true(matches("((a+)+b)|a*", "aaaaaaaaa"));
    assert_false(matches("((a+)+b)|a*", name));
    assert_true(matches("(*NO_JIT)((a+)+b)|a*", "aaaaaaaaa"));
    assert_false(matches("(*NO_JIT)((a+)+b)|a*", name));
}

static void long_names_still_match(void **state)
{
    (void)state;
    static char subject[200001];
    memset(subject, 'a', sizeof(subject) - 1);
    assert_true(matches(".*", subject));
    assert_true(matches("a+", subject));
    assert_true(matches("[ab]*a", subject));
    /* Outgrows the stack of compiled patterns, not the interpreter's limits. */
    subject[4000] = '\0';
    assert_true(matches("(?:a|b)*", subject));
    assert_true(matches("(a|b)*c?", subject));
}

static void a_replacement_may_use_groups(void **state)
{
    (void)state;
    char out[16];
    size_t len = 0;
    kfe_pattern *mirror = make("([a-z]+)\\.(?<topic>.*)");
    assert_int_equal(kfe_pattern_replace(mirror, text("east.orders"), "$2", out, sizeof(out), &len),
                     KFE_OK);
    assert_int_equal(len, 6);
    assert_memory_equal(out, "orders", 6);
    assert_int_equal(
        kfe_pattern_replace(mirror, text("east.o"), "${topic}-$1$$", out, sizeof(out), &len),
        KFE_OK);
    assert_int_equal(len, 7);
    assert_memory_equal(out, "o-east$", 7);
    kfe_pattern_free(mirror);
}

static void a_replacement_fills_the_buffer_to_its_last_byte(void **state)
{
    (void)state;
    char out[8] = "1234567";
    size_t len = 99;
    kfe_pattern *any = make("(.*)");
    assert_int_equal(kfe_pattern_replace(any, text("abcde"), "$1", out, 6, &len), KFE_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(out, "abcde\0007", 8); /* its end included, and no byte more */
    assert_int_equal(kfe_pattern_replace(any, text("uvwxyz"), "$1", out, 6, &len), KFE_E_SPACE);
    assert_int_equal(len, 5);
    assert_int_equal(out[6], '7');
    kfe_pattern_free(any);
}

static void what_cannot_be_replaced_is_told(void **state)
{
    (void)state;
    char out[8];
    size_t len;
    kfe_pattern *mirror = make("east\\.(.*)");
    assert_int_equal(kfe_pattern_replace(mirror, text("west.a"), "$1", out, sizeof(out), &len),
                     KFE_E_ARGUMENT);
    assert_int_equal(kfe_pattern_replace(mirror, text("east.a"), "$7", out, sizeof(out), &len),
                     KFE_E_CONFIG);
    assert_int_equal(kfe_pattern_replace(mirror, text("east.a"), "${", out, sizeof(out), &len),
                     KFE_E_CONFIG);
    kfe_pattern_free(mirror);
}

enum { THREADS = 8, ROUNDS = 5000 };

static void *match_often(void *pattern)
{
    size_t wrong = 0;
    for (size_t i = 0; i < ROUNDS; i++)
        wrong += !match_made(pattern, text("orders-7")) || match_made(pattern, text("orders-x"));
    return (void *)(uintptr_t)wrong;
}

static void threads_share_a_pattern(void **state)
{
    (void)state;
    kfe_pattern *pattern = make("(orders|payments)-([0-9]+)");
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, pattern), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    kfe_pattern_free(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_name_must_match),
        cmocka_unit_test(an_empty_pattern_matches_nothing_but_the_empty_name),
        cmocka_unit_test(a_dot_matches_any_byte),
        cmocka_unit_test(a_broken_pattern_is_told_with_option_reason_and_place),
        cmocka_unit_test(hostile_patterns_end_soon),
        cmocka_unit_test(steps_are_limited),
        cmocka_unit_test(long_names_still_match),
        cmocka_unit_test(a_replacement_may_use_groups),
        cmocka_unit_test(a_replacement_fills_the_buffer_to_its_last_byte),
        cmocka_unit_test(what_cannot_be_replaced_is_told),
        cmocka_unit_test(threads_share_a_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
