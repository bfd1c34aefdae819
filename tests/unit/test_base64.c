/* SPDX-License-Identifier: Apache-2.0 */

/* Has every string of bytes exactly one form, and is every other text refused? */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base64.h"

static void base64_rfc4648(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[16] = "";
        uint8_t back[8];
        size_t made = 99, len = strlen(cases[i][0]);
        assert_int_equal(kfe_base64_size(len), strlen(cases[i][1]));
        kfe_base64_encode((const uint8_t *)cases[i][0], len, text);
        assert_string_equal(text, cases[i][1]);
        assert_true(kfe_base64_decode(text, strlen(text), back, len, &made));
        assert_int_equal(made, len);
        assert_memory_equal(back, cases[i][0], len);
        assert_true(len == 0 || !kfe_base64_decode(text, strlen(text), back, len - 1, &made));
    }
}

static void base64_all_letters(void **state)
{
    (void)state;
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int c = 0; c < 256; c++) {
        char text[4] = {'A', 'A', 'A', (char)c}, again[4];
        uint8_t out[3] = {9, 9, 9};
        size_t made;
        const char *place = c == 0 ? NULL : strchr(letters, c);
        bool good = kfe_base64_decode(text, 4, out, 3, &made);
        assert_int_equal(good, place != NULL || c == '=');
        if (place == NULL)
            continue;
        assert_int_equal(out[2], place - letters);
        kfe_base64_encode(out, 3, again);
        assert_memory_equal(text, again, 4);
    }
}

static void base64_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",      "Zh==", "Zm9=", "====", "=AAA",  "A=AA",
        "AA=A", "A===", "Zg==Zg==", "Z g=", "Zm8-", "Zm8_", "Zm8\n", "Zm9v\n\n\n\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t out[16];
        size_t made;
        memset(out, 0xaa, sizeof(out));
        assert_false(kfe_base64_decode(bad[i], strlen(bad[i]), out, sizeof(out), &made));
        assert_int_equal(made, 0);
        assert_true(out[0] == 0xaa || out[0] == 0); /* untouched or wiped */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_rfc4648),
        cmocka_unit_test(base64_all_letters),
        cmocka_unit_test(base64_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
