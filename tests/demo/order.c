/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/demo/order.h"

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void demo_order_make(demo_order *out, uint64_t number)
{
    uint64_t a = mix(number), b = mix(a);
    int key = snprintf(out->key, sizeof(out->key), "customer-%07" PRIu64, a % 5000000);
    int value = snprintf(
        out->value, sizeof(out->value),
        "{\"order\":%" PRIu64 ",\"customer\":{\"name\":\"Ada Lovelace\",\"email\":\"ada.%" PRIu64
        "@example.org\",\"card\":\"4000 %04" PRIu64 " %04" PRIu64 " %04" PRIu64
        "\"},\"items\":[{\"sku\":\"AE-%06" PRIu64 "\",\"count\":%" PRIu64
        "},{\"sku\":\"BX-%06" PRIu64 "\",\"count\":1}],\"total\":\"%" PRIu64 ".%02" PRIu64
        "\",\"currency\":\"EUR\",\"ship_to\":\"12 St James's Square, London\",\"note\":\"leave "
        "with the neighbour\"}",
        number, a % 100000, a % 10000, b % 10000, (a >> 20) % 10000, (b >> 20) % 1000000, 1 + a % 9,
        (a >> 30) % 1000000, b % 1000, (b >> 10) % 100);
    out->key_len = (size_t)key;
    out->value_len = (size_t)value;
    snprintf(out->trace, sizeof(out->trace), "%016" PRIx64 "%016" PRIx64, a, b);
}

rd_kafka_headers_t *demo_order_headers(const demo_order *order)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(DEMO_HEADERS);
    rd_kafka_header_add(headers, "type", -1, "order.created", -1);
    rd_kafka_header_add(headers, "trace", -1, order->trace, -1);
    rd_kafka_header_add(headers, "tenant", -1, "acme", -1);
    return headers;
}

/* FNV-1a. */
static uint64_t add(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    uint64_t mark = data != NULL ? len : UINT64_MAX;
    return mix(hash ^ mark);
}

uint64_t demo_order_hash(const void *key, size_t key_len, const void *value, size_t value_len,
                         const rd_kafka_headers_t *headers)
{
    uint64_t hash = add(add(0xcbf29ce484222325u, key, key_len), value, value_len);
    const char *name;
    const void *data;
    size_t len;
    for (size_t i = 0; headers != NULL && rd_kafka_header_get_all(headers, i, &name, &data, &len) ==
                                              RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        hash = add(add(hash, name, strlen(name)), data, len);
    return hash;
}
