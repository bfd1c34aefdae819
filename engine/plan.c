/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include "engine/wire.h"

static uint8_t *own(kfe_bytes bytes)
{
    return (uint8_t *)(uintptr_t)bytes.data;
}

static bool step(kfe_walk *w, uint16_t ordinal, uint8_t kind, kfe_bytes in)
{
    w->ordinal = ordinal;
    w->kind = kind;
    w->in = in;
    w->name = (kfe_bytes){NULL, 0};
    return true;
}

bool kfe_walk_next(kfe_walk *w)
{
    const kfe_plan *plan = w->plan;
    const kfe_envelope *e = &w->group->env;
    if (w->next == KFE_ORD_KEY) {
        w->next++;
        w->out = plan->key_out;
        if (e->key == KFE_KEY_SEALED)
            return step(w, KFE_ORD_KEY, KFE_D_KEY, plan->key);
    }
    if (w->next == KFE_ORD_VALUE) {
        w->next++;
        w->out = plan->value_out;
        if (e->value != KFE_VALUE_UNCOVERED)
            return step(w, KFE_ORD_VALUE, KFE_D_VALUE, plan->value);
    }
    for (;;) {
        uint32_t i = w->next - KFE_ORD_HEADER;
        if (i >= e->n_headers)
            return false;
        w->next++;
        if (!kfe_covers_header(e, i))
            continue;
        kfe_bytes value = plan->headers[i].value;
        w->out = plan->header_out[i];
        step(w, (uint16_t)(KFE_ORD_HEADER + i),
             value.data == NULL ? KFE_D_NULL_HEADER : KFE_D_HEADER, value);
        w->name = plan->headers[i].name;
        return true;
    }
}

/* The headers that any group covers, as one map; false when that is none of them, or all. */
static bool merge_maps(const kfe_plan *plan, uint8_t map[KFE_HEADERS_MAX / 8])
{
    uint32_t n = 0;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_envelope *e = &plan->groups[g].env;
        for (uint32_t i = 0; i < (e->n_headers + 7) / 8; i++)
            map[i] |= e->map[i];
    }
    for (uint32_t i = 0; i < KFE_HEADERS_MAX / 8; i++)
        n += (uint32_t)__builtin_popcount(map[i]);
    return n > 0 && n < plan->n_headers;
}

/* A quarter of a million comparisons at the very most; most records do not get beyond the first
 * line. */
bool kfe_plan_names_clash(const kfe_plan *plan)
{
    uint8_t map[KFE_HEADERS_MAX / 8] = {0};
    if (!merge_maps(plan, map))
        return false;
    for (uint32_t i = 0; i < plan->n_headers; i++) {
        if (map[i / 8] >> (i % 8) & 1)
            continue;
        for (uint32_t j = 0; j < plan->n_headers; j++)
            if ((map[j / 8] >> (j % 8) & 1) != 0 &&
                kfe_names_equal(plan->headers[i].name, plan->headers[j].name))
                return true;
    }
    return false;
}

kfe_error kfe_plan_measure(kfe_plan *plan)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        group->n_fields = 0;
        group->len = 0;
        kfe_walk walk = {.plan = plan, .group = group};
        while (kfe_walk_next(&walk)) {
            group->n_fields++;
            group->len += walk.in.len;
        }
        if (group->env.record_scope && group->len > UINT32_MAX)
            return kfe_fail(KFE_E_RECORD, "record is too long for one tag");
    }
    return KFE_OK;
}

void kfe_plan_announce(const kfe_plan *plan, kfe_work *work)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        if (group->skipped)
            continue;
        if (group->env.record_scope || group->n_fields == 0) {
            kfe_work_announce(work, kfe_work_class(KFE_ORD_RECORD));
            continue;
        }
        kfe_walk walk = {.plan = plan, .group = group};
        while (kfe_walk_next(&walk))
            kfe_work_announce(work, kfe_work_class(walk.ordinal));
    }
}

static void set_out(kfe_plan *plan, uint16_t ordinal, uint8_t *out)
{
    if (ordinal == KFE_ORD_KEY)
        plan->key_out = out;
    else if (ordinal == KFE_ORD_VALUE)
        plan->value_out = out;
    else
        plan->header_out[ordinal - KFE_ORD_HEADER] = out;
}

/* Record scope needs its fields in a row: in the space they are laid so. In place they are
 * gathered, and scattered afterwards. */
static void place_group(kfe_plan *plan, kfe_group *group, uint8_t **at, uint8_t *gathered)
{
    bool in_place = at == NULL, row = group->env.record_scope;
    uint8_t *to = in_place ? gathered : *at;
    group->text = to;
    kfe_walk walk = {.plan = plan, .group = group};
    while (kfe_walk_next(&walk)) {
        set_out(plan, walk.ordinal, in_place ? own(walk.in) : to);
        if (row)
            kfe_put(to, walk.in.data, walk.in.len);
        if (row || !in_place)
            to += walk.in.len;
    }
    if (!in_place)
        *at = to;
}

kfe_error kfe_plan_place(kfe_plan *plan, kfe_work *work, uint8_t **at, bool in_place)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        uint8_t *gathered = NULL;
        if (group->skipped)
            continue;
        if (in_place && group->env.record_scope) {
            gathered = kfe_work_take(work, (size_t)group->len + 1);
            if (gathered == NULL)
                return kfe_fail(KFE_E_MEMORY, "out of memory");
        }
        place_group(plan, group, in_place ? NULL : at, gathered);
    }
    return KFE_OK;
}

typedef struct {
    kfe_work *work;
    const kfe_plan *plan;
    const kfe_group *group;
    const uint8_t *aad;
    size_t aad_len;
    uint8_t *tag;
} message;

static void put_message(const message *m, uint16_t ordinal, kfe_bytes in, uint8_t *out)
{
    size_t i = kfe_work_place(m->work, kfe_work_class(ordinal));
    kfe_nonce(m->work->nonces[i], m->group->env.counter, ordinal);
    m->work->ops[i] = (kfe_aead_op){
        .key = m->work->in_use[m->group->in_use].session->aead,
        .nonce = m->work->nonces[i],
        .prefix = &m->group->prefix.absorbed,
        .aad = m->aad,
        .aad_len = (uint32_t)m->aad_len,
        .in = in.data,
        .out = out,
        .len = (uint32_t)in.len,
        .tag = m->tag,
    };
    m->work->record[i] = m->plan->index;
}

static kfe_error emit_record(message *m)
{
    const kfe_group *group = m->group;
    size_t room = KFE_D_MAX_HEAD;
    kfe_walk walk = {.plan = m->plan, .group = group};
    while (kfe_walk_next(&walk))
        room += KFE_D_MAX_PART + walk.name.len;
    uint8_t *d = kfe_work_take(m->work, room);
    if (d == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    uint8_t *at = kfe_aad_record_head(d, group->n_fields);
    walk = (kfe_walk){.plan = m->plan, .group = group};
    while (kfe_walk_next(&walk))
        at = kfe_aad_record_part(at, walk.kind, walk.ordinal, (uint32_t)walk.in.len, walk.name);
    m->aad = d;
    m->aad_len = (size_t)(at - d);
    put_message(m, KFE_ORD_RECORD, (kfe_bytes){group->text, (size_t)group->len}, group->text);
    return KFE_OK;
}

static kfe_error emit_field(message *m, const kfe_walk *walk)
{
    uint8_t *d = kfe_work_take(m->work, KFE_D_MAX_FIELD + walk->name.len);
    if (d == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    m->aad = d;
    m->aad_len = (size_t)(kfe_aad_field(d, walk->kind, walk->ordinal, walk->name) - d);
    put_message(m, walk->ordinal, walk->in, walk->out);
    m->tag += KFE_TAG_LEN;
    return KFE_OK;
}

static kfe_error emit_group(kfe_plan *plan, kfe_work *work, kfe_group *group)
{
    message m = {.work = work, .plan = plan, .group = group, .tag = group->tags};
    const kfe_aead_key *key = work->in_use[group->in_use].session->aead;
    kfe_gcm_prefix *p = &group->prefix.absorbed;
    if (key->backend->from_state)
        key->backend->hash(key, p->ghash, group->prefix.bytes, p->len / 16);
    if (group->env.record_scope)
        return emit_record(&m);
    kfe_walk walk = {.plan = plan, .group = group};
    if (group->n_fields == 0) {
        walk.kind = KFE_D_EMPTY;
        walk.ordinal = KFE_ORD_EMPTY;
        return emit_field(&m, &walk);
    }
    kfe_error err = KFE_OK;
    while (!err && kfe_walk_next(&walk))
        err = emit_field(&m, &walk);
    return err;
}

kfe_error kfe_plan_emit(kfe_plan *plan, kfe_work *work)
{
    size_t meta = 0;
    for (unsigned g = 0; g < plan->n_groups; g++)
        meta += plan->groups[g].env.metadata.len;
    size_t len = kfe_aad_prefix_len(meta, plan->label.len, plan->aad_key);
    uint8_t *p = kfe_work_take(work, len), *at = p;
    if (p == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    for (unsigned g = 0; g < plan->n_groups; g++)
        at = kfe_put(at, plan->groups[g].env.metadata.data, plan->groups[g].env.metadata.len);
    kfe_aad_prefix_end(p, at, plan->label, plan->aad_key);
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        group->prefix = (kfe_prefix){.absorbed.len = len, .bytes = p};
        kfe_error err = group->skipped ? KFE_OK : emit_group(plan, work, group);
        if (err)
            return err;
    }
    return KFE_OK;
}

void kfe_plan_scatter(const kfe_plan *plan, bool in_place)
{
    for (unsigned g = 0; in_place && g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        if (group->skipped || !group->env.record_scope)
            continue;
        const uint8_t *from = group->text;
        kfe_walk walk = {.plan = plan, .group = group};
        while (kfe_walk_next(&walk)) {
            kfe_put(walk.out, from, walk.in.len);
            from += walk.in.len;
        }
    }
}

void kfe_plan_blank(const kfe_plan *plan)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_walk walk = {.plan = plan, .group = &plan->groups[g]};
        if (plan->groups[g].skipped)
            continue;
        while (kfe_walk_next(&walk))
            if (walk.out != NULL)
                kfe_wipe(walk.out, walk.in.len);
    }
}
