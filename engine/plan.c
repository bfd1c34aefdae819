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
    kfe_form *form = kfe_work_keep(work, n * sizeof(*form));
    kfe_header *says = kfe_work_keep(work, n * sizeof(*says));
    if (plan == NULL || form == NULL || says == NULL)
        return NULL;
    plan->topic = keep(work, in->topic, &good);
    plan->has_key = in->key.data != NULL;
    plan->has_value = in->value.data != NULL;
    plan->headers = in->headers + skip;
    plan->n_headers = n;
    plan->in_headers = in->n_headers;
    plan->form = form;
    plan->says = says;
    for (uint32_t i = 0; i < n; i++) {
        form[i].name = keep(work, plan->headers[i].name, &good);
        form[i].has = plan->headers[i].value.data != NULL;
        form[i].most = form[i].has ? KFE_LEN_MAX : 0;
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

/* Shorter names first. */
static int by_name(kfe_bytes a, kfe_bytes b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.data, b.data, a.len); /* public */
}

/* Lets the header at `i` of a heap of n sink to its place. */
static void sink(const kfe_form *form, uint16_t *heap, uint32_t i, uint32_t n)
{
    const uint16_t sinks = heap[i];
    for (uint32_t below; (below = 2 * i + 1) < n; i = below) {
        if (below + 1 < n && by_name(form[heap[below]].name, form[heap[below + 1]].name) < 0)
            below++;
        if (by_name(form[sinks].name, form[heap[below]].name) >= 0)
            break;
        heap[i] = heap[below];
    }
    heap[i] = sinks;
}

/* Whoever writes records chooses the names: a heap sorts all of them equally fast, and qsort() may
 * allocate. */
static void sort_names(const kfe_form *form, uint16_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = (uint16_t)i;
    for (uint32_t i = n / 2; i-- > 0;)
        sink(form, order, i, n);
    for (uint32_t left = n; left > 1;) {
        uint16_t last = order[0];
        order[0] = order[--left];
        order[left] = last;
        sink(form, order, 0, left);
    }
}

/* Most records do not get beyond the first line. */
bool kfe_plan_names_clash(const kfe_plan *plan)
{
    uint8_t map[KFE_HEADERS_MAX / 8] = {0};
    uint16_t order[KFE_HEADERS_MAX];
    if (!merge_maps(plan, map))
        return false;
    sort_names(plan->form, order, plan->n_headers);
    for (uint32_t i = 1; i < plan->n_headers; i++) {
        uint16_t a = order[i - 1], b = order[i];
        bool differ = ((map[a / 8] >> a % 8 ^ map[b / 8] >> b % 8) & 1) != 0;
        if (differ && kfe_names_equal(plan->form[a].name, plan->form[b].name))
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
                plan->form[i].has ? KFE_D_HEADER : KFE_D_NULL_HEADER)
                ->name = plan->form[i].name;
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
    plan->backend = NULL;
    plan->mixed = false;
    work->placed = NULL; /* what messages say of it changes */
    for (unsigned g = 0; !err && g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        if (group->skipped)
            continue;
        const kfe_backend *backend = work->in_use[group->in_use].session->aead->backend;
        plan->p_own |= !backend->from_state;
        plan->mixed |= plan->backend != NULL && plan->backend != backend;
        plan->backend = backend;
        err = bind_fields(group, work);
    }
    plan->bound = err == KFE_OK;
    return err;
}
