/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include <stddef.h>

#include "engine/wire.h"

static kfe_bytes keep(kfe_work *work, kfe_bytes bytes, bool *good)
{
    uint8_t *copy = kfe_work_keep(work, bytes.len);
    if (copy == NULL) {
        *good = false;
        return bytes;
    }
    kfe_put(copy, bytes.data, bytes.len);
    return (kfe_bytes){copy, bytes.len};
}

kfe_plan *kfe_plan_new(kfe_work *work, const kfe_record *in, uint32_t skip)
{
    bool good = true;
    kfe_plan *plan = kfe_work_keep(work, sizeof(*plan));
    uint32_t n = (uint32_t)in->n_headers - skip;
    kfe_bytes *names = kfe_work_keep(work, n * sizeof(*names));
    bool *has = kfe_work_keep(work, n * sizeof(*has));
    kfe_header *says = kfe_work_keep(work, n * sizeof(*says));
    if (plan == NULL || names == NULL || has == NULL || says == NULL)
        return NULL;
    plan->topic = keep(work, in->topic, &good);
    plan->has_key = in->key.data != NULL;
    plan->has_value = in->value.data != NULL;
    plan->headers = in->headers + skip;
    plan->n_headers = n;
    plan->in_headers = in->n_headers;
    plan->names = names;
    plan->has = has;
    plan->says = says;
    for (uint32_t i = 0; i < n; i++) {
        names[i] = keep(work, plan->headers[i].name, &good);
        has[i] = plan->headers[i].value.data != NULL;
    }
    return good ? plan : NULL;
}

void kfe_plan_add(kfe_work *work, kfe_plan *plan)
{
    plan->older = work->plans;
    work->plans = plan;
    work->n_plans++;
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
            if ((map[j / 8] >> (j % 8) & 1) != 0 && kfe_names_equal(plan->names[i], plan->names[j]))
                return true;
    }
    return false;
}

static kfe_field *add(kfe_group *group, uint16_t ordinal, uint8_t kind)
{
    kfe_field *f = &group->fields[group->n_fields++];
    f->ordinal = ordinal;
    f->kind = kind;
    f->nonce_end = kfe_nonce_end(ordinal);
    f->offset = (uint32_t)(ordinal == KFE_ORD_KEY ? offsetof(kfe_record, key)
                           : ordinal == KFE_ORD_VALUE
                               ? offsetof(kfe_record, value)
                               : (size_t)(ordinal - KFE_ORD_HEADER) * sizeof(kfe_header) +
                                     offsetof(kfe_header, value));
    return f;
}

static kfe_error list_group(const kfe_plan *plan, kfe_work *work, kfe_group *group)
{
    const kfe_envelope *e = &group->env;
    group->fields = kfe_work_keep(work, (kfe_envelope_fields(e) + 1) * sizeof(*group->fields));
    if (group->fields == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    if (e->key == KFE_KEY_SEALED)
        add(group, KFE_ORD_KEY, KFE_D_KEY);
    if (e->value != KFE_VALUE_UNCOVERED)
        add(group, KFE_ORD_VALUE, KFE_D_VALUE);
    group->n_in_record = group->n_fields;
    for (uint32_t i = 0; i < e->n_headers; i++)
        if (kfe_covers_header(e, i))
            add(group, (uint16_t)(KFE_ORD_HEADER + i),
                plan->has[i] ? KFE_D_HEADER : KFE_D_NULL_HEADER)
                ->name = plan->names[i];
    group->n_tags = e->record_scope || group->n_fields == 0 ? 1 : group->n_fields;
    return KFE_OK;
}

kfe_error kfe_plan_list(kfe_plan *plan, kfe_work *work)
{
    kfe_error err = KFE_OK;
    for (unsigned g = 0; !err && g < plan->n_groups; g++)
        err = list_group(plan, work, &plan->groups[g]);
    return err;
}

/* Each field's D, in field scope; of a group without fields the one that stands for it. */
static kfe_error bind_fields(kfe_group *group, kfe_work *work)
{
    if (group->env.record_scope)
        return KFE_OK;
    if (group->n_fields == 0)
        group->fields[0] = (kfe_field){.ordinal = KFE_ORD_EMPTY,
                                       .kind = KFE_D_EMPTY,
                                       .nonce_end = kfe_nonce_end(KFE_ORD_EMPTY)};
    for (uint32_t i = 0; i < group->n_tags; i++) {
        kfe_field *f = &group->fields[i];
        uint8_t *d = kfe_work_keep(work, KFE_D_MAX_FIELD + f->name.len);
        if (d == NULL)
            return kfe_fail(KFE_E_MEMORY, "out of memory");
        f->d = d;
        f->d_len = (uint32_t)(kfe_aad_field(d, f->kind, f->ordinal, f->name) - d);
    }
    return KFE_OK;
}

kfe_error kfe_plan_prefix(kfe_plan *plan, kfe_work *work)
{
    size_t len = kfe_aad_label_len(plan->label);
    for (unsigned g = 0; g < plan->n_groups; g++) {
        len += plan->groups[g].env.metadata.len;
        plan->k.sealed |= plan->groups[g].env.key == KFE_KEY_SEALED;
    }
    plan->k_varies = !plan->k.sealed && plan->has_key;
    uint8_t *at = plan->p = kfe_work_keep(work, len + 16);
    if (at == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        group->meta_at = (uint32_t)(at - plan->p);
        group->meta_len = (uint32_t)group->env.metadata.len;
        at = kfe_put(at, group->env.metadata.data, group->meta_len);
    }
    plan->p_fixed = (plan->groups[0].meta_len - KFE_COUNTER_LEN) / 16 * 16;
    at = kfe_aad_put_label(at, plan->label);
    if (!plan->k_varies) /* sealed or null */
        at = kfe_aad_put_key(plan->p, at, plan->k);
    plan->p_len = (uint32_t)(at - plan->p);
    return KFE_OK;
}

kfe_error kfe_plan_bind(kfe_plan *plan, kfe_work *work)
{
    kfe_error err = KFE_OK;
    plan->p_own = plan->k_varies;
    for (unsigned g = 0; !err && g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        if (group->skipped)
            continue;
        plan->p_own |= !work->in_use[group->in_use].session->aead->backend->from_state;
        err = bind_fields(group, work);
    }
    plan->bound = err == KFE_OK;
    return err;
}

kfe_error kfe_plan_hash(kfe_plan *plan, kfe_work *work)
{
    uint8_t(*states)[16] = kfe_work_take(work, plan->n_groups * sizeof(*states));
    if (states == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        if (group->skipped)
            continue;
        const kfe_aead_key *key = work->in_use[group->in_use].session->aead;
        group->state = &states[g];
        if (key->backend->from_state)
            key->backend->hash(key, states[g], plan->p, plan->p_fixed / 16);
    }
    return KFE_OK;
}
