/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <cjson/cJSON.h>

#include <kfe/config.h>

#include "kafka/cmd_bytes.h"
#include "kafka/cmd_record.h"

static kfe_error malformed(const char *what)
{
    return kfe_fail(KFE_E_ARGUMENT, "%s", what);
}

/* cJSON keeps text as C strings, so \u0000 would silently cut what it stands in. */
static bool has_escaped_nul(const char *line, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (line[i] != '\\')
            continue;
        i++;
        if (line[i] == 'u' && len - i > 4 && memcmp(line + i + 1, "0000", 4) == 0)
            return true;
    }
    return false;
}

/* Notes each string's length, in a place that only numbers use: decoded bytes do not show it. */
static void measure_strings(cJSON *json)
{
    for (cJSON *item = json; item != NULL; item = item->next) {
        if (cJSON_IsString(item))
            item->valueint = (int)strlen(item->valuestring);
        measure_strings(item->child);
    }
}

/* Names too: a line that is no record at all may have data there. */
static void wipe_strings(cJSON *json)
{
    for (cJSON *item = json; item != NULL; item = item->next) {
        if (cJSON_IsString(item))
            kfe_wipe(item->valuestring, (size_t)item->valueint);
        if (item->string != NULL)
            kfe_wipe(item->string, strlen(item->string));
        wipe_strings(item->child);
    }
}

static void free_headers(rd_kafka_headers_t *headers)
{
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++) {
        if (value != NULL)
            kfe_wipe((void *)(uintptr_t)value, len);
    }
    rd_kafka_headers_destroy(headers);
}

static kfe_error parse_line(cJSON **out, const char *line, size_t len)
{
    if (memchr(line, '\0', len) != NULL || !kfe_cmd_is_utf8(line, len))
        return malformed("the line is not UTF-8 text");
    if (has_escaped_nul(line, len))
        return malformed("\\u0000 in a string: give such bytes as {\"base64\":\"...\"}");
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(line, len + 1, &end, 1);
    if (root == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "no JSON from column %zu on",
                        end != NULL && end >= line ? (size_t)(end - line) + 1 : 1);
    measure_strings(root);
    *out = root;
    return KFE_OK;
}

/* Reads BYTES; base64 is decoded in place, in the tree's own memory. */
static kfe_error read_bytes(kfe_bytes *out, const cJSON *item, const char *what)
{
    out->data = NULL;
    out->len = 0;
    if (cJSON_IsNull(item))
        return KFE_OK;
    bool base64 = cJSON_IsObject(item);
    const cJSON *text = base64 ? item->child : item;
    if (base64 && (text == NULL || text->next != NULL || strcmp(text->string, "base64") != 0))
        text = NULL;
    if (text == NULL || !cJSON_IsString(text))
        return kfe_fail(KFE_E_ARGUMENT, "%s is no string, {\"base64\":\"...\"} or null", what);
    size_t len = strlen(text->valuestring);
    if (base64 && !kfe_cmd_base64_decode(text->valuestring, &len))
        return kfe_fail(KFE_E_ARGUMENT, "the base64 of %s is malformed", what);
    out->data = (const uint8_t *)text->valuestring;
    out->len = len;
    return KFE_OK;
}

static kfe_error add_header(rd_kafka_headers_t *headers, const cJSON *pair)
{
    if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2)
        return malformed("a header is no [name, value] pair");
    kfe_bytes name, value;
    kfe_error err = read_bytes(&name, pair->child, "a header's name");
    if (!err)
        err = read_bytes(&value, pair->child->next, "a header's value");
    if (err)
        return err;
    if (name.data == NULL)
        return malformed("a header's name is null");
    /* librdkafka hands names out as C strings: what stands behind a NUL would be lost. */
    if (memchr(name.data, '\0', name.len) != NULL)
        return malformed("a header's name holds a zero byte");
    if (name.len > INT32_MAX || value.len > INT32_MAX ||
        rd_kafka_header_add(headers, (const char *)name.data, (ssize_t)name.len, value.data,
                            (ssize_t)value.len) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return malformed("a header cannot be added");
    return KFE_OK;
}

static kfe_error read_headers(kfe_cmd_record *out, const cJSON *list)
{
    if (!cJSON_IsArray(list))
        return malformed("headers are no array of [name, value] pairs");
    if (list->child == NULL)
        return KFE_OK;
    out->headers = rd_kafka_headers_new((size_t)cJSON_GetArraySize(list));
    const cJSON *pair;
    cJSON_ArrayForEach(pair, list)
    {
        kfe_error err = add_header(out->headers, pair);
        if (err)
            return err;
    }
    return KFE_OK;
}

enum { SEEN_KEY = 1, SEEN_VALUE = 2, SEEN_HEADERS = 4 };

static kfe_error read_member(kfe_cmd_record *out, const cJSON *member, unsigned *seen, int place)
{
    unsigned bit = strcmp(member->string, "key") == 0       ? SEEN_KEY
                   : strcmp(member->string, "value") == 0   ? SEEN_VALUE
                   : strcmp(member->string, "headers") == 0 ? SEEN_HEADERS
                                                            : 0;
    /* The name itself may be data, when the line is no record at all. */
    if (bit == 0)
        return kfe_fail(KFE_E_ARGUMENT, "member %d is neither key, value nor headers", place);
    if (*seen & bit)
        return kfe_fail(KFE_E_ARGUMENT, "%s stands there twice", member->string);
    *seen |= bit;
    if (bit == SEEN_HEADERS)
        return read_headers(out, member);
    return read_bytes(bit == SEEN_KEY ? &out->key : &out->value, member, member->string);
}

kfe_error kfe_cmd_record_init(kfe_cmd_record *out, const char *line, size_t len)
{
    memset(out, 0, sizeof(*out));
    cJSON *root = NULL;
    kfe_error err = parse_line(&root, line, len);
    if (err)
        return err;
    out->memory = root;
    if (!cJSON_IsObject(root))
        err = malformed("the line is no JSON object");
    unsigned seen = 0;
    int place = 1;
    for (const cJSON *m = root->child; !err && m != NULL; m = m->next)
        err = read_member(out, m, &seen, place++);
    if (err)
        kfe_cmd_record_wipe(out);
    return err;
}

void kfe_cmd_record_wipe(kfe_cmd_record *record)
{
    if (record->headers != NULL)
        free_headers(record->headers);
    wipe_strings(record->memory);
    cJSON_Delete(record->memory);
    memset(record, 0, sizeof(*record));
}
