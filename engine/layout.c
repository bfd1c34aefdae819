/* SPDX-License-Identifier: Apache-2.0 */
/* Lays one record out by its plan: where every field's bytes come from and go to, its P, nonces and
 * messages. The same both ways, but that sealing writes envelopes and opening reads them. */
#include "engine/layout.h"

#include "engine/absorb.h"
#include "engine/secret.h"
#include "engine/wire.h"

/* One record on its way. */
typedef struct {
    const kfe_job *j;
    const kfe_plan *plan;
    kfe_item *item;
    uint32_t index;
    size_t nth; /* of the plan's records */
    kfe_record *out;
    kfe_header *to; /* those of `out` that ordinals count */
    uint8_t **at;
    uint8_t *meta[KFE_GROUPS_MAX]; /* each group's metadata: tags stand behind */
    uint64_t counter[KFE_GROUPS_MAX];
    uint8_t *p;
    uint32_t p_len;
} laying;

static uint8_t *own(kfe_bytes bytes)
{
    return (uint8_t *)(uintptr_t)bytes.data;
}

static kfe_bytes *view(const laying *l, const kfe_field *f)
{
    return (kfe_bytes *)(uintptr_t)kfe_view(l->out, l->to, f);
}

/* Record scope: the bytes of its fields, if they follow each other in the caller's memory; else
 * data is NULL, unless there are none. */
static bool in_a_row(const laying *l, const kfe_group *group, kfe_bytes *row)
{
    const uint8_t *first = NULL, *end = NULL;
    bool follow = true;
    row->len = 0;
    for (uint32_t i = 0; i < group->n_fields; i++) {
        kfe_bytes field = *kfe_view(l->out, l->to, &group->fields[i]);
        if (field.len == 0)
            continue;
        if (first == NULL)
            first = end = field.data;
        follow = follow && end == field.data;
        end = field.data + field.len;
        row->len += field.len;
    }
    row->data = follow ? first : NULL;
    return follow;
}

/* Most fields are short, and a call of memcpy() costs more than they do. */
static inline uint8_t *put_short(uint8_t *to, const uint8_t *from, size_t len)
{
    uint64_t words[2];
    uint32_t halves[2];
    if (len - 4 < 4) { /* 4 to 7 */
        memcpy(&halves[0], from, 4);
        memcpy(&halves[1], from + len - 4, 4);
        memcpy(to, &halves[0], 4);
        memcpy(to + len - 4, &halves[1], 4);
        return to + len;
    }
    if (len - 8 <= 8) { /* 8 to 16 */
        memcpy(&words[0], from, 8);
        memcpy(&words[1], from + len - 8, 8);
        memcpy(to, &words[0], 8);
        memcpy(to + len - 8, &words[1], 8);
        return to + len;
    }
    return kfe_put(to, from, len);
}

static void gather(const laying *l, const kfe_group *group, uint8_t *to)
{
    for (uint32_t i = 0; i < group->n_fields; i++) {
        kfe_bytes field = *kfe_view(l->out, l->to, &group->fields[i]);
        to = put_short(to, field.data, field.len);
    }
}

/* Points the fields of a row to where it goes. */
static void point(const laying *l, const kfe_group *group, uint8_t *to)
{
    for (uint32_t i = 0; i < group->n_fields; i++) {
        kfe_bytes *field = view(l, &group->fields[i]);
        if (field->data != NULL)
            field->data = to;
        to += field->len;
    }
}

/* Where a row is read and written. In place it is worked on where it is, or, scattered, in memory
 * of the call: kfe_layout_scatter() brings it back. */
static kfe_error place_row(laying *l, unsigned g, kfe_bytes *in, uint8_t **out)
{
    const kfe_group *group = &l->plan->groups[g];
    bool row = in_a_row(l, group, in);
    if (!l->j->in_place) {
        *out = *l->at;
        *l->at += in->len;
        if (!row) {
            gather(l, group, *out);
            in->data = *out;
        }
        point(l, group, *out);
        return KFE_OK;
    }
    *out = own(*in);
    if (row)
        return KFE_OK;
    if (l->item->text == NULL)
        l->item->text = kfe_work_take(l->j->work, l->plan->n_groups * sizeof(*l->item->text));
    *out = kfe_work_take(l->j->work, in->len + 1);
    if (l->item->text == NULL || *out == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    l->item->text[g] = *out;
    gather(l, group, *out);
    in->data = *out;
    return KFE_OK;
}

/* What the messages of a group have in common, and where they go. */
typedef struct {
    uint64_t nonce[2]; /* as kfe_nonce_put() wants it */
    uint8_t *tag;      /* where the IV stands before it, that is a part of it */
    unsigned tag_room;
    size_t nth; /* record of the plan */
    uint8_t *at;
} common;

/* The field's message: its nonce and tag are the record's own, what it has always said is there,
 * its text is to come. */
static inline kfe_aead_op *next_message(common *c, const kfe_field *f, uint64_t nonce_end)
{
    kfe_aead_op *op = &f->op[c->nth];
    kfe_nonce_put(f->nonce[c->nth], c->nonce, nonce_end);
    op->tag = c->tag;
    c->tag += c->tag_room;
    return op;
}

/* `in_place` is known where this is called. A field that is null is a message over nothing. */
static inline __attribute__((always_inline)) void lay_field(common *c, const kfe_field *f,
                                                            kfe_bytes *field, bool in_place)
{
    const uint8_t *in = field->data;
    size_t len = field->len;
    kfe_aead_op *op = next_message(c, f, f->nonce_end);
    op->in = in;
    op->len = (uint32_t)len;
    op->out = in_place ? (uint8_t *)(uintptr_t)in : c->at;
    if (!in_place) {
        field->data = in != NULL ? c->at : NULL;
        c->at += len;
    }
}

static inline __attribute__((always_inline)) void
lay_list(common *c, const kfe_group *group, char *record, char *headers, bool in_place)
{
    const kfe_field *f = group->fields, *end = f + group->n_fields;
    for (const kfe_field *stop = f + group->n_in_record; f < stop; f++)
        lay_field(c, f, (kfe_bytes *)(record + f->offset), in_place);
    for (; f < end; f++)
        lay_field(c, f, (kfe_bytes *)(headers + f->offset), in_place);
}

/* D of record scope binds the lengths: as long as they stay, so does it. */
static kfe_error write_d(const laying *l, kfe_group *group)
{
    bool same = group->d.data != NULL;
    size_t room = KFE_D_MAX_HEAD;
    for (uint32_t i = 0; i < group->n_fields; i++) {
        kfe_field *f = &group->fields[i];
        uint32_t len = (uint32_t)kfe_view(l->out, l->to, f)->len;
        same = same && f->len == len;
        f->len = len;
        room += KFE_D_MAX_PART + f->name.len;
    }
    if (same)
        return KFE_OK;
    uint8_t *d = kfe_work_take(l->j->work, room);
    if (d == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    uint8_t *at = kfe_aad_record_head(d, group->n_fields);
    for (uint32_t i = 0; i < group->n_fields; i++) {
        const kfe_field *f = &group->fields[i];
        at = kfe_aad_record_part(at, f->kind, f->ordinal, f->len, f->name);
    }
    group->d = (kfe_bytes){d, (size_t)(at - d)};
    return KFE_OK;
}

static kfe_error lay_row(laying *l, unsigned g, common *c)
{
    kfe_group *group = &l->plan->groups[g];
    kfe_error err = write_d(l, group);
    if (err)
        return err;
    kfe_bytes in;
    uint8_t *out;
    err = place_row(l, g, &in, &out);
    if (err)
        return err;
    kfe_aead_op *op = next_message(c, group->fields, kfe_nonce_end(KFE_ORD_RECORD));
    op->aad = group->d.data;
    op->aad_len = (uint32_t)group->d.len;
    op->in = in.data;
    op->out = out;
    op->len = (uint32_t)in.len;
    return KFE_OK;
}

static void lay_fields(const laying *l, const kfe_group *group, const common *all)
{
    common c = *all; /* a copy that nothing can alias */
    if (l->j->in_place)
        lay_list(&c, group, (char *)l->out, (char *)l->to, true);
    else
        lay_list(&c, group, (char *)l->out, (char *)l->to, false);
    *l->at = c.at;
}

/* The counter ends the metadata, which are longer than 8 bytes. */
static uint64_t counter_of(const uint8_t *meta, const kfe_group *group)
{
    return kfe_get_u64(meta + group->meta_len - 8) & (((uint64_t)1 << 48) - 1);
}

static void absorb(const laying *l, unsigned g, kfe_prefix *prefix)
{
    const kfe_group *group = &l->plan->groups[g];
    const kfe_aead_key *key = l->j->work->in_use[group->in_use].session->aead;
    prefix->bytes = l->p;
    prefix->record = l->index;
    prefix->error = KFE_OK;
    prefix->absorbed.len = l->p_len;
    const kfe_absorb_p p = {l->p, l->p_len, l->counter[g]};
    if (key->backend->from_state)
        kfe_absorb(l->plan, group, key, &p, prefix->absorbed.ghash);
}

static kfe_error lay_group(laying *l, unsigned g)
{
    const kfe_group *group = &l->plan->groups[g];
    uint8_t *meta = l->meta[g];
    common c = {.tag = meta + group->meta_len, .nth = l->nth, .at = *l->at};
    c.tag_room = kfe_tag_room(&group->env);
    kfe_nonce_begin(c.nonce, l->counter[g]);
    if (group->env.record_scope)
        return lay_row(l, g, &c);
    if (group->n_fields > 0) {
        lay_fields(l, group, &c);
        return KFE_OK;
    }
    kfe_aead_op *op = next_message(&c, group->fields, group->fields[0].nonce_end);
    op->in = op->out = NULL;
    op->len = 0;
    return KFE_OK;
}

/* Puts what is this record's own into P: counters, and a key that is bound by its bytes. Where
 * nobody looks at P's bytes once they are hashed, the plan's own serve all records. */
static kfe_error lay_prefix(laying *l, kfe_bytes key)
{
    const kfe_plan *plan = l->plan;
    l->p = plan->p;
    l->p_len = plan->p_len;
    if (plan->p_own) {
        kfe_aad_key k = {plan->k.sealed, key};
        l->p = kfe_work_take(l->j->work, plan->p_len + kfe_aad_key_len(k) + 15);
        if (l->p == NULL)
            return kfe_fail(KFE_E_MEMORY, "out of memory");
        uint8_t *end = kfe_put(l->p, plan->p, plan->p_len);
        if (plan->k_varies)
            end = kfe_aad_put_key(l->p, end, k);
        l->p_len = (uint32_t)(end - l->p);
    }
    for (unsigned g = 0; plan->steps == NULL && g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        uint32_t counter_at = group->meta_len - KFE_COUNTER_LEN;
        memcpy(l->p + group->meta_at + counter_at, l->meta[g] + counter_at, KFE_COUNTER_LEN);
    }
    return KFE_OK;
}

/* The first headers are the envelopes, on the side where these are. */
static void copy_headers(const laying *l, const kfe_header *from)
{
    const kfe_header *says = l->plan->says;
    kfe_header *to = l->to;
    for (uint32_t i = 0, n = l->plan->n_headers; i < n; i++) {
        to[i].name = from[i].name;
        to[i].value = from[i].value;
        to[i].key_ref = NULL;
        to[i].status = says[i].status;
    }
}

/* Metadata in whole pieces of 16 bytes: what is too much of the last lies within P's room on the
 * one side, and on the other where a tag will be. */
static uint8_t *put_metadata(uint8_t *to, const uint8_t *from, uint32_t len)
{
    for (uint32_t i = 0; i < len; i += 16)
        memcpy(to + i, from + i, 16);
    return to + len;
}

/* Envelopes with counters of their own, as the first headers. */
static void write_envelopes(laying *l, kfe_header *headers)
{
    static const uint8_t name[] = {'k', 'f', 'e'};
    const kfe_plan *plan = l->plan;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        uint8_t *start = *l->at;
        uint8_t *end = put_metadata(start, plan->p + group->meta_at, group->meta_len);
        l->counter[g] = l->j->work->in_use[group->in_use].next++;
        kfe_put_u48(end - KFE_COUNTER_LEN, l->counter[g]);
        *l->at = end + group->n_tags * kfe_tag_room(&group->env);
        l->meta[g] = start;
        headers[g] =
            (kfe_header){.name = {name, sizeof(name)}, .value = {start, (size_t)(*l->at - start)}};
    }
}

static void read_envelopes(laying *l, const kfe_header *headers)
{
    for (unsigned g = 0; g < l->plan->n_groups; g++) {
        l->meta[g] = own(headers[g].value);
        l->counter[g] = counter_of(l->meta[g], &l->plan->groups[g]);
    }
}

/* All of it but the bytes; `in` may be the same record. */
static void write_record(const laying *l, const kfe_record *in, kfe_bytes key,
                         const kfe_header *headers)
{
    const kfe_plan *plan = l->plan;
    kfe_record *out = l->out;
    out->topic = in->topic;
    out->key = key;
    out->value = in->value;
    out->headers = headers;
    out->n_headers = (size_t)(l->to - headers) + plan->n_headers;
    out->partition = in->partition;
    out->key_ref = NULL;
    out->key_status = plan->key_status;
    out->value_status = plan->value_status;
    out->error = KFE_OK;
}

kfe_error kfe_layout(const kfe_job *j, size_t index, kfe_bytes key, uint8_t **at)
{
    kfe_item *item = &j->items[index];
    kfe_plan *plan = item->plan;
    const kfe_record *in = &j->in[index]; /* `out` may be `in` */
    unsigned n_new = j->seal ? plan->n_groups : 0, n_gone = j->seal ? 0 : plan->n_groups;
    uint8_t *start = *at;
    kfe_header *headers = kfe_take_headers(at, n_new + plan->n_headers);
    laying l;
    l.j = j;
    l.plan = plan;
    l.item = item;
    l.index = (uint32_t)index;
    l.nth = plan->laid++;
    l.out = &j->out[index];
    l.to = headers + n_new;
    l.at = at;
    if (j->seal)
        write_envelopes(&l, headers);
    else
        read_envelopes(&l, in->headers);
    kfe_error err = lay_prefix(&l, key);
    kfe_prefix *prefix = j->work->prefixes + plan->first_prefix + l.nth * plan->n_groups;
    /* Hashing takes long and nothing here waits for it: the rest is done meanwhile. */
    for (unsigned g = 0; !err && g < plan->n_groups; g++)
        if (!plan->groups[g].skipped)
            absorb(&l, g, &prefix[g]);
    copy_headers(&l, in->headers + n_gone);
    write_record(&l, in, key, headers);
    for (unsigned g = 0; !err && g < plan->n_groups; g++)
        if (!plan->groups[g].skipped)
            err = lay_group(&l, g);
    item->laid = (kfe_bytes){start, (size_t)(*at - start)};
    return err;
}

void kfe_layout_scatter(const kfe_job *j, size_t index)
{
    const kfe_item *item = &j->items[index];
    const kfe_record *out = &j->out[index];
    const kfe_header *to = out->headers + (j->seal ? item->plan->n_groups : 0);
    for (unsigned g = 0; g < item->plan->n_groups; g++) {
        const kfe_group *group = &item->plan->groups[g];
        const uint8_t *from = item->text[g];
        for (uint32_t i = 0; from != NULL && i < group->n_fields; i++) {
            kfe_bytes field = *kfe_view(out, to, &group->fields[i]);
            kfe_put(own(field), from, field.len);
            from += field.len;
        }
    }
}

void kfe_layout_blank(const kfe_job *j, size_t index)
{
    const kfe_item *item = &j->items[index];
    if (item->laid.data == NULL)
        return;
    const kfe_record *out = &j->out[index];
    const kfe_header *to = out->headers + (j->seal ? item->plan->n_groups : 0);
    for (unsigned g = 0; j->in_place && g < item->plan->n_groups; g++) {
        const kfe_group *group = &item->plan->groups[g];
        for (uint32_t i = 0; !group->skipped && i < group->n_fields; i++) {
            kfe_bytes field = *kfe_view(out, to, &group->fields[i]);
            kfe_wipe(own(field), field.len);
        }
    }
    kfe_wipe(own(item->laid), item->laid.len);
}
