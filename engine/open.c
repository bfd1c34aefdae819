/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a batch: accepts every record by its form, finds its sessions, gives the backend one batch,
 * and hands out what verified in full. */
#include "engine/engine.h"
#include "engine/secret.h"
#include "engine/wire.h"

size_t kfe_open_space(const kfe_record *in, size_t n, unsigned flags)
{
    (void)flags;
    size_t space = 16;
    for (size_t i = 0; i < n; i++) {
        size_t n_headers = in[i].headers == NULL ? 0 : in[i].n_headers;
        space += 16 + sizeof(kfe_header) * n_headers + kfe_room(in[i].key) + kfe_room(in[i].value);
        for (size_t h = 0; h < n_headers; h++)
            space += kfe_room(in[i].headers[h].value);
    }
    return space;
}

static bool same(const kfe_session *s, const kfe_opener_ref *ref)
{
    kfe_bytes name = {(const uint8_t *)s->name, strlen(s->name)};
    kfe_bytes salt = {s->salt, KFE_SALT_LEN}, wanted = {ref->salt, KFE_SALT_LEN};
    return s->suite == ref->suite && s->version == ref->version && s->committed == ref->committed &&
           (ref->suite == 0 || kfe_names_equal(salt, wanted)) && kfe_names_equal(name, ref->name);
}

static kfe_error session_for(const kfe_job *j, const kfe_opener_ref *ref, size_t *index)
{
    kfe_work *work = j->work;
    for (size_t i = work->n_in_use, n = 0; i-- > 0 && n < KFE_LOOK_BACK; n++)
        if (same(work->in_use[i].session, ref)) {
            *index = i;
            return KFE_OK;
        }
    kfe_session *session = NULL;
    kfe_error err = kfe_opener_get(j->state, ref, &session);
    return err ? err : kfe_job_use(j, session, index);
}

static kfe_error find_keys(const kfe_job *j, kfe_plan *plan, kfe_group *group)
{
    const kfe_envelope *e = &group->env;
    if (e->kind != KFE_DERIVED)
        return kfe_fail(KFE_E_KEY_DENIED, "key %.*s version %u cannot open a %s session here",
                        (int)e->name.len, (const char *)e->name.data, e->version,
                        e->kind == KFE_WRAPPED ? "wrapped" : "direct");
    kfe_opener_ref ref = {.suite = e->suite,
                          .name = e->name,
                          .version = e->version,
                          .salt = e->session.data,
                          .committed = e->commitment != NULL};
    kfe_error err = session_for(j, &ref, &group->in_use);
    if (err)
        return err;
    const kfe_session *session = j->work->in_use[group->in_use].session;
    if (e->commitment != NULL && !kfe_equal_ct(e->commitment, session->commitment, KFE_COMMIT_LEN))
        return kfe_fail(KFE_E_AUTH, "record refused: its commitment is to another key");
    if (e->key != KFE_KEY_DETERMINISTIC)
        return KFE_OK;
    kfe_opener_ref det = {.name = e->det_name, .version = e->det_version};
    size_t index = 0;
    err = session_for(j, &det, &index);
    plan->det = err ? 0 : index + 1;
    return err;
}

/* What encryption.consumer.partial may leave sealed. */
static bool not_at_hand(kfe_error err)
{
    return err == KFE_E_KEY_UNKNOWN || err == KFE_E_KEY_DESTROYED || err == KFE_E_KEY_DENIED;
}

static kfe_error find_label(const kfe_job *j, kfe_plan *plan)
{
    char *room = NULL;
    const kfe_settings *s = &j->engine->settings;
    if (s->topic_map != NULL && (room = kfe_work_take(j->work, KFE_LABEL_ROOM)) == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    return kfe_topic_label(s, j->in[plan->index].topic, true, room, &plan->label);
}

static kfe_error plan_one(const kfe_job *j, kfe_plan *plan, const kfe_record *in)
{
    const kfe_settings *s = &j->engine->settings;
    kfe_error err = kfe_accept_plan(s, in, j->work, plan);
    if (err || !plan->ready)
        return err;
    plan->ready = false;
    err = find_label(j, plan);
    if (err)
        return err;
    kfe_error missing = KFE_OK;
    unsigned opened = 0;
    char detail[256] = "";
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        group->tags = (uint8_t *)(uintptr_t)group->env.tags;
        plan->aad_key.sealed |= group->env.key == KFE_KEY_SEALED;
        err = find_keys(j, plan, group);
        group->skipped = err && s->partial && not_at_hand(err);
        if (err && !group->skipped)
            return err;
        opened += !group->skipped;
        if (group->skipped && !missing) {
            missing = err;
            strncpy(detail, kfe_error_detail(), sizeof(detail) - 1);
        }
    }
    if (opened == 0)
        return kfe_fail(missing, "%s", detail);
    plan->aad_key.bytes = plan->key;
    plan->ready = true;
    return KFE_OK;
}

static kfe_error lay_out(const kfe_job *j, kfe_plan *plan, uint8_t **at)
{
    kfe_error err = kfe_plan_place(plan, j->work, at, j->in_place);
    return err ? err : kfe_plan_emit(plan, j->work);
}

/* The text of a deterministic key is 01 || key. It goes to the space also in place. */
static kfe_error open_key(const kfe_job *j, kfe_plan *plan, uint8_t **at)
{
    if (plan->det == 0)
        return KFE_OK;
    uint8_t *text = *at;
    size_t len = plan->key.len - KFE_SIV_GROWTH + 1;
    *at += len;
    kfe_session *session = j->work->in_use[plan->det - 1].session;
    kfe_error err = kfe_siv_open(j->engine->settings.crypto, session->siv, KFE_DET_LABEL,
                                 sizeof(KFE_DET_LABEL) - 1, plan->key.data, plan->key.len, text);
    if (!err && text[0] != 1) {
        kfe_wipe(text, len);
        err = KFE_E_AUTH;
    }
    if (err)
        return err == KFE_E_AUTH ? kfe_fail(err, "record refused: its deterministic key is forged")
                                 : err;
    kfe_session_prove(j->state, session);
    plan->det_key = (kfe_bytes){text + 1, len - 1};
    return KFE_OK;
}

static kfe_field_status status_of(const kfe_group *group)
{
    return group->skipped ? KFE_FIELD_SEALED : KFE_FIELD_OPENED;
}

static void fill(const kfe_plan *plan, const kfe_record *in, kfe_record *out, kfe_header *headers)
{
    kfe_record made = {.topic = in->topic, .partition = in->partition, .headers = headers};
    made.key =
        plan->det_key.data != NULL ? plan->det_key : kfe_plan_result(plan->key, plan->key_out);
    made.value = kfe_plan_result(plan->value, plan->value_out);
    made.n_headers = plan->n_headers;
    for (uint32_t i = 0; i < plan->n_headers; i++) {
        headers[i] = (kfe_header){.name = plan->headers[i].name};
        headers[i].value = kfe_plan_result(plan->headers[i].value, plan->header_out[i]);
    }
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        if (group->env.key != KFE_KEY_UNCOVERED)
            made.key_status = status_of(group);
        if (group->env.value != KFE_VALUE_UNCOVERED)
            made.value_status = status_of(group);
        for (uint32_t i = 0; i < group->env.n_headers; i++)
            if (kfe_covers_header(&group->env, i))
                headers[i].status = status_of(group);
    }
    *out = made;
}

static void mark_forged(const kfe_job *j)
{
    const kfe_aead_batch *b = &j->work->batch;
    for (size_t w = 0; w < (b->n + 63) / 64; w++)
        for (uint64_t bits = b->failed[w]; bits != 0; bits &= bits - 1) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(bits);
            kfe_plan *plan = &j->plans[j->work->record[i]];
            if (plan->ready)
                kfe_job_fail(j, plan,
                             kfe_fail(KFE_E_AUTH, "record refused: a tag does not verify"));
        }
}

static void finish(const kfe_job *j, kfe_plan *plan, uint8_t **at)
{
    kfe_error err = open_key(j, plan, at);
    if (err) {
        kfe_job_fail(j, plan, err);
        return;
    }
    for (unsigned g = 0; g < plan->n_groups; g++)
        if (!plan->groups[g].skipped)
            kfe_session_prove(j->state, j->work->in_use[plan->groups[g].in_use].session);
    kfe_plan_scatter(plan, j->in_place);
    fill(plan, &j->in[plan->index], &j->out[plan->index], kfe_take_headers(at, plan->n_headers));
}

static kfe_error open_all(const kfe_job *j, uint8_t *at)
{
    for (size_t i = 0; i < j->n; i++) {
        kfe_plan *plan = &j->plans[i];
        plan->index = (uint32_t)i;
        kfe_error err = plan_one(j, plan, &j->in[i]);
        if (err) {
            kfe_job_fail(j, plan, err);
        } else if (!plan->ready) {
            kfe_pass_in_clear(&j->in[i], &j->out[i], &at);
        } else {
            kfe_plan_announce(plan, j->work);
        }
    }
    kfe_error err = kfe_work_arrange(j->work);
    for (size_t i = 0; !err && i < j->n; i++)
        if (j->plans[i].ready)
            err = lay_out(j, &j->plans[i], &at);
    if (!err)
        err = kfe_run_batch(j->work, false);
    if (!err)
        mark_forged(j);
    for (size_t i = 0; i < j->n; i++) {
        if (!j->plans[i].ready)
            continue;
        if (err)
            kfe_job_fail(j, &j->plans[i], err);
        else
            finish(j, &j->plans[i], &at);
    }
    return kfe_work_result(j->work);
}

kfe_error kfe_open(kfe_engine *engine, const kfe_record *in, kfe_record *out, size_t n, void *space,
                   size_t cap, unsigned flags)
{
    kfe_job j = {.engine = engine, .in = in, .out = out, .n = n};
    j.in_place = (flags & KFE_IN_PLACE) != 0;
    kfe_error err = kfe_job_begin(&j, space != NULL ? cap : 0, kfe_open_space);
    if (err || n == 0)
        return err;
    err = open_all(&j, space);
    kfe_engine_leave(engine, j.state, j.work);
    return err;
}
