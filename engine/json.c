/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/json.h"

kfe_json kfe_json_begin(const char *text, size_t len)
{
    return (kfe_json){.at = text, .end = text + len};
}

static void blanks(kfe_json *j)
{
    while (j->at < j->end && memchr(" \t\r\n", *j->at, 4) != NULL)
        j->at++;
}

static bool peek(kfe_json *j, char c)
{
    blanks(j);
    return !j->bad && j->at < j->end && *j->at == c;
}

static void expect(kfe_json *j, char c)
{
    if (peek(j, c))
        j->at++;
    else
        j->bad = true;
}

void kfe_json_enter(kfe_json *j, char open)
{
    expect(j, open);
}

bool kfe_json_next(kfe_json *j, char close, bool *first)
{
    if (peek(j, close)) {
        j->at++;
        return false;
    }
    if (!*first)
        expect(j, ',');
    *first = false;
    return !j->bad;
}

kfe_json_text kfe_json_name(kfe_json *j)
{
    kfe_json_text name = kfe_json_string(j);
    expect(j, ':');
    return name;
}

/* The value of four hexadecimal digits, or -1. */
static long hex4(const char *at, const char *end)
{
    long value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)at[i];
        int lower = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* Bytes of the escape that begins at the backslash `at`, or 0. */
static size_t escape_size(const char *at, const char *end)
{
    if (end - at < 2)
        return 0;
    if (at[1] == 'u')
        return hex4(at + 2, end) < 0 ? 0 : 6;
    return memchr("\"\\/bfnrt", at[1], 8) == NULL ? 0 : 2;
}

kfe_json_text kfe_json_string(kfe_json *j)
{
    kfe_json_text text = {"", 0};
    expect(j, '"');
    const char *start = j->at;
    while (!j->bad && j->at < j->end && *j->at != '"') {
        size_t step = *j->at == '\\' ? escape_size(j->at, j->end) : 1;
        j->bad = step == 0 || (unsigned char)*j->at < 0x20;
        j->at += step;
    }
    if (j->bad || j->at == j->end) {
        j->bad = true;
        return text;
    }
    text = (kfe_json_text){start, (size_t)(j->at - start)};
    j->at++;
    return text;
}

uint32_t kfe_json_number(kfe_json *j)
{
    blanks(j);
    const char *start = j->at;
    uint64_t value = 0;
    while (!j->bad && j->at < j->end && *j->at >= '0' && *j->at <= '9') {
        value = value * 10 + (uint64_t)(*j->at++ - '0');
        j->bad = value > UINT32_MAX;
    }
    bool leading_zero = j->at - start > 1 && *start == '0';
    /* What may follow is a matter of kfe_json_next(): a '.' or 'e' is neither comma nor bracket. */
    j->bad |= j->at == start || leading_zero;
    return j->bad ? 0 : (uint32_t)value;
}

bool kfe_json_finish(kfe_json *j)
{
    blanks(j);
    j->bad |= j->at != j->end;
    return !j->bad;
}

bool kfe_json_is(kfe_json_text text, const char *word)
{
    return text.len == strlen(word) && strncmp(text.at, word, text.len) == 0;
}

/* Reads one character of a valid string, moving *at on; a code point, or a byte of UTF-8 as it
 * stands (negative, so that the two cannot be taken for each other); 0: half a surrogate. */
static long character(const char **at, const char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *c = *at;
    if (*c != '\\') {
        *at += 1;
        return -1 - (long)(unsigned char)*c;
    }
    if (c[1] != 'u') {
        *at += 2;
        return to[strchr(from, c[1]) - from];
    }
    long high = hex4(c + 2, end);
    *at += 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    bool pair = high < 0xdc00 && end - c >= 12 && c[6] == '\\' && c[7] == 'u';
    long low = pair ? hex4(c + 8, end) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *at += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t utf8(long c, char out[4])
{
    if (c < 0) {
        out[0] = (char)(unsigned char)(-1 - c);
        return 1;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
    return n;
}

bool kfe_json_copy(kfe_json_text text, char *out, size_t cap)
{
    const char *at = text.at, *end = text.at + text.len;
    size_t len = 0;
    while (at < end) {
        char bytes[4];
        long c = character(&at, end);
        size_t n = utf8(c, bytes);
        if (c == 0 || n >= cap - len)
            return false;
        for (size_t i = 0; i < n; i++)
            out[len++] = bytes[i];
    }
    if (len >= cap)
        return false;
    out[len] = '\0';
    return true;
}
