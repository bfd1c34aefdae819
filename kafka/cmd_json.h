/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_JSON_H
#define KFE_CMD_JSON_H

/* Writes JSON. Errors stay with the stream: look at ferror() when it is flushed. */

#include <stdio.h>

#include <librdkafka/rdkafka.h>

/* A quoted string. `text` is UTF-8; control characters are escaped, also those that only a
 * terminal minds (U+007F to U+009F). */
void kfe_cmd_json_string(FILE *out, const char *text);

/* A string for well-formed UTF-8 without NUL, else {"base64":"..."}; null for NULL. */
void kfe_cmd_json_bytes(FILE *out, const void *data, size_t len);

/* The members "key":..., "value":..., "headers":[...] of a message, without braces. */
void kfe_cmd_json_fields(FILE *out, const rd_kafka_message_t *message);

/* The members "partition":..., "offset":..., "timestamp":... (ms, or null), without braces. */
void kfe_cmd_json_place(FILE *out, const rd_kafka_message_t *message);

#endif
