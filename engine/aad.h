/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_AAD_H
#define KFE_ENGINE_AAD_H

/* What every tag binds (docs/format.md): AAD = P || D, and the nonce.
 * P is one for all groups of a record and a multiple of 16 long, so that its GHASH state can be
 * shared by the record's fields. D is the field's own. */

#include <endian.h>
#include <string.h>

#include "engine/envelope.h"

/* Ordinals of what is no header; header i has 2 + i. */
enum {
    KFE_ORD_KEY = 0,
    KFE_ORD_VALUE = 1,
    KFE_ORD_HEADER = 2,
    KFE_ORD_EMPTY = 65534,
    KFE_ORD_RECORD = 65535
};

/* First byte of D. */
enum {
    KFE_D_KEY = 0,
    KFE_D_VALUE = 1,
    KFE_D_HEADER = 2,
    KFE_D_NULL_HEADER = 3,
    KFE_D_EMPTY = 0xfe,
    KFE_D_RECORD = 0xff
};

/* How the record's key enters P. */
typedef struct {
    bool sealed;     /* a group seals it: not bound by its bytes */
    kfe_bytes bytes; /* else: as stored; data NULL: null */
} kfe_aad_key;

/* Bytes of the label in P, and of the key there, padding not counted. */
size_t kfe_aad_label_len(kfe_bytes label);
size_t kfe_aad_key_len(kfe_aad_key key);
/* Write what follows the metadata in P: the label; then the key, and zeros until what began at
 * `start` is a multiple of 16 long. Return their end. */
uint8_t *kfe_aad_put_label(uint8_t *at, kfe_bytes label);
uint8_t *kfe_aad_put_key(uint8_t *start, uint8_t *at, kfe_aad_key key);

/* D of one field: at most KFE_D_MAX_FIELD + name bytes. Returns its end. */
enum { KFE_D_MAX_FIELD = 8 };
uint8_t *kfe_aad_field(uint8_t *at, uint8_t kind, uint16_t ordinal, kfe_bytes name);

/* D of record scope is built of a head and one part per field, in order. */
enum { KFE_D_MAX_HEAD = 6, KFE_D_MAX_PART = 13 };
uint8_t *kfe_aad_record_head(uint8_t *at, uint32_t count);
uint8_t *kfe_aad_record_part(uint8_t *at, uint8_t kind, uint16_t ordinal, uint32_t len,
                             kfe_bytes name);

/* The nonce: u32(0) || 48-bit counter || u16 ordinal, in a slot of 16 bytes whose end is zero. All
 * nonces of an envelope begin alike. */
static inline void kfe_nonce_begin(uint64_t out[2], uint64_t counter)
{
    out[0] = htobe64(counter >> 16);
    out[1] = htobe64(counter << 48);
}

static inline uint64_t kfe_nonce_end(uint16_t ordinal)
{
    return htobe64((uint64_t)ordinal << 32);
}

static inline void kfe_nonce_put(uint8_t slot[16], const uint64_t begin[2], uint64_t end)
{
    uint64_t words[2] = {begin[0], begin[1] | end};
    memcpy(slot, words, sizeof(words));
}

#endif
