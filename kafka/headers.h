/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_HEADERS_H
#define KFE_KAFKA_HEADERS_H

/* rd_kafka_headers_t <-> kfe_header. librdkafka gives names as C strings. */

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include <kfe/record.h>

/* 0 for NULL. */
size_t kfe_headers_count(const rd_kafka_headers_t *list);

/* Views of all headers of `list` (NULL: none), valid until the list changes; `out` has room for
 * kfe_headers_count(). */
void kfe_headers_view(const rd_kafka_headers_t *list, kfe_header *out);

/* Adds a copy. KFE_E_MEMORY. */
kfe_error kfe_headers_add(rd_kafka_headers_t *list, const kfe_header *header);

/* A list of copies of them; NULL for n = 0. KFE_E_MEMORY. */
kfe_error kfe_headers_new(const kfe_header *headers, size_t n, rd_kafka_headers_t **out);

/* True for the name of envelope headers. */
static inline bool kfe_headers_is_kfe(kfe_bytes name)
{
    return name.len == 3 && name.data[0] == 'k' && name.data[1] == 'f' && name.data[2] == 'e';
}

#endif
