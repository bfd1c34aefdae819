/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked of a stored record before any key is looked up (docs/format.md, 9.1 to 9.4). */
#include "engine/policy.h"

static kfe_error refused(const char *what)
{
    return kfe_fail(KFE_E_AUTH, "record refused: %s", what);
}

static bool is_view(kfe_bytes bytes)
{
    return bytes.data != NULL || bytes.len == 0;
}

kfe_error kfe_check_views(const kfe_record *in)
{
    bool good = is_view(in->topic) && is_view(in->key) && is_view(in->value) &&
                (in->headers != NULL || in->n_headers == 0);
    for (size_t i = 0; good && i < in->n_headers; i++)
        good = in->headers[i].name.data != NULL && is_view(in->headers[i].value);
    if (good && in->topic.len > 0 && in->topic.len <= KFE_LABEL_MAX)
        return KFE_OK;
    return kfe_fail(KFE_E_ARGUMENT, good ? "record without a topic, or with too long a name of one"
                                         : "record with a length where there are no bytes");
}

kfe_error kfe_accept_count(const kfe_record *in, unsigned *n)
{
    size_t front = 0;
    while (front < in->n_headers && kfe_is_envelope(in->headers[front].name))
        front++;
    for (size_t i = front; i < in->n_headers; i++)
        if (kfe_is_envelope(in->headers[i].name))
            return refused("a kfe header stands among the others");
    if (front > KFE_GROUPS_MAX)
        return refused("too many kfe headers");
    *n = (unsigned)front;
    return KFE_OK;
}

static kfe_error read_groups(const kfe_record *in, kfe_plan *plan)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_envelope *e = &plan->groups[g].env;
        kfe_error err = kfe_envelope_read(in->headers[g].value, e);
        if (err)
            return err;
        if (e->group != g || e->n_groups != plan->n_groups)
            return refused("its groups are out of place, or some are missing");
        if (e->n_headers != plan->groups[0].env.n_headers)
            return refused("its groups count different headers");
    }
    return KFE_OK;
}

static kfe_error check_overlap(const kfe_plan *plan)
{
    unsigned keys = 0, values = 0;
    uint8_t seen[KFE_HEADERS_MAX / 8] = {0};
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_envelope *e = &plan->groups[g].env;
        keys += e->key != KFE_KEY_UNCOVERED;
        values += e->value != KFE_VALUE_UNCOVERED;
        for (uint32_t i = 0; i < (e->n_headers + 7) / 8; i++) {
            if (seen[i] & e->map[i])
                return refused("two groups cover one header");
            seen[i] |= e->map[i];
        }
    }
    return keys > 1 || values > 1 ? refused("two groups cover one field") : KFE_OK;
}

static kfe_error check_headers(const kfe_settings *s, const kfe_record *in, kfe_plan *plan)
{
    size_t others = in->n_headers - plan->n_groups;
    uint32_t counted = plan->groups[0].env.n_headers;
    if (others < counted)
        return refused("headers are missing");
    if (others > counted && s->added == KFE_ADDED_REFUSE)
        return refused("headers were added (encryption.consumer.added.headers)");
    if (s->added == KFE_ADDED_DROP)
        plan->n_headers = counted;
    for (uint32_t i = 0; i < plan->n_headers; i++)
        if (plan->headers[i].value.len > KFE_LEN_MAX)
            return refused("a header is too long");
    if (kfe_plan_names_clash(plan))
        return refused("a header that is not covered bears the name of a covered one");
    return KFE_OK;
}

static kfe_error check_fit(const kfe_record *in, const kfe_plan *plan)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_envelope *e = &plan->groups[g].env;
        bool null_key = in->key.data == NULL, null_value = in->value.data == NULL;
        if ((e->key == KFE_KEY_SEALED || e->key == KFE_KEY_DETERMINISTIC) && null_key)
            return refused("its key is null and was not");
        if (e->key == KFE_KEY_NULL && !null_key)
            return refused("its key is not null and was");
        if (e->value == KFE_VALUE_SEALED && null_value)
            return refused("its value is null and was not");
        if (e->value == KFE_VALUE_NULL && !null_value)
            return refused("its value is not null and was");
        if (e->key == KFE_KEY_DETERMINISTIC && in->key.len < KFE_SIV_GROWTH)
            return refused("its deterministic key is too short");
    }
    return KFE_OK;
}

static kfe_error check_policy(const kfe_settings *s, const kfe_plan *plan)
{
    bool value = false;
    for (unsigned g = 0; g < plan->n_groups; g++)
        value = value || plan->groups[g].env.value != KFE_VALUE_UNCOVERED;
    if (!value && s->values && !plan->listed)
        return kfe_fail(KFE_E_UNENCRYPTED, "no key covers the record's value");
    for (unsigned g = 0; g < plan->n_groups; g++)
        if ((s->suites >> plan->groups[g].env.suite & 1) == 0)
            return kfe_fail(KFE_E_SUITE, "suite %s is not in encryption.algorithms",
                            kfe_suite_name(plan->groups[g].env.suite));
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_envelope *e = &plan->groups[g].env;
        if (s->commit && e->commitment == NULL)
            return refused("it has no commitment (encryption.commit)");
        if (e->kind == KFE_WRAPPED && e->session.data[0] == 3 && !s->allow_rsa)
            return refused("its session is wrapped by RSA, which is not allowed "
                           "(encryption.keyprovider.pkcs11.allow.rsa)");
    }
    return KFE_OK;
}

static kfe_error check_all(const kfe_settings *s, const kfe_record *in, kfe_plan *plan)
{
    kfe_error err = read_groups(in, plan);
    if (!err)
        err = check_overlap(plan);
    if (!err)
        err = check_headers(s, in, plan);
    if (!err)
        err = check_fit(in, plan);
    if (!err)
        err = check_policy(s, plan);
    return err;
}

kfe_error kfe_accept_plan(const kfe_settings *s, const kfe_record *in, kfe_work *work,
                          kfe_plan **out)
{
    unsigned n = 0;
    bool listed = false;
    kfe_error err = kfe_check_views(in);
    if (!err)
        err = kfe_accept_count(in, &n);
    if (err)
        return err;
    if (s->unencrypted != NULL)
        err = kfe_pattern_match(s->unencrypted, in->topic, &listed);
    if (err) /* memory says nothing about the record */
        return err == KFE_E_MEMORY
                   ? err
                   : refused("encryption.unencrypted.topics cannot be matched with its topic");
    if (n == 0 && !listed)
        return kfe_fail(KFE_E_UNENCRYPTED, "record is in clear, and its topic is not in "
                                           "encryption.unencrypted.topics");
    if (n == 0)
        return KFE_OK;
    if (in->n_headers - n > KFE_HEADERS_MAX)
        return refused("too many headers");
    kfe_plan *plan = kfe_plan_new(work, in, n);
    kfe_group *groups = kfe_work_keep(work, n * sizeof(*groups));
    if (plan == NULL || groups == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    *out = plan;
    plan->listed = listed;
    plan->groups = groups;
    plan->n_groups = n;
    if (in->key.len > KFE_LEN_MAX || in->value.len > KFE_LEN_MAX)
        return refused("key or value is too long");
    err = check_all(s, in, plan);
    if (!err)
        err = kfe_plan_list(plan, work);
    return err;
}
