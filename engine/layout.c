/* SPDX-License-Identifier: Apache-2.0 */
/* Lays one record out by its plan: where every field's bytes come from and go to, its P, nonces and
 * messages. The same both ways, but that sealing writes envelopes and opening reads them. */
#include "engine/layout.h"

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

/* Record scope: the bytes of its fields if they follow each other in the caller's memory. */
static bool in_a_row(const laying *l, const kfe_group *group, kfe_bytes *row)
{
    *row = (kfe_bytes){NULL, 0};
    for (uint32_t i = 0; i < group->n_fields; i++) {
        kfe_bytes field = *kfe_view(l->out, l->to, &group->fields[i]);
        if (field.len == 0)
            continue;
        if (row->data == NULL)
            row->data = field.data;
        else if (row->data + row->len != field.data)
            return false;
        row->len += field.len;
    }
    return true;
}

static uint8_t *gather(const laying *l, const kfe_group *group, uint8_t *to)
{
    for (uint32_t i = 0; i < group->n_fields; i++) {
        kfe_bytes field = *kfe_view(l->out, l->to, &group->fields[i]);
        to = kfe_put(to, field.data, field.len);
    }
    return to;
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
    if (!row)
        in->len = (size_t)kfe_group_len(group, l->out, l->to);
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
    const kfe_aead_key *key;
    const kfe_gcm_prefix *prefix;
    uint64_t nonce[2]; /* as kfe_nonce_put() wants it */
    uint8_t *tag;
    kfe_aead_op *ops;
    uint8_t (*nonces)[16];
    size_t nth; /* record of the plan */
    uint8_t *at;
} common;

/* The field's message, all filled in but its text. */
static inline kfe_aead_op *next_message(common *c, const kfe_field *f, uint64_t nonce_end)
{
    size_t i = f->first + c->nth;
    kfe_aead_op *op = &c->ops[i];
    kfe_nonce_put(c->nonces[i], c->nonce, nonce_end);
    op->key = c->key;
    op->nonce = c->nonces[i];
    op->prefix = c->prefix;
    op->aad = f->d;
    op->tag = c->tag;
    op->aad_len = f->d_len;
    c->tag += KFE_TAG_LEN;
    return op;
}

static inline void lay_field(common *c, const kfe_field *f, kfe_bytes *field, bool in_place)
{
    const uint8_t *in = field->data;
    size_t len = field->len;
    kfe_aead_op *op = next_message(c, f, f->nonce_end);
    op->in = in;
    op->len = (uint32_t)len;
    op->out = (uint8_t *)(uintptr_t)in;
    if (!in_place && in != NULL) {
        op->out = c->at;
        field->data = c->at;
        c->at += len;
    }
}

static kfe_error lay_row(laying *l, unsigned g, common *c)
{
    const kfe_group *group = &l->plan->groups[g];
    size_t room = KFE_D_MAX_HEAD;
    for (uint32_t i = 0; i < group->n_fields; i++)
        room += KFE_D_MAX_PART + group->fields[i].name.len;
    uint8_t *d = kfe_work_take(l->j->work, room);
    if (d == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    uint8_t *at = kfe_aad_record_head(d, group->n_fields);
    for (uint32_t i = 0; i < group->n_fields; i++) {
        const kfe_field *f = &group->fields[i];
        uint32_t len = (uint32_t)kfe_view(l->out, l->to, f)->len;
        at = kfe_aad_record_part(at, f->kind, f->ordinal, len, f->name);
    }
    kfe_bytes in;
    uint8_t *out;
    kfe_error err = place_row(l, g, &in, &out);
    if (err)
        return err;
    kfe_aead_op *op = next_message(c, group->fields, kfe_nonce_end(KFE_ORD_RECORD));
    op->aad = d;
    op->aad_len = (uint32_t)(at - d);
    op->in = in.data;
    op->out = out;
    op->len = (uint32_t)in.len;
    return KFE_OK;
}

static void lay_fields(const laying *l, const kfe_group *group, const common *all)
{
    common c = *all; /* a copy that nothing can alias */
    const bool in_place = l->j->in_place;
    kfe_record *out = l->out;
    char *to = (char *)l->to;
    const kfe_field *f = group->fields, *end = f + group->n_fields;
    for (const kfe_field *stop = f + group->n_in_record; f < stop; f++)
        lay_field(&c, f, (kfe_bytes *)((char *)out + f->offset), in_place);
    for (; f < end; f++)
        lay_field(&c, f, (kfe_bytes *)(to + f->offset), in_place);
    *l->at = c.at;
}

/* The counter ends the metadata, which are longer than 8 bytes. */
static uint64_t counter_of(const uint8_t *meta, const kfe_group *group)
{
    return kfe_get_u64(meta + group->meta_len - 8) & (((uint64_t)1 << 48) - 1);
}

static kfe_error lay_group(laying *l, unsigned g, kfe_prefix *prefix)
{
    const kfe_group *group = &l->plan->groups[g];
    uint8_t *meta = l->meta[g];
    const kfe_aead_key *key = l->j->work->in_use[group->in_use].session->aead;
    const kfe_plan *plan = l->plan;
    prefix->bytes = l->p;
    prefix->record = l->index;
    prefix->absorbed.len = l->p_len;
    if (key->backend->from_state) {
        memcpy(prefix->absorbed.ghash, *group->state, sizeof(*group->state));
        key->backend->hash(key, prefix->absorbed.ghash, l->p + plan->p_fixed,
                           (l->p_len - plan->p_fixed) / 16);
    }
    const kfe_work *work = l->j->work;
    common c = {.key = key, .prefix = &prefix->absorbed, .tag = meta + group->meta_len};
    c.ops = work->ops;
    c.nonces = work->nonce;
    c.nth = l->nth;
    c.at = *l->at;
    kfe_nonce_begin(c.nonce, counter_of(meta, group));
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
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        uint32_t counter_at = group->meta_len - KFE_COUNTER_LEN;
        memcpy(l->p + group->meta_at + counter_at, l->meta[g] + counter_at, KFE_COUNTER_LEN);
    }
    return KFE_OK;
}

/* Envelopes with counters of their own, as the first headers. */
static void write_envelopes(laying *l, kfe_header *headers)
{
    static const uint8_t name[] = {'k', 'f', 'e'};
    const kfe_plan *plan = l->plan;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        uint8_t *start = *l->at;
        uint8_t *end = kfe_put(start, plan->p + group->meta_at, group->meta_len);
        kfe_put_u48(end - KFE_COUNTER_LEN, l->j->work->in_use[group->in_use].next++);
        *l->at = end + group->n_tags * KFE_TAG_LEN;
        l->meta[g] = start;
        headers[g] =
            (kfe_header){.name = {name, sizeof(name)}, .value = {start, (size_t)(*l->at - start)}};
    }
}

kfe_error kfe_layout(const kfe_job *j, size_t index, kfe_bytes key, uint8_t **at)
{
    kfe_item *item = &j->items[index];
    kfe_plan *plan = item->plan;
    kfe_record in = j->in[index]; /* `out` may be `in` */
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
    const kfe_header *from = in.headers + n_gone;
    for (uint32_t i = 0, n = plan->n_headers; i < n; i++) {
        l.to[i] = plan->says[i];
        l.to[i].name = from[i].name;
        l.to[i].value = from[i].value;
    }
    *l.out = (kfe_record){.topic = in.topic,
                          .partition = in.partition,
                          .key = key,
                          .value = in.value,
                          .headers = headers,
                          .n_headers = n_new + plan->n_headers,
                          .key_status = plan->key_status,
                          .value_status = plan->value_status};
    if (j->seal)
        write_envelopes(&l, headers);
    for (unsigned g = 0; !j->seal && g < plan->n_groups; g++)
        l.meta[g] = own(in.headers[g].value);
    kfe_error err = lay_prefix(&l, key);
    kfe_prefix *prefix = &j->prefixes[item->first_prefix];
    for (unsigned g = 0; !err && g < plan->n_groups; g++)
        if (!plan->groups[g].skipped)
            err = lay_group(&l, g, &prefix[g]);
    item->laid = (kfe_bytes){start, (size_t)(*at - start)};
    return err;
}

void kfe_layout_scatter(const kfe_job *j, size_t index)
{
    const kfe_item *item = &j->items[index];
    const kfe_record *out = &j->out[index];
    const kfe_header *to = out->headers + (j->seal ? item->plan->n_groups : 0);
    for (unsigned g = 0; item->text != NULL && g < item->plan->n_groups; g++) {
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
