/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backend/rsp.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static rsp_value *value_named(rsp_vector *v, const char *name)
{
    static const char *const names[][3] = {{"key", "", ""},          {"iv", "nonce", ""},
                                           {"aad", "ad", ""},        {"pt", "in", "plaintext"},
                                           {"ct", "ciphertext", ""}, {"tag", "", ""}};
    rsp_value *values[] = {&v->key, &v->nonce, &v->aad, &v->plain, &v->sealed, &v->tag};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 3; j++)
            if (strcasecmp(name, names[i][j]) == 0)
                return values[i];
    return NULL;
}

static bool read_text(const char *text, size_t len, rsp_value *out)
{
    if (len < 2 || text[len - 1] != '"' || len - 2 > RSP_VALUE_MAX)
        return false;
    memcpy(out->bytes, text + 1, len - 2);
    out->len = len - 2;
    return true;
}

static bool read_hex(const char *text, size_t len, rsp_value *out)
{
    if (len % 2 != 0 || len / 2 > RSP_VALUE_MAX)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        unsigned byte = 0;
        if (!isxdigit((unsigned char)text[i]) || !isxdigit((unsigned char)text[i + 1]) ||
            sscanf(text + i, "%2x", &byte) != 1)
            return false;
        out->bytes[i / 2] = (uint8_t)byte;
    }
    out->len = len / 2;
    return true;
}

/* `text` is a line without blanks at its end. */
static bool read_line(rsp_vector *v, char *text)
{
    char *equals = strchr(text, '=');
    if (text[0] == '\0' || text[0] == '#' || text[0] == '[')
        return true;
    if (strcmp(text, "FAIL") == 0)
        return v->fails = true;
    if (equals == NULL)
        return false;
    char *from = equals + 1 + strspn(equals + 1, " ");
    while (equals > text && equals[-1] == ' ')
        equals--;
    *equals = '\0';
    if (strcasecmp(text, "count") == 0)
        return true;
    if (strcasecmp(text, "result") == 0)
        return v->fails = true;
    rsp_value *value = value_named(v, text);
    if (value == NULL || value->given)
        return false;
    value->given = true;
    size_t len = strlen(from);
    return from[0] == '"' ? read_text(from, len, value) : read_hex(from, len, value);
}

bool rsp_read(const char *path, rsp_each *each, void *arg, unsigned *line)
{
    static rsp_vector v;
    char text[8192];
    bool good = true;
    *line = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    memset(&v, 0, sizeof(v));
    while (good && fgets(text, sizeof(text), file) != NULL) {
        size_t len = strcspn(text, "\r\n");
        good = text[len] != '\0' || feof(file);
        while (len > 0 && text[len - 1] == ' ')
            len--;
        text[len] = '\0';
        ++*line;
        /* A vector begins with its number. */
        if (strncasecmp(text, "count", 5) == 0) {
            if (v.key.given)
                each(arg, &v);
            memset(&v, 0, sizeof(v));
        }
        good = good && read_line(&v, text);
    }
    if (good && v.key.given)
        each(arg, &v);
    fclose(file);
    return good;
}
