/* SPDX-License-Identifier: Apache-2.0 */

/* Is what is written JSON, and can it be read back byte for byte? */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kafka/cmd_json.h"
#include "kafka/cmd_record.h"

static void assert_written(const char *want, const void *data, size_t len)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    kfe_cmd_json_bytes(out, data, len);
    fclose(out);
    assert_string_equal(text, want);
    free(text);
}

static void test_forms(void **state)
{
    (void)state;
    assert_written("null", NULL, 0);
    assert_written("\"\"", "", 0);
    assert_written("\"a\\\"b\\\\c/\"", "a\"b\\c/", 6);
    assert_written("\"\\n\\r\\t\\u0001\\u001b\\u007f\"", "\n\r\t\x01\x1b\x7f", 6);
    assert_written("\"\\u0080\\u009b\\u009f\xc2\xa0\xc3\xa9\"",
                   "\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0\xc3\xa9", 10);
    assert_written("{\"base64\":\"AA==\"}", "\0", 1);
    assert_written("{\"base64\":\"YQBi\"}", "a\0b", 3);
    assert_written("{\"base64\":\"/w==\"}", "\xff", 1);
    assert_written("{\"base64\":\"wg==\"}", "\xc2", 1);
}

/* Every pair of bytes, alone and between others. */
static void test_back_and_forth(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 65536; pair++) {
        uint8_t bytes[4] = {'x', (uint8_t)(pair >> 8), (uint8_t)pair, 'y'};
        char *line = NULL;
        size_t size;
        FILE *out = open_memstream(&line, &size);
        assert_non_null(out);
        fputs("{\"key\":", out);
        kfe_cmd_json_bytes(out, bytes, 4);
        fputs(",\"value\":", out);
        kfe_cmd_json_bytes(out, bytes + 1, 2);
        fputs("}", out);
        fclose(out);
        kfe_cmd_record r;
        assert_int_equal(kfe_cmd_record_init(&r, line, size), KFE_OK);
        assert_int_equal(r.key.len, 4);
        assert_memory_equal(r.key.data, bytes, 4);
        assert_int_equal(r.value.len, 2);
        assert_memory_equal(r.value.data, bytes + 1, 2);
        kfe_cmd_record_wipe(&r);
        free(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_back_and_forth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
