/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/edit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static kfe_bytes copy(const uint8_t *data, size_t len)
{
    uint8_t *made = malloc(len > 0 ? len : 1);
    fuzz_want(made != NULL, "no memory");
    if (len > 0)
        memcpy(made, data, len);
    return (kfe_bytes){made, len};
}

static kfe_bytes copy_of(kfe_bytes from)
{
    return from.data == NULL ? from : copy(from.data, from.len);
}

static void set(kfe_bytes *part, kfe_bytes to)
{
    free((void *)(uintptr_t)part->data);
    *part = to;
}

void edit_copy(edit_record *out, const kfe_record *from)
{
    memset(out, 0, sizeof(*out));
    out->r = *from;
    out->r.topic = copy_of(from->topic);
    out->r.key = copy_of(from->key);
    out->r.value = copy_of(from->value);
    out->r.headers = out->headers;
    fuzz_want(from->n_headers <= EDIT_HEADERS_MAX, "too many headers to edit");
    for (size_t i = 0; i < from->n_headers; i++) {
        out->headers[i].name = copy_of(from->headers[i].name);
        out->headers[i].value = copy_of(from->headers[i].value);
    }
}

static void drop_header(kfe_header *header)
{
    set(&header->name, (kfe_bytes){NULL, 0});
    set(&header->value, (kfe_bytes){NULL, 0});
}

void edit_drop(edit_record *record)
{
    set(&record->r.topic, (kfe_bytes){NULL, 0});
    set(&record->r.key, (kfe_bytes){NULL, 0});
    set(&record->r.value, (kfe_bytes){NULL, 0});
    for (size_t i = 0; i < record->r.n_headers; i++)
        drop_header(&record->headers[i]);
}

/* Part 0 is the topic, 1 the key, 2 the value, then each header's name and value. */
static kfe_bytes *part_of(kfe_record *r, kfe_header *headers, unsigned number)
{
    number %= (unsigned)(3 + 2 * r->n_headers);
    kfe_bytes *fields[] = {&r->topic, &r->key, &r->value};
    if (number < 3)
        return fields[number];
    kfe_header *header = &headers[(number - 3) / 2];
    return (number - 3) % 2 == 0 ? &header->name : &header->value;
}

static bool may_be_null(const edit_record *record, const kfe_bytes *part)
{
    if (part == &record->r.topic)
        return false;
    for (size_t i = 0; i < record->r.n_headers; i++)
        if (part == &record->headers[i].name)
            return false;
    return true;
}

static void insert_header(edit_record *record, size_t at, const kfe_header *from)
{
    if (record->r.n_headers == EDIT_HEADERS_MAX)
        return;
    kfe_header made = {.name = copy_of(from->name), .value = copy_of(from->value)};
    memmove(&record->headers[at + 1], &record->headers[at],
            (record->r.n_headers - at) * sizeof(*record->headers));
    record->headers[at] = made;
    record->r.n_headers++;
}

static void remove_header(edit_record *record, size_t at)
{
    drop_header(&record->headers[at]);
    record->r.n_headers--;
    memmove(&record->headers[at], &record->headers[at + 1],
            (record->r.n_headers - at) * sizeof(*record->headers));
}

static void swap_headers(edit_record *record, size_t a, size_t b)
{
    kfe_header held = record->headers[a];
    record->headers[a] = record->headers[b];
    record->headers[b] = held;
}

/* Edits of the header list: two places in it. */
static void edit_headers(edit_record *record, const kfe_record *other, unsigned operation,
                         const unsigned place[2])
{
    size_t n = record->r.n_headers;
    static const kfe_header added = {.name = {(const uint8_t *)"added", 5},
                                     .value = {(const uint8_t *)"x", 1}};
    if (operation == 8)
        insert_header(record, place[1] % (n + 1), &added);
    else if (operation == 9 && other->n_headers > 0)
        insert_header(record, place[1] % (n + 1), &other->headers[place[0] % other->n_headers]);
    else if (n == 0)
        return;
    else if (operation == 10)
        insert_header(record, place[1] % (n + 1), &record->headers[place[0] % n]);
    else if (operation == 11)
        remove_header(record, place[0] % n);
    else if (operation == 12)
        swap_headers(record, place[0] % n, place[1] % n);
}

static kfe_bytes longer_by(kfe_bytes from, uint8_t byte)
{
    uint8_t *made = malloc(from.len + 1);
    fuzz_want(made != NULL, "no memory");
    if (from.len > 0)
        memcpy(made, from.data, from.len);
    made[from.len] = byte;
    return (kfe_bytes){made, from.len + 1};
}

/* Edits of one part's bytes. */
static void edit_part(edit_record *record, kfe_bytes *part, unsigned operation, unsigned arg)
{
    kfe_bytes made = copy_of(*part);
    uint8_t *bytes = (uint8_t *)(uintptr_t)made.data;
    size_t at = made.len > 0 ? (arg >> 8 | (arg & 0x80) << 1) % made.len : 0;
    if (operation == 1 && made.len > 0) {
        bytes[at] ^= (uint8_t)(1u << (arg & 7));
    } else if (operation == 2 && made.len > 0) {
        bytes[at] = (uint8_t)arg;
    } else if (operation == 3 && made.len > 0) {
        set(&made, copy(bytes, at));
    } else if (operation == 4 && made.len < EDIT_FIELD_MAX) {
        set(&made, longer_by(made, (uint8_t)arg));
    } else if (operation == 5 && may_be_null(record, part)) {
        set(&made, (kfe_bytes){NULL, 0});
    } else if (operation == 6) {
        set(&made, copy(NULL, 0));
    }
    set(part, made);
}

void edit_all(edit_record *record, const kfe_record *other, const uint8_t *data, size_t size)
{
    edit_record source;
    edit_copy(&source, other);
    for (; size >= 4; data += 4, size -= 4) {
        unsigned operation = data[0] & 15, arg = (unsigned)data[2] << 8 | data[3];
        kfe_bytes *part = part_of(&record->r, record->headers, data[1]);
        const unsigned places[2] = {data[1], arg};
        if (operation == 7) {
            const kfe_bytes *from = part_of(&source.r, source.headers, arg);
            if (from->data != NULL || may_be_null(record, part))
                set(part, copy_of(*from));
        } else if (operation == 15) {
            set(part, copy(data + 4, size - 4));
            break;
        } else if (operation >= 8) {
            edit_headers(record, other, operation, places);
        } else {
            edit_part(record, part, operation, arg);
        }
    }
    edit_drop(&source);
}
