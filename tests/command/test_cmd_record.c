/* SPDX-License-Identifier: Apache-2.0 */

/* Is a JSON line read as the record that it says, and refused when it says none? */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "kafka/cmd_bytes.h"
#include "kafka/cmd_record.h"

/* All that a record is given back by (-Wl,--wrap=...). Strings have LONG bytes or more in the test
 * that looks. */
void __real_cJSON_Delete(cJSON *json);
/* Not hidden: the linker wraps what libkfe uses as well. */
__attribute__((visibility("default"))) void __wrap_cJSON_Delete(cJSON *json);
void __real_rd_kafka_headers_destroy(rd_kafka_headers_t *headers);
void __wrap_rd_kafka_headers_destroy(rd_kafka_headers_t *headers);

enum { LONG = 12 };
static bool looking;
static unsigned looked, unwiped;

static void look_at(const char *bytes, size_t len)
{
    looked++;
    for (size_t i = 0; i < len; i++)
        unwiped += bytes[i] != 0;
}

static void look_at_tree(const cJSON *json)
{
    for (const cJSON *item = json; item != NULL; item = item->next) {
        if (item->valuestring != NULL)
            look_at(item->valuestring, LONG);
        if (item->string != NULL)
            look_at(item->string, 1);
        look_at_tree(item->child);
    }
}

void __wrap_cJSON_Delete(cJSON *json)
{
    if (looking)
        look_at_tree(json);
    __real_cJSON_Delete(json);
}

void __wrap_rd_kafka_headers_destroy(rd_kafka_headers_t *headers)
{
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; looking && !rd_kafka_header_get_all(headers, i, &name, &value, &len); i++)
        look_at(value, len);
    __real_rd_kafka_headers_destroy(headers);
}

static void assert_bytes(kfe_bytes got, const char *want, size_t len)
{
    assert_non_null(got.data);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, want, len);
}

static void assert_header(const kfe_cmd_record *r, size_t i, const char *name, const char *value)
{
    const char *got_name;
    const void *got;
    size_t len;
    assert_int_equal(rd_kafka_header_get_all(r->headers, i, &got_name, &got, &len), 0);
    assert_string_equal(got_name, name);
    if (value == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_int_equal(len, strlen(value));
    assert_memory_equal(got, value, len);
}

static void read_line(kfe_cmd_record *r, const char *line)
{
    assert_int_equal(kfe_cmd_record_init(r, line, strlen(line)), KFE_OK);
}

static void test_shapes(void **state)
{
    (void)state;
    kfe_cmd_record r;
    read_line(&r,
              " {\"key\":\"k\\u00e9\",\"value\":{\"base64\":\"AAECAw==\"},\r"
              "\"headers\":[[\"a\",\"1\"],[\"a\",null],[\"\",\"\"],[\"c\",{\"base64\":\"\"}]]} ");
    assert_bytes(r.key, "k\xc3\xa9", 3);
    assert_bytes(r.value, "\0\1\2\3", 4);
    assert_int_equal(rd_kafka_header_cnt(r.headers), 4);
    assert_header(&r, 0, "a", "1");
    assert_header(&r, 1, "a", NULL);
    assert_header(&r, 2, "", "");
    assert_header(&r, 3, "c", "");
    kfe_cmd_record_wipe(&r);
}

static void test_null_empty_absent(void **state)
{
    (void)state;
    kfe_cmd_record r;
    read_line(&r, "{}");
    assert_null(r.key.data);
    assert_null(r.value.data);
    assert_null(r.headers);
    kfe_cmd_record_wipe(&r);
    read_line(&r, "{\"key\":null,\"value\":null,\"headers\":[]}");
    assert_null(r.key.data);
    assert_null(r.value.data);
    assert_null(r.headers);
    kfe_cmd_record_wipe(&r);
    read_line(&r, "{\"key\":\"\",\"value\":{\"base64\":\"\"}}");
    assert_bytes(r.key, "", 0);
    assert_bytes(r.value, "", 0);
    kfe_cmd_record_wipe(&r);
}

static void test_backslashes_before_u0000(void **state)
{
    (void)state;
    kfe_cmd_record r;
    read_line(&r, "{\"key\":\"\\\\u0000\"}");
    assert_bytes(r.key, "\\u0000", 6);
    kfe_cmd_record_wipe(&r);
    const char *bad = "{\"key\":\"\\\\\\u0000\"}";
    assert_int_equal(kfe_cmd_record_init(&r, bad, strlen(bad)), KFE_E_ARGUMENT);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "SECRET",
        "[]",
        "\"SECRET\"",
        "null",
        "{\"key\":\"SECRET\"",
        "{\"key\":\"SECRET\"} {}",
        "{\"key\":\"SECRET\"}x",
        "{\"SECRET\":1}",
        "{\"Key\":\"SECRET\"}",
        "{\"key\":1}",
        "{\"key\":true}",
        "{\"key\":[\"SECRET\"]}",
        "{\"key\":\"SECRET\",\"key\":\"SECRET\"}",
        "{\"headers\":[],\"headers\":[]}",
        "{\"key\":\"SECRET\\u0000\"}",
        "{\"key\":\"\\ud800SECRET\"}",
        "{\"key\":\"\xff SECRET\"}",
        "{\"key\":\"\xed\xa0\x80SECRET\"}",
        "{\"value\":{}}",
        "{\"value\":{\"base64\":null}}",
        "{\"value\":{\"base64\":\"AA==\",\"SECRET\":1}}",
        "{\"value\":{\"hex\":\"AA\"}}",
        "{\"value\":{\"base64\":\"AAA\"}}",
        "{\"value\":{\"base64\":\"AB==\"}}",
        "{\"value\":{\"base64\":\"AAB=\"}}",
        "{\"value\":{\"base64\":\"A===\"}}",
        "{\"value\":{\"base64\":\"====\"}}",
        "{\"value\":{\"base64\":\"AA==AAAA\"}}",
        "{\"value\":{\"base64\":\"AA=A\"}}",
        "{\"value\":{\"base64\":\"AA A\"}}",
        "{\"value\":{\"base64\":\"AA-_\"}}",
        "{\"headers\":null}",
        "{\"headers\":{}}",
        "{\"headers\":[\"SECRET\"]}",
        "{\"headers\":[[\"SECRET\"]]}",
        "{\"headers\":[[\"a\",\"SECRET\",\"c\"]]}",
        "{\"headers\":[[null,\"SECRET\"]]}",
        "{\"headers\":[[\"a\",1]]}",
        "{\"headers\":[[\"ok\",\"1\"],[{\"base64\":\"YQBi\"},\"SECRET\"]]}",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        kfe_cmd_record r;
        memset(&r, 0xff, sizeof(r));
        if (kfe_cmd_record_init(&r, lines[i], strlen(lines[i])) != KFE_E_ARGUMENT)
            fail_msg("taken: %s", lines[i]);
        assert_null(r.key.data);
        assert_null(r.value.data);
        assert_null(r.headers);
        assert_null(r.memory);
        if (strstr(kfe_error_detail(), "SECRET") != NULL || kfe_error_detail()[0] == '\0')
            fail_msg("\"%s\" tells \"%s\"", lines[i], kfe_error_detail());
    }
}

static void test_zero_byte_in_the_line(void **state)
{
    (void)state;
    kfe_cmd_record r;
    static const char line[] = "{\"key\":\"a\0b\"}";
    assert_int_equal(kfe_cmd_record_init(&r, line, sizeof(line) - 1), KFE_E_ARGUMENT);
}

static void test_base64(void **state)
{
    (void)state;
    uint8_t bytes[64];
    for (size_t len = 0; len < sizeof(bytes); len++) {
        char text[96];
        size_t n = 0;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i * 37 + len * 11);
        for (size_t i = 0; i < len; i += 3, n += 4)
            kfe_cmd_base64_encode(bytes + i, len - i, text + n);
        assert_true(kfe_cmd_base64_decode(text, &n));
        assert_int_equal(n, len);
        assert_memory_equal(text, bytes, len);
    }
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe1\x80\x41",
                                      "\xf1\x80\x80\xc0"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(kfe_cmd_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(kfe_cmd_is_utf8(bad[i], strlen(bad[i])));
}

/* Bytes with zeros among them, and a line that is refused half way. */
static void test_nothing_stays_behind(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"key\":{\"base64\":\"AABTRUNSRVQx\"},\"value\":\"SECRET SECRET\","
        "\"headers\":[[\"header header\",{\"base64\":\"AABTRUNSRVQy\"}]]}",
        "{\"value\":\"SECRET SECRET\",\"headers\":[[\"header header\",\"SECRET SECRET\"],"
        "[{\"base64\":\"AABTRUNSRVQx\"},\"SECRET SECRET\"]]}",
        "{\"SECRET SECRET\":\"SECRET SECRET\"}"};
    static const unsigned pieces[] = {10, 9, 2};
    for (int i = 0; i < 3; i++) {
        kfe_cmd_record r;
        looking = true;
        looked = unwiped = 0;
        kfe_error err = kfe_cmd_record_init(&r, lines[i], strlen(lines[i]));
        assert_int_equal(err, i == 0 ? KFE_OK : KFE_E_ARGUMENT);
        kfe_cmd_record_wipe(&r);
        looking = false;
        assert_int_equal(looked, pieces[i]);
        assert_int_equal(unwiped, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_null_empty_absent),
        cmocka_unit_test(test_backslashes_before_u0000),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_zero_byte_in_the_line),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_nothing_stays_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
