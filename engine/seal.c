/* SPDX-License-Identifier: Apache-2.0 */
/* Seals a batch: plans every record, leases counters for all of them at once, lays out envelopes
 * and fields, and gives the backend one batch. */
#include "engine/layout.h"
#include "engine/secret.h"
#include "engine/wire.h"

size_t kfe_seal_space(const kfe_record *in, size_t n, unsigned flags)
{
    (void)flags; /* in place needs less; not worth another promise */
    size_t space = 16;
    for (size_t i = 0; i < n; i++) {
        const kfe_record *r = &in[i];
        size_t groups = 2, text = kfe_room(r->key) + KFE_SIV_GROWTH + kfe_room(r->value);
        if (r->headers == NULL || r->n_headers > KFE_HEADERS_MAX + KFE_GROUPS_MAX) {
            space += text + KFE_META_MAX + 128; /* no headers, or refused */
            continue;
        }
        const kfe_header *h = r->headers;
        for (size_t left = r->n_headers; left > 0; left--, h++) {
            text += kfe_room(h->value);
            groups += h->key_ref != NULL;
        }
        groups = groups < KFE_GROUPS_MAX ? groups : KFE_GROUPS_MAX;
        space += 16 + sizeof(kfe_header) * (r->n_headers + groups) + groups * KFE_META_MAX +
                 (KFE_IV_MAX + KFE_TAG_LEN) * (r->n_headers + 2 + groups) + text;
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
    kfe_error err = kfe_sealer_get(j->state, ref, &session, &work->until);
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
    kfe_error err = kfe_opener_get(j->state, &ref, &session, &work->until);
    if (!err)
        err = kfe_job_use(j, session, index);
    if (!err)
        *index += 1;
    return err;
}

/* Decides for a record, and for those that will be like it. */
static kfe_error make_plan(const kfe_job *j, const kfe_record *in, kfe_plan **out)
{
    const kfe_settings *s = &j->engine->settings;
    kfe_error err = kfe_policy_plan(s, j->engine->manager, in, j->work, out);
    kfe_plan *plan = *out;
    for (unsigned g = 0; !err && plan != NULL && g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        err = session_for(j, &group->ref, &group->in_use);
        if (!err && group->env.key == KFE_KEY_DETERMINISTIC)
            err = det_session(j, &plan->det);
    }
    return err;
}

/* Counts what the record will take of its sessions. */
static kfe_error count(const kfe_job *j, const kfe_plan *plan, const kfe_record *in)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        kfe_use *use = &j->work->in_use[group->in_use].use;
        uint64_t len = kfe_group_len(group, in, in->headers);
        if (group->env.record_scope && len > UINT32_MAX)
            return kfe_fail(KFE_E_RECORD, "record is too long for one tag");
        use->envelopes++;
        use->fields += group->n_tags;
        use->blocks += len / 16 + group->n_fields + 1;
    }
    return KFE_OK;
}

static kfe_error plan_one(kfe_job *j, size_t index)
{
    const kfe_record *in = &j->in[index];
    kfe_plan *plan = kfe_job_plan(j, in);
    if (plan == NULL) {
        kfe_error err = make_plan(j, in, &plan);
        if (err || plan == NULL)
            return err;
        kfe_plan_add(j->work, plan);
    }
    kfe_error err = count(j, plan, in);
    if (!err)
        kfe_job_take(j, index, plan);
    return err;
}

/* A session at its hard limit is replaced once: what is refused then is a batch too large for any.
 */
static void lease(const kfe_job *j, kfe_in_use *u)
{
    if (u->use.envelopes == 0)
        return;
    if (u->session->tally != NULL && !kfe_tally_take(u->session->tally, u->use.fields)) {
        u->error = KFE_E_KEY_EXHAUSTED;
        return;
    }
    u->error = kfe_counter_draw(u->session->counter, &u->use, &u->next);
    if (!u->error)
        return;
    kfe_session *fresh = NULL;
    kfe_key_ref ref = {u->session->name, u->version};
    kfe_error err = kfe_sealer_get(j->state, &ref, &fresh, &j->work->until);
    if (err) {
        u->error = err;
        return;
    }
    kfe_session_put(j->state, u->session);
    u->session = fresh;
    u->name = fresh->name;
    for (kfe_plan *plan = j->work->plans; plan != NULL; plan = plan->older)
        plan->bound = false; /* it may have been this session's */
    u->error = kfe_counter_draw(fresh->counter, &u->use, &u->next);
}

/* The metadata of a plan's envelopes, with a counter that each record replaces by its own. */
static kfe_error write_metadata(const kfe_job *j, kfe_plan *plan)
{
    const kfe_settings *s = &j->engine->settings;
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_envelope *e = &plan->groups[g].env;
        const kfe_session *session = j->work->in_use[plan->groups[g].in_use].session;
        e->name = (kfe_bytes){(const uint8_t *)session->name, strlen(session->name)};
        e->version = session->version;
        e->det_name = (kfe_bytes){(const uint8_t *)s->det_name, strlen(s->det_name)};
        e->det_version = s->det_version;
        e->kind = session->kind;
        e->session = (kfe_bytes){session->wire, session->wire_len};
        e->iv_len = session->iv_len;
        e->commitment = session->committed ? session->commitment : NULL;
        uint8_t *start =
            kfe_work_keep(j->work, KFE_META_MAX - KFE_KEY_WRAPPED_MAX + session->wire_len);
        if (start == NULL)
            return kfe_fail(KFE_E_MEMORY, "out of memory");
        e->metadata = (kfe_bytes){start, (size_t)(kfe_envelope_write(start, e) - start)};
    }
    kfe_error err = kfe_topic_label(s, plan->topic, false, NULL, &plan->label);
    return err ? err : kfe_plan_prefix(plan, j->work);
}

/* The key as stored: a deterministic one is sealed into the space. */
static kfe_error stored_key(const kfe_job *j, size_t index, uint8_t **at, kfe_bytes *out)
{
    const kfe_plan *plan = j->items[index].plan;
    kfe_bytes key = j->in[index].key;
    *out = key;
    if (plan->det == 0)
        return KFE_OK;
    uint8_t *text = kfe_work_take(j->work, key.len + 1);
    if (text == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    text[0] = 1;
    kfe_put(text + 1, key.data, key.len);
    *out = (kfe_bytes){*at, key.len + KFE_SIV_GROWTH};
    *at += out->len;
    return kfe_siv_seal(j->engine->settings.crypto, j->work->in_use[plan->det - 1].session->siv,
                        KFE_DET_LABEL, sizeof(KFE_DET_LABEL) - 1, text, key.len + 1,
                        (uint8_t *)(uintptr_t)out->data);
}

static kfe_error lay_out(const kfe_job *j, size_t index, uint8_t **at)
{
    kfe_bytes key;
    uint8_t *start = *at;
    kfe_error err = stored_key(j, index, at, &key);
    if (err)
        return err;
    err = kfe_layout(j, index, key, at);
    j->items[index].laid = (kfe_bytes){start, (size_t)(*at - start)};
    return err;
}

/* Sessions are leased for all records at once; whoever's is used up fails. */
static void lease_all(const kfe_job *j)
{
    for (size_t u = 0; u < j->work->n_in_use; u++)
        lease(j, &j->work->in_use[u]);
    for (size_t i = 0; i < j->n; i++) {
        kfe_plan *plan = j->items[i].plan;
        for (unsigned g = 0; plan != NULL && g < plan->n_groups; g++) {
            const kfe_in_use *u = &j->work->in_use[plan->groups[g].in_use];
            if (!u->error)
                continue;
            plan->uses--;
            kfe_job_fail(j, i,
                         kfe_fail(u->error,
                                  u->session->tally != NULL
                                      ? "this process may seal no more by this key: rotate it (%s)"
                                      : "the session is used up and has no successor: %s",
                                  kfe_error_name(u->error)));
            plan = NULL;
        }
    }
}

static kfe_error prepare(kfe_job *j, uint8_t **at)
{
    for (size_t i = 0; i < j->n; i++) {
        kfe_error err = plan_one(j, i);
        if (err)
            kfe_job_fail(j, i, err);
        else if (j->items[i].plan == NULL)
            kfe_pass_in_clear(&j->in[i], &j->out[i], at);
    }
    lease_all(j);
    kfe_error err = KFE_OK;
    for (kfe_plan *plan = j->work->plans; !err && plan != NULL; plan = plan->older)
        if (plan->uses > 0 && !plan->bound)
            err = write_metadata(j, plan);
    return err ? err : kfe_job_arrange(j);
}

static kfe_error seal_all(kfe_job *j, uint8_t *at)
{
    kfe_error err = prepare(j, &at);
    for (size_t i = 0; !err && i < j->n; i++)
        if (j->items[i].plan != NULL)
            err = lay_out(j, i, &at);
    if (!err)
        err = kfe_job_run(j);
    for (size_t i = 0; i < j->n; i++) {
        if (j->items[i].plan == NULL)
            continue;
        if (err)
            kfe_job_fail(j, i, err);
        else if (j->items[i].text != NULL)
            kfe_layout_scatter(j, i);
    }
    for (size_t u = 0; err && u < j->work->n_in_use; u++)
        kfe_sealer_failed(j->state, j->work->in_use[u].session);
    return kfe_work_result(j->work);
}

kfe_error kfe_seal(kfe_engine *engine, const kfe_record *in, kfe_record *out, size_t n, void *space,
                   size_t cap, unsigned flags)
{
    kfe_job j = {.engine = engine, .in = in, .out = out, .n = n, .seal = true};
    j.in_place = (flags & KFE_IN_PLACE) != 0;
    kfe_error err = kfe_job_begin(&j, space != NULL ? cap : 0, kfe_seal_space);
    if (err || n == 0)
        return err;
    err = seal_all(&j, space);
    kfe_job_count(&j);
    kfe_engine_leave(&j);
    return err;
}
