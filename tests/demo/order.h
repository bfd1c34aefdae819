/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_DEMO_ORDER_H
#define KFE_DEMO_ORDER_H

/* The demonstration's records: order number i is always the same record, so that whoever reads
 * it back can check every byte. */

#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

enum { DEMO_HEADERS = 3 };

typedef struct {
    char key[32], value[512];
    size_t key_len, value_len;
    char trace[40];
} demo_order;

void demo_order_make(demo_order *out, uint64_t number);
rd_kafka_headers_t *demo_order_headers(const demo_order *order);

/* 64 bits over key, value and headers with their lengths. The sum over many records does not
 * depend on their order. */
uint64_t demo_order_hash(const void *key, size_t key_len, const void *value, size_t value_len,
                         const rd_kafka_headers_t *headers);

#endif
