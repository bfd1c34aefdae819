/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

static kfe_error check_record(const kfe_record *in)
{
    kfe_error err = kfe_check_views(in);
    if (err)
        return err;
    if (in->key_ref != NULL && in->key_ref->name == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "the record's key reference has no name");
    if (in->n_headers > KFE_HEADERS_MAX)
        return kfe_fail(KFE_E_RECORD, "record has more than %d headers", KFE_HEADERS_MAX);
    if (in->key.len > KFE_LEN_MAX - KFE_SIV_GROWTH || in->value.len > KFE_LEN_MAX)
        return kfe_fail(KFE_E_RECORD, "key or value is longer than 1 GiB");
    for (size_t i = 0; i < in->n_headers; i++) {
        const kfe_header *h = &in->headers[i];
        if (h->key_ref != NULL && h->key_ref->name == NULL)
            return kfe_fail(KFE_E_ARGUMENT, "the key reference of header %zu has no name", i);
        if (h->name.data == NULL || h->name.len > UINT16_MAX || h->value.len > KFE_LEN_MAX)
            return kfe_fail(KFE_E_RECORD, "header %zu has no name, or is too long", i);
        if (kfe_is_envelope(h->name))
            return kfe_fail(KFE_E_RECORD, "the header name kfe is reserved");
    }
    return KFE_OK;
}

typedef struct {
    kfe_key_ref record, headers; /* name NULL: none */
} choice;

static kfe_error choose(const kfe_settings *s, kfe_key_manager *manager, const kfe_record *in,
                        kfe_work *work, kfe_plan *plan, choice *out)
{
    plan->listed = !s->has_manager;
    if (s->unencrypted != NULL) {
        kfe_error err = kfe_pattern_match(s->unencrypted, in->topic, &plan->listed);
        if (err)
            return err;
    }
    if (in->key_ref != NULL) {
        out->record = out->headers = plan->key_ref;
        return KFE_OK;
    }
    if (plan->listed || !s->has_manager)
        return KFE_OK;
    plan->once |= !KFE_HAS(manager->ops, by_topic) || !manager->ops->by_topic(manager);
    kfe_key_choice *chosen = kfe_work_keep(work, sizeof(*chosen));
    if (chosen == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_error err = manager->ops->choose(manager, in, chosen);
    if (err)
        return err;
    chosen->record[KFE_NAME_MAX] = chosen->headers[KFE_NAME_MAX] = '\0';
    out->record.name = chosen->record[0] != '\0' ? chosen->record : NULL;
    out->headers.name = chosen->headers[0] != '\0' ? chosen->headers : NULL;
    return KFE_OK;
}

/* The plan's group under `ref`, made when missing. */
static kfe_error group_of(const kfe_settings *s, kfe_plan *plan, kfe_work *work,
                          const kfe_key_ref *ref, kfe_group **out)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        if (group->ref.version == ref->version && strcmp(group->ref.name, ref->name) == 0) {
            *out = group;
            return KFE_OK;
        }
    }
    if (plan->n_groups == KFE_GROUPS_MAX)
        return kfe_fail(KFE_E_RECORD, "record wants more than %d different keys", KFE_GROUPS_MAX);
    kfe_error err = kfe_key_name_check(ref->name);
    if (err)
        return err;
    uint8_t *map = kfe_work_keep(work, plan->n_headers / 8 + 1);
    if (map == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_group *group = &plan->groups[plan->n_groups];
    group->ref = *ref;
    group->env.map = map;
    group->env.suite = s->suite;
    group->env.record_scope = s->record_scope;
    group->env.n_headers = plan->n_headers;
    group->env.group = plan->n_groups++;
    *out = group;
    return KFE_OK;
}

static kfe_error cover_record(const kfe_settings *s, kfe_plan *plan, kfe_work *work,
                              const kfe_key_ref *ref)
{
    kfe_group *group = NULL;
    if (ref->name == NULL) {
        if ((s->values || s->keys != KFE_KEYS_CLEAR) && !plan->listed)
            return kfe_fail(KFE_E_NO_KEY, "no key is chosen for the record, and its topic is not "
                                          "in encryption.unencrypted.topics");
        return KFE_OK;
    }
    kfe_error err = group_of(s, plan, work, ref, &group);
    if (err)
        return err;
    if (s->keys != KFE_KEYS_CLEAR)
        group->env.key = !plan->has_key                      ? KFE_KEY_NULL
                         : s->keys == KFE_KEYS_DETERMINISTIC ? KFE_KEY_DETERMINISTIC
                                                             : KFE_KEY_SEALED;
    if (s->values)
        group->env.value = plan->has_value ? KFE_VALUE_SEALED : KFE_VALUE_NULL;
    return KFE_OK;
}

static kfe_error cover_header(const kfe_settings *s, kfe_plan *plan, kfe_work *work,
                              const kfe_key_ref *ref, uint32_t i)
{
    const kfe_header *header = &plan->headers[i];
    kfe_group *group = NULL;
    bool matches = true;
    kfe_error err = KFE_OK;
    if (header->key_ref != NULL)
        ref = header->key_ref;
    else
        err = kfe_pattern_match(s->headers, header->name, &matches);
    if (err || !matches)
        return err;
    if (ref->name == NULL) {
        if (plan->listed)
            return KFE_OK;
        return kfe_fail(KFE_E_NO_KEY,
                        "no key is chosen for header %u, which "
                        "encryption.encrypt.headers wants sealed",
                        i);
    }
    err = group_of(s, plan, work, ref, &group);
    if (!err)
        ((uint8_t *)(uintptr_t)group->env.map)[i / 8] |= (uint8_t)(1u << (i % 8));
    return err;
}

/* The plan's own copy of the record's key reference. */
static kfe_error keep_ref(const kfe_record *in, kfe_work *work, kfe_plan *plan)
{
    if (in->key_ref == NULL)
        return KFE_OK;
    size_t len = strlen(in->key_ref->name);
    char *name = kfe_work_keep(work, len + 1);
    if (name == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    memcpy(name, in->key_ref->name, len);
    plan->key_ref = (kfe_key_ref){name, in->key_ref->version};
    return KFE_OK;
}

static kfe_error cover(const kfe_settings *s, kfe_work *work, const choice *chosen, kfe_plan *plan)
{
    kfe_error err = cover_record(s, plan, work, &chosen->record);
    for (uint32_t i = 0; !err && i < plan->n_headers; i++)
        err = cover_header(s, plan, work, &chosen->headers, i);
    if (err || plan->n_groups > 0)
        return err;
    return plan->listed ? KFE_OK
                        : kfe_fail(KFE_E_NO_KEY, "no key is chosen for any field of the record");
}

kfe_error kfe_policy_plan(const kfe_settings *s, kfe_key_manager *manager, const kfe_record *in,
                          kfe_work *work, kfe_plan **out)
{
    kfe_error err = check_record(in);
    if (err)
        return err;
    kfe_plan *plan = kfe_plan_new(work, in, 0);
    size_t most = 2;
    for (uint32_t i = 0; i < in->n_headers && most < KFE_GROUPS_MAX; i++)
        most += in->headers[i].key_ref != NULL;
    kfe_group *groups = kfe_work_keep(work, most * sizeof(*groups));
    if (plan == NULL || groups == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    plan->groups = groups;
    plan->once = most > 2; /* a header names its own key */
    choice chosen = {{NULL, 0}, {NULL, 0}};
    err = keep_ref(in, work, plan);
    if (!err)
        err = choose(s, manager, in, work, plan, &chosen);
    if (!err)
        err = cover(s, work, &chosen, plan);
    if (err || plan->n_groups == 0)
        return err;
    if (kfe_plan_names_clash(plan))
        return kfe_fail(KFE_E_RECORD, "a clear header bears the name of a sealed one");
    for (unsigned g = 0; g < plan->n_groups; g++)
        plan->groups[g].env.n_groups = plan->n_groups;
    *out = plan;
    return kfe_plan_list(plan, work);
}
