/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_RECORD_H
#define KFE_CMD_RECORD_H

/* A record read from a JSON line:
 *
 *     {"key": BYTES, "value": BYTES, "headers": [[BYTES, BYTES], ...]}
 *
 * BYTES is a string (its UTF-8), {"base64": "..."} or null. A member that is left out is null,
 * headers that are left out are none. A header's name cannot be null. */

#include <kfe/record.h>
#include <librdkafka/rdkafka.h>

typedef struct {
    kfe_bytes key, value;        /* views; data NULL is null */
    rd_kafka_headers_t *headers; /* owned; NULL: none */
    void *memory;                /* owned: what the views look at */
} kfe_cmd_record;

/* `line` has `len` bytes and a NUL behind them. KFE_E_ARGUMENT: the detail tells what is wrong
 * and quotes none of the line; `out` is zero then. */
kfe_error kfe_cmd_record_init(kfe_cmd_record *out, const char *line, size_t len);
/* Zeroes what was read of the line, also of one that was refused; and the values of headers, which
 * whoever takes them sets to NULL here. */
void kfe_cmd_record_wipe(kfe_cmd_record *record);

#endif
