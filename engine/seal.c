/* SPDX-License-Identifier: Apache-2.0 */
/* Seals a batch: plans every record, leases counters for all of them at once, lays out envelopes
 * and fields, and gives the backend one batch. */
#include "engine/engine.h"
#include "engine/secret.h"
#include "engine/wire.h"

size_t kfe_seal_space(const kfe_record *in, size_t n, unsigned flags)
{
    (void)flags; /* in place needs less; not worth another promise */
    size_t space = 16;
    for (size_t i = 0; i < n; i++) {
        size_t groups = 2, text = kfe_room(in[i].key) + KFE_SIV_GROWTH + kfe_room(in[i].value);
        if (in[i].headers == NULL || in[i].n_headers > KFE_HEADERS_MAX + KFE_GROUPS_MAX) {
            space += text + KFE_META_MAX + 128; /* no headers, or refused */
            continue;
        }
        for (size_t h = 0; h < in[i].n_headers; h++) {
            text += kfe_room(in[i].headers[h].value);
            groups += in[i].headers[h].key_ref != NULL;
        }
        groups = groups < KFE_GROUPS_MAX ? groups : KFE_GROUPS_MAX;
        space += 16 + sizeof(kfe_header) * (in[i].n_headers + groups) + groups * KFE_META_MAX +
                 KFE_TAG_LEN * (in[i].n_headers + 2 + groups) + text;
    }
    return space;
}

static kfe_error session_for(const kfe_job *j, const kfe_key_ref *ref, size_t *index)
{
    kfe_work *work = j->work;
    for (size_t i = work->n_in_use, n = 0; i-- > 0 && n < KFE_LOOK_BACK; n++) {
        const kfe_in_use *u = &work->in_use[i];
        if (u->session->suite != 0 && u->version == ref->version &&
            strcmp(u->name, ref->name) == 0) {
            *index = i;
            return KFE_OK;
        }
    }
    kfe_session *session = NULL;
    kfe_error err = kfe_sealer_get(j->state, ref, &session);
    if (!err)
        err = kfe_job_use(j, session, index);
    if (!err) {
        work->in_use[*index].name = session->name;
        work->in_use[*index].version = ref->version;
    }
    return err;
}

static kfe_error det_session(const kfe_job *j, size_t *index)
{
    kfe_work *work = j->work;
    const kfe_settings *s = &j->engine->settings;
    for (size_t i = 0; i < work->n_in_use; i++)
        if (work->in_use[i].session->suite == 0) {
            *index = i + 1;
            return KFE_OK;
        }
    kfe_opener_ref ref = {.name = {(const uint8_t *)s->det_name, strlen(s->det_name)},
                          .version = s->det_version,
                          .sealing = true};
    kfe_session *session = NULL;
    kfe_error err = kfe_opener_get(j->state, &ref, &session);
    if (!err)
        err = kfe_job_use(j, session, index);
    if (!err)
        *index += 1;
    return err;
}

static kfe_error plan_one(const kfe_job *j, kfe_plan *plan, const kfe_record *in)
{
    const kfe_settings *s = &j->engine->settings;
    kfe_error err = kfe_policy_plan(s, j->engine->manager, in, j->work, plan);
    if (err || !plan->ready)
        return err;
    plan->ready = false;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        group->env.suite = s->suite;
        group->env.record_scope = s->record_scope;
        group->env.n_groups = plan->n_groups;
        err = session_for(j, &group->ref, &group->in_use);
        if (!err && group->env.key == KFE_KEY_DETERMINISTIC)
            err = det_session(j, &plan->det);
        if (err)
            return err;
    }
    err = kfe_plan_measure(plan);
    if (err)
        return err;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        kfe_use *use = &j->work->in_use[group->in_use].use;
        use->envelopes++;
        use->fields += group->env.record_scope || group->n_fields == 0 ? 1 : group->n_fields;
        use->blocks += group->len / 16 + group->n_fields + 1;
    }
    plan->ready = true;
    return KFE_OK;
}

/* A session at its hard limit is replaced once: what is refused then is a batch too large for any.
 */
static void lease(const kfe_job *j, kfe_in_use *u)
{
    if (u->use.envelopes == 0)
        return;
    u->error = kfe_counter_draw(u->session->counter, &u->use, &u->next);
    if (!u->error)
        return;
    kfe_session *fresh = NULL;
    kfe_key_ref ref = {u->session->name, u->version};
    kfe_error err = kfe_sealer_get(j->state, &ref, &fresh);
    if (err) {
        u->error = err;
        return;
    }
    kfe_session_put(j->state, u->session);
    u->session = fresh;
    u->name = fresh->name;
    u->error = kfe_counter_draw(fresh->counter, &u->use, &u->next);
}

static kfe_error seal_key(const kfe_job *j, kfe_plan *plan, uint8_t **at)
{
    if (plan->det == 0)
        return KFE_OK;
    uint8_t *text = kfe_work_take(j->work, plan->key.len + 1);
    if (text == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    text[0] = 1;
    kfe_put(text + 1, plan->key.data, plan->key.len);
    plan->det_key = (kfe_bytes){*at, plan->key.len + KFE_SIV_GROWTH};
    kfe_error err =
        kfe_siv_seal(j->engine->settings.crypto, j->work->in_use[plan->det - 1].session->siv,
                     KFE_DET_LABEL, sizeof(KFE_DET_LABEL) - 1, text, plan->key.len + 1, *at);
    *at += plan->det_key.len;
    return err;
}

static void write_envelope(const kfe_job *j, kfe_group *group, kfe_header *header, uint8_t **at)
{
    const kfe_settings *s = &j->engine->settings;
    kfe_in_use *u = &j->work->in_use[group->in_use];
    kfe_envelope *e = &group->env;
    e->name = (kfe_bytes){(const uint8_t *)u->session->name, strlen(u->session->name)};
    e->version = u->session->version;
    e->det_name = (kfe_bytes){(const uint8_t *)s->det_name, strlen(s->det_name)};
    e->det_version = s->det_version;
    e->session = (kfe_bytes){u->session->salt, KFE_SALT_LEN};
    e->commitment = u->session->committed ? u->session->commitment : NULL;
    e->counter = u->next++;
    e->n_tags = e->record_scope || group->n_fields == 0 ? 1 : group->n_fields;
    uint8_t *start = *at;
    group->tags = kfe_envelope_write(start, e);
    e->metadata = (kfe_bytes){start, (size_t)(group->tags - start)};
    *at = group->tags + (size_t)e->n_tags * KFE_TAG_LEN;
    *header =
        (kfe_header){.name = {(const uint8_t *)"kfe", 3}, .value = {start, (size_t)(*at - start)}};
}

static void fill(const kfe_plan *plan, const kfe_record *in, kfe_header *headers, kfe_record *out)
{
    kfe_record made = {.topic = in->topic, .partition = in->partition, .headers = headers};
    made.key = plan->det != 0 ? plan->det_key : kfe_plan_result(plan->key, plan->key_out);
    made.value = kfe_plan_result(plan->value, plan->value_out);
    made.n_headers = plan->n_groups + plan->n_headers;
    for (uint32_t i = 0; i < plan->n_headers; i++) {
        kfe_header *h = &headers[plan->n_groups + i];
        *h = (kfe_header){.name = plan->headers[i].name};
        h->value = kfe_plan_result(plan->headers[i].value, plan->header_out[i]);
    }
    *out = made;
}

static kfe_error lay_out(const kfe_job *j, kfe_plan *plan, uint8_t **at)
{
    size_t i = plan->index;
    kfe_header *headers = kfe_take_headers(at, plan->n_groups + plan->n_headers);
    kfe_error err = seal_key(j, plan, at);
    for (unsigned g = 0; g < plan->n_groups; g++) {
        plan->aad_key.sealed |= plan->groups[g].env.key == KFE_KEY_SEALED;
        write_envelope(j, &plan->groups[g], &headers[g], at);
    }
    plan->aad_key.bytes = plan->det != 0 ? plan->det_key : plan->key;
    if (!err)
        err = kfe_topic_label(&j->engine->settings, j->in[i].topic, false, NULL, &plan->label);
    if (!err)
        err = kfe_plan_place(plan, j->work, at, j->in_place);
    if (!err)
        err = kfe_plan_emit(plan, j->work);
    if (!err)
        fill(plan, &j->in[i], headers, &j->out[i]);
    return err;
}

static void plan_all(const kfe_job *j, uint8_t **at)
{
    for (size_t i = 0; i < j->n; i++) {
        kfe_plan *plan = &j->plans[i];
        plan->index = (uint32_t)i;
        kfe_error err = plan_one(j, plan, &j->in[i]);
        if (err)
            kfe_job_fail(j, plan, err);
        else if (!plan->ready)
            kfe_pass_in_clear(&j->in[i], &j->out[i], at);
    }
    for (size_t u = 0; u < j->work->n_in_use; u++)
        lease(j, &j->work->in_use[u]);
    for (size_t i = 0; i < j->n; i++) {
        kfe_plan *plan = &j->plans[i];
        for (unsigned g = 0; plan->ready && g < plan->n_groups; g++) {
            kfe_error err = j->work->in_use[plan->groups[g].in_use].error;
            if (err)
                kfe_job_fail(j, plan,
                             kfe_fail(err, "the session is used up and has no successor: %s",
                                      kfe_error_name(err)));
        }
        if (plan->ready)
            kfe_plan_announce(plan, j->work);
    }
}

static kfe_error seal_all(const kfe_job *j, uint8_t *at)
{
    plan_all(j, &at);
    kfe_error err = kfe_work_arrange(j->work);
    for (size_t i = 0; !err && i < j->n; i++)
        if (j->plans[i].ready)
            err = lay_out(j, &j->plans[i], &at);
    if (!err)
        err = kfe_run_batch(j->work, true);
    for (size_t i = 0; i < j->n; i++) {
        if (!j->plans[i].ready)
            continue;
        if (err)
            kfe_job_fail(j, &j->plans[i], err);
        else
            kfe_plan_scatter(&j->plans[i], j->in_place);
    }
    return kfe_work_result(j->work);
}

kfe_error kfe_seal(kfe_engine *engine, const kfe_record *in, kfe_record *out, size_t n, void *space,
                   size_t cap, unsigned flags)
{
    kfe_job j = {.engine = engine, .in = in, .out = out, .n = n};
    j.in_place = (flags & KFE_IN_PLACE) != 0;
    kfe_error err = kfe_job_begin(&j, space != NULL ? cap : 0, kfe_seal_space);
    if (err || n == 0)
        return err;
    err = seal_all(&j, space);
    kfe_engine_leave(engine, j.state, j.work);
    return err;
}
