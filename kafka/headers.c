/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/headers.h"

#include <string.h>

size_t kfe_headers_count(const rd_kafka_headers_t *list)
{
    return list != NULL ? rd_kafka_header_cnt(list) : 0;
}

void kfe_headers_view(const rd_kafka_headers_t *list, kfe_header *out)
{
    size_t n = kfe_headers_count(list);
    for (size_t i = 0; i < n; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t len = 0;
        rd_kafka_header_get_all(list, i, &name, &value, &len);
        out[i] = (kfe_header){.name = {(const uint8_t *)name, strlen(name)}, .value = {value, len}};
    }
}

kfe_error kfe_headers_add(rd_kafka_headers_t *list, const kfe_header *header)
{
    if (rd_kafka_header_add(list, (const char *)header->name.data, (ssize_t)header->name.len,
                            header->value.data, (ssize_t)header->value.len))
        return kfe_fail(KFE_E_MEMORY, "librdkafka does not take a header");
    return KFE_OK;
}

kfe_error kfe_headers_new(const kfe_header *headers, size_t n, rd_kafka_headers_t **out)
{
    *out = NULL;
    if (n == 0)
        return KFE_OK;
    rd_kafka_headers_t *list = rd_kafka_headers_new(n);
    if (list == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %zu headers", n);
    for (size_t i = 0; i < n; i++) {
        kfe_error err = kfe_headers_add(list, &headers[i]);
        if (err) {
            rd_kafka_headers_destroy(list);
            return err;
        }
    }
    *out = list;
    return KFE_OK;
}
