/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_PLAN_H
#define KFE_ENGINE_PLAN_H

/* What is to be done with one record: its groups, where each field's bytes come from and go to.
 * Made by policy.c when sealing and by accept.c when opening; from there on both ways are the same.
 */

#include <string.h>

#include "engine/aad.h"
#include "engine/work.h"

typedef struct {
    kfe_envelope env;
    kfe_key_ref ref;   /* sealing: the key that was chosen */
    size_t in_use;     /* index of its session in the work */
    kfe_prefix prefix; /* the record's P under this group's key */
    uint8_t *tags;     /* where they are written, or read */
    uint32_t n_fields; /* as kfe_envelope_fields() counts */
    uint64_t len;      /* of these fields together */
    uint8_t *text;     /* record scope: all of them in a row */
    bool skipped;      /* partial opening: its key is not at hand */
} kfe_group;

typedef struct {
    uint32_t index; /* of the record in the batch */
    bool ready;     /* false: failed, or stays in clear */
    bool listed;    /* its topic is listed in encryption.unencrypted.topics */
    unsigned n_groups;
    kfe_group *groups;
    kfe_bytes key, value; /* the source: plaintext or as stored */
    const kfe_header *headers;
    uint32_t n_headers;
    uint8_t *key_out, *value_out, **header_out; /* the destination of sealed fields */
    size_t det;        /* 1 + index of a deterministic key's session in the work; 0: none */
    kfe_bytes det_key; /* its result: as stored, or opened */
    kfe_aad_key aad_key;
    kfe_bytes label;
} kfe_plan;

/* A walk over a group's fields in the order of the format: key, value, headers. */
typedef struct {
    const kfe_plan *plan;
    const kfe_group *group;
    uint32_t next;
    /* The field at hand: */
    uint16_t ordinal;
    uint8_t kind; /* KFE_D_* */
    kfe_bytes in, name;
    uint8_t *out;
} kfe_walk;

bool kfe_walk_next(kfe_walk *walk); /* starts zeroed but for plan and group */

static inline bool kfe_names_equal(kfe_bytes a, kfe_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* True when a header that no group covers bears the name of one that is covered. */
bool kfe_plan_names_clash(const kfe_plan *plan);

/* Sets n_fields and len of every group. KFE_E_RECORD: fields of one tag longer than the cipher
 * takes. */
kfe_error kfe_plan_measure(kfe_plan *plan);
/* Announces the messages of a plan's groups. */
void kfe_plan_announce(const kfe_plan *plan, kfe_work *work);

/* Gives every sealed field a destination: its own source with `in_place`, else the space from *at
 * on, fields of one tag in a row. */
kfe_error kfe_plan_place(kfe_plan *plan, kfe_work *work, uint8_t **at, bool in_place);

/* Builds P and puts the messages of all groups that are not skipped into the batch. */
kfe_error kfe_plan_emit(kfe_plan *plan, kfe_work *work);

/* After the backend: copies record scope's text to the fields where it was gathered elsewhere. */
void kfe_plan_scatter(const kfe_plan *plan, bool in_place);
/* A field after all: where it went, or its source when it went nowhere. */
static inline kfe_bytes kfe_plan_result(kfe_bytes in, const uint8_t *out)
{
    return out == NULL || in.data == NULL ? in : (kfe_bytes){out, in.len};
}
/* Zeroes all destinations of a plan that failed. */
void kfe_plan_blank(const kfe_plan *plan);

#endif
