/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mutations.h"

#include <stdlib.h>
#include <string.h>

void mut_replace(kfe_bytes *bytes, kfe_bytes with)
{
    uint8_t *copy = NULL;
    if (with.data != NULL) {
        copy = malloc(with.len > 0 ? with.len : 1);
        assert_non_null(copy);
        if (with.len > 0)
            memcpy(copy, with.data, with.len);
    }
    free(mut_bytes(*bytes));
    *bytes = (kfe_bytes){copy, with.len};
}

void mut_splice(kfe_bytes *bytes, size_t at, size_t remove, const void *with, size_t len)
{
    size_t size = bytes->len - remove + len;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes->data, at);
    if (len > 0)
        memcpy(copy + at, with, len);
    memcpy(copy + at + len, bytes->data + at + remove, bytes->len - at - remove);
    free(mut_bytes(*bytes));
    *bytes = (kfe_bytes){copy, size};
}

void mut_remove_header(kfe_record *r, size_t i)
{
    free(mut_bytes(r->headers[i].name));
    free(mut_bytes(r->headers[i].value));
    memmove(mut_header(r, i), &r->headers[i + 1], (r->n_headers - i - 1) * sizeof(kfe_header));
    r->n_headers--;
}

void mut_insert_header(kfe_record *r, size_t i, const char *name, const char *value)
{
    kfe_header *headers = calloc(r->n_headers + 1, sizeof(*headers));
    assert_non_null(headers);
    memcpy(headers, r->headers, i * sizeof(*headers));
    memcpy(headers + i + 1, r->headers + i, (r->n_headers - i) * sizeof(*headers));
    mut_replace(&headers[i].name, kit_text(name));
    mut_replace(&headers[i].value, kit_text(value));
    free((void *)(uintptr_t)r->headers);
    r->headers = headers;
    r->n_headers++;
}

bool mut_flip(kfe_bytes bytes)
{
    if (bytes.len == 0)
        return false;
    mut_bytes(bytes)[kit_below((uint32_t)bytes.len)] ^= (uint8_t)(1u << kit_below(8));
    return true;
}
