/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "kafka/cmd_bytes.h"
#include "kafka/cmd_json.h"

static void write_escape(FILE *out, unsigned code)
{
    switch (code) {
    case '\n':
        fputs("\\n", out);
        return;
    case '\r':
        fputs("\\r", out);
        return;
    case '\t':
        fputs("\\t", out);
        return;
    default:
        fprintf(out, "\\u%04x", code);
    }
}

static void write_text(FILE *out, const uint8_t *p, size_t len)
{
    putc_unlocked('"', out);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = p[i];
        if (c == '"' || c == '\\') {
            putc_unlocked('\\', out);
            putc_unlocked(c, out);
        } else if (c < 0x20 || c == 0x7f) {
            write_escape(out, c);
        } else if (c == 0xc2 && i + 1 < len && p[i + 1] < 0xa0) {
            /* U+0080 to U+009F: a terminal may take them for commands. */
            write_escape(out, p[++i]);
        } else {
            putc_unlocked(c, out);
        }
    }
    putc_unlocked('"', out);
}

void kfe_cmd_json_string(FILE *out, const char *text)
{
    write_text(out, (const uint8_t *)text, strlen(text));
}

static void write_base64(FILE *out, const uint8_t *p, size_t len)
{
    fputs("{\"base64\":\"", out);
    for (size_t i = 0; i < len; i += 3) {
        char quad[4];
        kfe_cmd_base64_encode(p + i, len - i, quad);
        fwrite(quad, 1, sizeof(quad), out);
    }
    fputs("\"}", out);
}

void kfe_cmd_json_bytes(FILE *out, const void *data, size_t len)
{
    if (data == NULL)
        fputs("null", out);
    else if (memchr(data, '\0', len) == NULL && kfe_cmd_is_utf8(data, len))
        write_text(out, data, len);
    else
        write_base64(out, data, len);
}

void kfe_cmd_json_fields(FILE *out, const rd_kafka_message_t *message)
{
    fputs("\"key\":", out);
    kfe_cmd_json_bytes(out, message->key, message->key_len);
    fputs(",\"value\":", out);
    kfe_cmd_json_bytes(out, message->payload, message->len);
    fputs(",\"headers\":[", out);
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *name;
        const void *value;
        size_t len;
        for (size_t i = 0;
             rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
             i++) {
            fputs(i > 0 ? ",[" : "[", out);
            kfe_cmd_json_bytes(out, name, strlen(name));
            putc_unlocked(',', out);
            kfe_cmd_json_bytes(out, value, len);
            putc_unlocked(']', out);
        }
    }
    putc_unlocked(']', out);
}

void kfe_cmd_json_place(FILE *out, const rd_kafka_message_t *message)
{
    fprintf(out, "\"partition\":%" PRId32 ",\"offset\":%" PRId64, message->partition,
            message->offset);
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms < 0)
        fputs(",\"timestamp\":null", out);
    else
        fprintf(out, ",\"timestamp\":%" PRId64, ms);
}
