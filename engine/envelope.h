/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_ENVELOPE_H
#define KFE_ENGINE_ENVELOPE_H

/* The bytes of one `kfe` header (docs/format.md), and nothing else: no keys, no record.
 *
 *   version suite states group | map | name version | deterministic | session | commitment
 *   counter |<- metadata ends |  tags */

#include <kfe/keys.h>
#include <kfe/kfe.h>

enum {
    KFE_FORMAT = 1,
    KFE_TAG_LEN = 16,
    KFE_SALT_LEN = 16,
    KFE_COMMIT_LEN = 16,
    KFE_COUNTER_LEN = 6,
    KFE_SIV_GROWTH = 17, /* bytes that a deterministic key grows by */
    KFE_IV_MAX = 16,     /* before a tag of session kind 2 */
    KFE_META_MAX = 4 + 2 + KFE_HEADERS_MAX / 8 + 2 * (2 + KFE_NAME_MAX + 5) + 2 +
                   KFE_KEY_WRAPPED_MAX + KFE_COMMIT_LEN +
                   KFE_COUNTER_LEN, /* of the envelopes that we write */
};

typedef enum { KFE_A256GCM = 1, KFE_A128GCM = 2, KFE_C20P1305 = 3 } kfe_suite;

typedef struct {
    uint8_t suite;
    kfe_key_cover key;
    kfe_value_cover value;
    kfe_session_kind kind;
    bool record_scope;
    unsigned group, n_groups;
    uint32_t n_headers;
    const uint8_t *map; /* (n_headers + 7) / 8 bytes */
    kfe_bytes name;
    uint32_t version;
    kfe_bytes det_name; /* what the deterministic reference names, also where the wire says "own" */
    uint32_t det_version;
    kfe_bytes session;         /* salt (kinds 0 and 2) or wrapped secret */
    unsigned iv_len;           /* kind 2; else 0 */
    const uint8_t *commitment; /* NULL: none */
    uint64_t counter;
    kfe_bytes metadata; /* read: from the first byte up to the tags */
    const uint8_t *tags;
    uint32_t n_tags;
} kfe_envelope;

/* KFE_E_AUTH for everything malformed, with its own detail. Views into `header`. Checks the bytes
 * alone: whether they fit a record is the opener's business. */
kfe_error kfe_envelope_read(kfe_bytes header, kfe_envelope *out);

/* Writes the metadata; returns its end. At most KFE_META_MAX bytes. */
uint8_t *kfe_envelope_write(uint8_t *at, const kfe_envelope *envelope);

/* True for a wrapped secret of known form and right length: at least one byte is there. */
bool kfe_wrapped_ok(kfe_bytes wrapped);

/* Fields under a tag of their own in field scope; 0: only the empty group's tag. */
uint32_t kfe_envelope_fields(const kfe_envelope *envelope);

/* Bytes of a tag, with the IV before it where there is one. */
static inline unsigned kfe_tag_room(const kfe_envelope *e)
{
    return e->iv_len + KFE_TAG_LEN;
}

static inline bool kfe_covers_header(const kfe_envelope *e, uint32_t i)
{
    return i < e->n_headers && (e->map[i / 8] >> (i % 8) & 1) != 0;
}

/* "A256GCM"; NULL for an id that is none. */
const char *kfe_suite_name(unsigned suite);
/* 0 for a name that is none. */
uint8_t kfe_suite_of_name(kfe_bytes name);

/* 1..255 bytes of UTF-8 without control characters. */
bool kfe_key_name_ok(kfe_bytes name);

/* True for the name of envelope headers. */
static inline bool kfe_is_envelope(kfe_bytes name)
{
    return name.len == 3 && name.data[0] == 'k' && name.data[1] == 'f' && name.data[2] == 'e';
}

#endif
