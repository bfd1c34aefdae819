/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a batch: accepts every record by its form, finds its sessions, gives the backend one batch,
 * and hands out what verified in full. */
#include <stdio.h>

#include "engine/layout.h"
#include "engine/secret.h"
#include "engine/wire.h"

size_t kfe_open_space(const kfe_record *in, size_t n, unsigned flags)
{
    (void)flags;
    size_t space = 16;
    for (size_t i = 0; i < n; i++) {
        size_t n_headers = in[i].headers == NULL ? 0 : in[i].n_headers;
        space += 16 + sizeof(kfe_header) * n_headers + kfe_room(in[i].key) + kfe_room(in[i].value);
        const kfe_header *h = in[i].headers;
        for (; n_headers > 0; n_headers--, h++)
            space += kfe_room(h->value);
    }
    return space;
}

static bool same(const kfe_session *s, const kfe_opener_ref *ref)
{
    kfe_bytes name = {(const uint8_t *)s->name, strlen(s->name)};
    return s->suite == ref->suite && s->kind == ref->kind && s->version == ref->version &&
           s->committed == ref->committed &&
           memcmp(s->origin, ref->origin, KFE_ORIGIN_LEN) == 0 && /* public */
           kfe_names_equal(name, ref->name);
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
    kfe_error err = kfe_opener_get(j->state, ref, &session, &work->until);
    return err ? err : kfe_job_use(j, session, index);
}

static kfe_error find_keys(const kfe_job *j, kfe_plan *plan, kfe_group *group)
{
    const kfe_envelope *e = &group->env;
    kfe_opener_ref ref = {.suite = e->suite,
                          .kind = e->kind,
                          .name = e->name,
                          .version = e->version,
                          .wire = e->session,
                          .iv_len = e->iv_len,
                          .committed = e->commitment != NULL};
    kfe_error err = kfe_opener_origin(j->engine->settings.crypto, &ref);
    if (!err)
        err = session_for(j, &ref, &group->in_use);
    if (err)
        return err;
    plan->direct |= e->kind == KFE_DIRECT;
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
    if (s->topic_map != NULL && (room = kfe_work_keep(j->work, KFE_LABEL_ROOM)) == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    return kfe_topic_label(s, plan->topic, true, room, &plan->label);
}

/* Says of every field which group it came under. */
static void note_status(kfe_plan *plan)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        kfe_field_status status = group->skipped ? KFE_FIELD_SEALED : KFE_FIELD_OPENED;
        if (group->env.key != KFE_KEY_UNCOVERED)
            plan->key_status = status;
        if (group->env.value != KFE_VALUE_UNCOVERED)
            plan->value_status = status;
        for (uint32_t i = 0; i < group->env.n_headers; i++)
            if (kfe_covers_header(&group->env, i))
                plan->says[i].status = status;
    }
}

/* Finds the keys of all groups, or, where partial opening is allowed, of one at least. */
static kfe_error find_all_keys(const kfe_job *j, kfe_plan *plan)
{
    const kfe_settings *s = &j->engine->settings;
    kfe_error missing = KFE_OK;
    unsigned opened = 0;
    char detail[256] = "";
    for (unsigned g = 0; g < plan->n_groups; g++) {
        kfe_group *group = &plan->groups[g];
        kfe_error err = find_keys(j, plan, group);
        group->skipped = err && s->partial && not_at_hand(err);
        j->work->spoilt |= group->skipped; /* it may be at hand for the next call */
        if (err && !group->skipped)
            return err;
        opened += !group->skipped;
        if (group->skipped && !missing) {
            missing = err;
            strncpy(detail, kfe_error_detail(), sizeof(detail) - 1);
        }
    }
    return opened > 0 ? KFE_OK : kfe_fail(missing, "%s", detail);
}

static kfe_error make_plan(const kfe_job *j, const kfe_record *in, kfe_plan **out)
{
    kfe_error err = kfe_accept_plan(&j->engine->settings, in, j->work, out);
    if (err || *out == NULL)
        return err;
    err = find_label(j, *out);
    if (!err)
        err = find_all_keys(j, *out);
    if (!err)
        note_status(*out);
    return err;
}

/* What the format cannot hold: a row of fields longer than the cipher takes. */
static kfe_error check_rows(const kfe_plan *plan, const kfe_record *in)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        if (group->env.record_scope &&
            kfe_group_len(group, in, in->headers + plan->n_groups) > UINT32_MAX)
            return kfe_fail(KFE_E_AUTH, "record refused: too long for one tag");
    }
    return KFE_OK;
}

static kfe_error pay(const kfe_job *j, const kfe_plan *plan)
{
    kfe_error err = KFE_OK;
    for (unsigned g = 0; !err && plan->direct && g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        if (!group->skipped)
            err = kfe_session_pay(j->state, j->work->in_use[group->in_use].session, group->n_tags);
    }
    return err;
}

static kfe_error plan_one(kfe_job *j, size_t index)
{
    const kfe_record *in = &j->in[index];
    kfe_plan *plan = kfe_job_plan(j, in);
    if (plan == NULL) {
        kfe_error err = make_plan(j, in, &plan);
        if (!err && plan != NULL)
            err = kfe_plan_prefix(plan, j->work);
        if (err || plan == NULL)
            return err;
        kfe_plan_add(j->work, plan);
    }
    kfe_error err = check_rows(plan, in);
    if (!err)
        err = pay(j, plan);
    if (!err)
        kfe_job_take(j, index, plan);
    return err;
}

/* The text of a deterministic key is 01 || key. It goes to the space also in place. */
static kfe_error open_key(const kfe_job *j, size_t index, uint8_t **at)
{
    const kfe_plan *plan = j->items[index].plan;
    if (plan->det == 0)
        return KFE_OK;
    kfe_bytes *key = &j->out[index].key;
    uint8_t *text = *at;
    size_t len = key->len - KFE_SIV_GROWTH + 1;
    *at += len;
    kfe_session *session = j->work->in_use[plan->det - 1].session;
    kfe_error err = kfe_siv_open(j->engine->settings.crypto, session->siv, KFE_DET_LABEL,
                                 sizeof(KFE_DET_LABEL) - 1, key->data, key->len, text);
    if (!err && text[0] != 1) {
        kfe_wipe(text, len);
        err = KFE_E_AUTH;
    }
    if (err)
        return err == KFE_E_AUTH ? kfe_fail(err, "record refused: its deterministic key is forged")
                                 : err;
    kfe_session_prove(j->state, session);
    *key = (kfe_bytes){text + 1, len - 1};
    return KFE_OK;
}

static void mark_failed(const kfe_job *j, const kfe_aead_op *op, const char *why)
{
    const kfe_prefix *p = (const kfe_prefix *)op->prefix;
    if (j->items[p->record].plan == NULL)
        return;
    kfe_job_fail(j, p->record,
                 p->error ? kfe_fail(p->error, "%s", why)
                          : kfe_fail(KFE_E_AUTH, "record refused: a tag does not verify"));
}

static void mark_forged(const kfe_job *j)
{
    const kfe_work *w = j->work;
    char why[256] = ""; /* what the last key that failed in its token said */
    for (size_t at = 0; at < (w->n + 63) / 64; at++)
        for (uint64_t bits = w->failed[at]; bits != 0; bits &= bits - 1) {
            if (why[0] == '\0')
                snprintf(why, sizeof(why), "%s", kfe_error_detail());
            mark_failed(j, &w->ops[at * 64 + (size_t)__builtin_ctzll(bits)], why);
        }
}

static void finish(const kfe_job *j, size_t index, uint8_t **at)
{
    const kfe_plan *plan = j->items[index].plan;
    kfe_error err = open_key(j, index, at);
    if (err) {
        kfe_job_fail(j, index, err);
        return;
    }
    for (unsigned g = 0; g < plan->n_groups; g++)
        if (!plan->groups[g].skipped)
            kfe_session_prove(j->state, j->work->in_use[plan->groups[g].in_use].session);
    if (j->items[index].text != NULL)
        kfe_layout_scatter(j, index);
}

static kfe_error open_all(kfe_job *j, uint8_t *at)
{
    for (size_t i = 0; i < j->n; i++) {
        kfe_error err = plan_one(j, i);
        if (err)
            kfe_job_fail(j, i, err);
        else if (j->items[i].plan == NULL)
            kfe_pass_in_clear(&j->in[i], &j->out[i], &at);
    }
    kfe_error err = kfe_job_arrange(j);
    for (size_t i = 0; !err && i < j->n; i++)
        if (j->items[i].plan != NULL)
            err = kfe_layout(j, i, j->in[i].key, &at);
    if (!err)
        err = kfe_job_run(j);
    if (!err)
        mark_forged(j);
    for (size_t i = 0; i < j->n; i++) {
        if (j->items[i].plan == NULL)
            continue;
        if (err)
            kfe_job_fail(j, i, err);
        else
            finish(j, i, &at);
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
    kfe_job_count(&j);
    kfe_engine_leave(&j);
    return err;
}
