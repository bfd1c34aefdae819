/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_RECORD_H
#define KFE_RECORD_H

/* A Kafka record as views on somebody else's memory. */

#include <kfe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A view. `data` NULL is null; `data` set and `len` 0 is empty. The two differ
 * everywhere: a null value is a tombstone. */
typedef struct {
    const uint8_t *data;
    size_t len;
} kfe_bytes;

enum {
    KFE_NAME_MAX = 255,     /* bytes of a key's name */
    KFE_HEADERS_MAX = 1024, /* headers of a sealed record, `kfe` ones not counted */
    KFE_GROUPS_MAX = 16,    /* different keys in one record */
    KFE_LEN_MAX = 1 << 30,  /* bytes of one field */
};

/* KIP-317's KeyReference. `name`: UTF-8 without control characters, 1..255 bytes and
 * a NUL. `version`: 1 and up; 0 is "the current one". */
typedef struct {
    const char *name;
    uint32_t version;
} kfe_key_ref;

/* What kfe_open() can say of a field. */
typedef enum {
    KFE_FIELD_CLEAR = 0,  /* no group covers it: nobody vouches for it (but see the key's rule) */
    KFE_FIELD_OPENED = 1, /* authentic */
    KFE_FIELD_SEALED = 2, /* encryption.consumer.partial: its key is not at hand, bytes as stored */
} kfe_field_status;

typedef struct {
    kfe_bytes name, value;
    const kfe_key_ref *key_ref; /* sealing: this key for this header; NULL: the record's choice */
    kfe_field_status status;    /* written by kfe_open() */
} kfe_header;

/* `topic`, names and values are views. A clear or deterministic key is authenticated by
 * every group all the same, as the bytes that are stored. */
typedef struct {
    kfe_bytes topic, key, value;
    const kfe_header *headers;
    size_t n_headers;
    int32_t partition; /* for KeyManagers; -1: not known */
    const kfe_key_ref
        *key_ref; /* sealing: KIP-317's explicit KeyReference; wins over the KeyManager */
    kfe_field_status key_status, value_status; /* written by kfe_open() */
    kfe_error error;                           /* written: the result of this record alone */
} kfe_record;

#ifdef __cplusplus
}
#endif
#endif
