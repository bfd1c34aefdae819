/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_PLAN_H
#define KFE_ENGINE_PLAN_H

/* What is to be done with records of one form: same topic, same header names in the same order, the
 * same fields null, and, opening, envelopes that differ in counter and tags alone. Decided for the
 * first of them by policy.c (sealing) or accept.c (opening); the others of a call are only compared
 * (fit.c), and all are laid out by it (layout.c). */

#include <string.h>

#include "engine/aad.h"
#include "engine/work.h"

/* A field that a group covers. */
typedef struct {
    uint16_t ordinal;
    uint8_t kind;    /* KFE_D_* */
    uint32_t offset; /* bytes to its view, from the record on, or from the first header on */
    uint64_t nonce_end;
    const uint8_t *d; /* field scope: its own AAD */
    uint32_t d_len;
    uint32_t len;    /* record scope: in the last record */
    kfe_aead_op *op; /* the message of the call's first record: those of the others follow */
    uint8_t (*nonce)[16];
    kfe_bytes name; /* of a header */
} kfe_field;

typedef struct {
    kfe_envelope env;     /* of the first record; counter and tags are each record's own */
    kfe_key_ref ref;      /* sealing: the key that was chosen */
    size_t in_use;        /* index of its session in the work */
    kfe_field *fields;    /* in the order of the format: key, value, headers */
    uint32_t n_in_record; /* fields that are no headers: they come first */
    uint32_t n_fields;    /* 0: its one tag is over nothing */
    uint32_t n_tags;
    bool skipped;         /* partial opening: its key is not at hand */
    uint32_t meta_at;     /* where its metadata stand in the plan's P */
    uint32_t meta_len;    /* the last 6 bytes of them are the counter */
    kfe_bytes d;          /* record scope: the last record's D, for this call; or NULL */
    uint8_t (*state)[16]; /* GHASH of P's constant blocks under its key, for this call */
} kfe_group;

/* Of a header. */
typedef struct {
    kfe_bytes name;
    size_t most; /* bytes that its value may have */
    bool has;    /* that is not null */
} kfe_form;

typedef struct kfe_plan {
    struct kfe_plan *older;
    size_t uses;                /* records of this call */
    size_t laid;                /* of these, laid out */
    size_t first_prefix;        /* of the first of them; each record has one a group */
    const kfe_backend *backend; /* of its messages, once bound */
    bool mixed;                 /* they have more than one */
    bool bound;
    bool direct; /* opening: keys in a token open fields of it */
    bool listed; /* its topic is listed in encryption.unencrypted.topics */
    bool once;   /* more than the form decided: fits the one record */
    unsigned n_groups;
    kfe_group *groups;
    size_t det; /* 1 + index of a deterministic key's session in the work; 0: none */

    /* The form. */
    kfe_bytes topic;
    bool has_key, has_value;
    kfe_key_ref key_ref;       /* the record's own; name NULL: none */
    uint32_t n_headers;        /* `kfe` ones, and added ones that are dropped, not counted */
    size_t in_headers;         /* opening: all that the record comes with */
    kfe_form *form;            /* of each header */
    const kfe_header *last;    /* of the last record of this call that fitted; NULL: none yet */
    const kfe_header *headers; /* of the first record, while it is decided */

    /* P: metadata of all groups, label, K. What differs between records, counters and perhaps K, is
     * put in for each. */
    kfe_bytes label;
    kfe_aad_key k; /* `bytes` are each record's own */
    uint8_t *p;
    uint32_t p_len;          /* without K when that differs */
    uint32_t p_fixed;        /* leading bytes that are the same for all: a multiple of 16 */
    uint32_t p_done;         /* of these, what the groups' states took in for this call */
    struct kfe_steps *steps; /* for this call, absorb.c's own; or NULL */
    bool k_varies;           /* the key is neither sealed nor null: bound by its bytes */
    bool p_own;              /* each record needs bytes of its own */

    /* Opening: what becomes of the fields. */
    kfe_field_status key_status, value_status;
    kfe_header *says; /* each header's status, without name and value */
} kfe_plan;

/* A record of the call. */
typedef struct {
    kfe_plan *plan; /* NULL: failed, or passed on in clear */
    kfe_bytes laid; /* of the space, written for it */
    uint8_t **text; /* record scope, in place: each group's fields in a row, where they were not */
} kfe_item;

static inline bool kfe_names_equal(kfe_bytes a, kfe_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The view of a field; `headers` are those that ordinals count. */
static inline const kfe_bytes *kfe_view(const kfe_record *record, const kfe_header *headers,
                                        const kfe_field *f)
{
    const void *from = f->ordinal < KFE_ORD_HEADER ? (const void *)record : headers;
    return (const kfe_bytes *)((const char *)from + f->offset);
}

/* Bytes of a group's fields together. */
static inline uint64_t kfe_group_len(const kfe_group *group, const kfe_record *record,
                                     const kfe_header *headers)
{
    uint64_t len = 0;
    const kfe_field *f = group->fields, *end = f + group->n_fields;
    for (const kfe_field *stop = f + group->n_in_record; f < stop; f++)
        len += ((const kfe_bytes *)((const char *)record + f->offset))->len;
    for (; f < end; f++)
        len += ((const kfe_bytes *)((const char *)headers + f->offset))->len;
    return len;
}

/* An empty plan in the work's memory, with the form's topic and headers (of which the first `skip`
 * are envelopes); NULL: out of memory. */
kfe_plan *kfe_plan_new(kfe_work *work, const kfe_record *in, uint32_t skip);

/* Puts a plan that is complete in front of the work's others. */
void kfe_plan_add(kfe_work *work, kfe_plan *plan);

/* True when a header that no group covers bears the name of one that is covered. */
bool kfe_plan_names_clash(const kfe_plan *plan);

/* Lists the fields of every group, from its envelope. */
kfe_error kfe_plan_list(kfe_plan *plan, kfe_work *work);

/* True when a record has the form of the plan and passes what was checked of the first one. */
bool kfe_fits_sealing(const kfe_plan *plan, const kfe_record *in);
bool kfe_fits_opening(const kfe_plan *plan, const kfe_record *in);

/* Builds P from the label and the metadata of all groups. */
kfe_error kfe_plan_prefix(kfe_plan *plan, kfe_work *work);
/* Builds every D, once sessions are settled. */
kfe_error kfe_plan_bind(kfe_plan *plan, kfe_work *work);

#endif
