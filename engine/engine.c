/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <sched.h>
#include <stdlib.h>

#include "engine/absorb.h"
#include "engine/aead.h"
#include "engine/layout.h"
#include "engine/report.h"
#include "engine/secret.h"

/* Values of engine->owned. Zero is what a child finds. */
enum { UNOWNED = 0, OWNED = 1, CHANGING = 2 };

const char *kfe_version(void)
{
    return "1.0.0";
}

kfe_error kfe_engine_new(kfe_engine **out, const kfe_config *config)
{
    if (out == NULL || config == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_engine_new: NULL argument");
    kfe_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_state *state = NULL;
    kfe_error err = kfe_settings_init(&engine->settings, config);
    if (!err)
        err = kfe_key_manager_open(&engine->manager, config);
    if (!err) {
        engine->owned = kfe_secret_alloc(sizeof(*engine->owned));
        err = engine->owned == NULL ? KFE_E_MEMORY : kfe_state_new(&state, &engine->settings);
    }
    if (err) {
        kfe_engine_free(engine);
        return err;
    }
    atomic_store(&engine->state, state);
    atomic_store(engine->owned, OWNED);
    *out = engine;
    return KFE_OK;
}

void kfe_engine_free(kfe_engine *engine)
{
    if (engine == NULL)
        return;
    /* A child that never used it must not touch what its parent's threads may have held. */
    bool owned = engine->owned != NULL && atomic_load(engine->owned) == OWNED;
    if (owned)
        kfe_reporter_stop(atomic_load(&engine->state)->reporter);
    for (int i = 0; i < 2 * KFE_WORKS_KEPT; i++) {
        kfe_work *work = atomic_load(&engine->works[i / KFE_WORKS_KEPT][i % KFE_WORKS_KEPT]);
        if (owned && work != NULL)
            kfe_work_forget(work, atomic_load(&engine->state));
        kfe_work_free(work);
    }
    if (owned)
        kfe_state_free(atomic_load(&engine->state));
    kfe_key_manager_close(engine->manager);
    kfe_settings_wipe(&engine->settings);
    kfe_secret_free((void *)(uintptr_t)engine->owned);
    free(engine);
}

const char *kfe_engine_backend(const kfe_engine *engine)
{
    return engine->settings.backend->name;
}

kfe_error kfe_engine_state(kfe_engine *engine, kfe_state **out)
{
    for (;;) {
        uint32_t owned = atomic_load(engine->owned);
        if (owned == OWNED) {
            *out = atomic_load(&engine->state);
            return KFE_OK;
        }
        if (owned == UNOWNED && atomic_compare_exchange_strong(engine->owned, &owned, CHANGING)) {
            kfe_state *state = NULL;
            kfe_error err = kfe_state_new(&state, &engine->settings);
            if (!err)
                atomic_store(&engine->state, state);
            atomic_store(engine->owned, err ? UNOWNED : OWNED);
            if (err)
                return err;
            continue;
        }
        sched_yield();
    }
}

kfe_error kfe_engine_enter(kfe_job *j)
{
    kfe_error err = kfe_engine_state(j->engine, &j->state);
    if (err)
        return err;
    _Atomic(kfe_work *) *works = j->engine->works[j->seal];
    for (int i = 0; i < KFE_WORKS_KEPT && j->work == NULL; i++)
        if (atomic_load_explicit(&works[i], memory_order_relaxed) != NULL)
            j->work = atomic_exchange(&works[i], NULL);
    if (j->work == NULL)
        j->work = kfe_work_new();
    if (j->work == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_work_begin(j->work, j->state);
    for (kfe_plan *plan = j->work->plans; plan != NULL; plan = plan->older) {
        plan->uses = plan->laid = 0;
        plan->last = NULL;
    }
    return KFE_OK;
}

void kfe_engine_leave(const kfe_job *j)
{
    kfe_work_end(j->work);
    _Atomic(kfe_work *) *works = j->engine->works[j->seal];
    for (int i = 0; i < KFE_WORKS_KEPT; i++) {
        kfe_work *none = NULL;
        if (atomic_compare_exchange_strong(&works[i], &none, j->work))
            return;
    }
    kfe_work_forget(j->work, j->state);
    kfe_work_free(j->work);
}

kfe_error kfe_job_run(const kfe_job *j)
{
    const kfe_work *w = j->work;
    if (w->n == 0)
        return KFE_OK;
    const kfe_aead_batch batch = {w->ops, w->n, w->failed, true};
    kfe_error err =
        j->mixed  ? kfe_aead_run_mixed(&batch, (kfe_aead_mode){.seal = j->seal, .bytes = true})
        : j->seal ? j->backend->seal(&batch)
                  : j->backend->open(&batch);
    /* A signal handler may have forked meanwhile, and this be the child: keys read as zeros from
     * then on, so that anyone could read what it sealed, or have made what it opened. */
    if (!err && atomic_load(j->engine->owned) != OWNED)
        err = kfe_fail(KFE_E_KEY_EXHAUSTED, "the sessions belong to another process");
    return err;
}

static kfe_error refuse_all(const kfe_job *j, kfe_error err)
{
    for (size_t i = 0; i < j->n; i++) {
        kfe_record refused = {
            .topic = j->in[i].topic, .partition = j->in[i].partition, .error = err};
        j->out[i] = refused;
    }
    return err;
}

kfe_error kfe_job_begin(kfe_job *j, size_t cap, kfe_space_fn *space)
{
    if (j->engine == NULL || (j->n > 0 && (j->in == NULL || j->out == NULL)))
        return kfe_fail(KFE_E_ARGUMENT, "an argument is NULL");
    if (j->n == 0)
        return KFE_OK;
    kfe_error err = KFE_OK;
    if (j->n > UINT32_MAX / (KFE_HEADERS_MAX * 2))
        err = kfe_fail(KFE_E_ARGUMENT, "too many records for one call");
    else if (cap < space(j->in, j->n, 0))
        err = kfe_fail(KFE_E_SPACE, "the space is smaller than the engine asks for");
    if (!err)
        err = kfe_engine_enter(j);
    if (err)
        return refuse_all(j, err);
    j->items = kfe_work_take(j->work, j->n * sizeof(*j->items));
    if (j->items != NULL)
        return KFE_OK;
    kfe_engine_leave(j);
    return refuse_all(j, kfe_fail(KFE_E_MEMORY, "out of memory"));
}

kfe_error kfe_job_use(const kfe_job *j, kfe_session *session, size_t *index)
{
    kfe_in_use *u = kfe_work_session(j->work);
    if (u == NULL) {
        kfe_session_put(j->state, session);
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    }
    u->session = session;
    *index = j->work->n_in_use - 1;
    return KFE_OK;
}

kfe_plan *kfe_job_plan(const kfe_job *j, const kfe_record *in)
{
    kfe_plan *plan = j->work->plans;
    for (unsigned n = 0; plan != NULL && n < KFE_PLANS_BACK; plan = plan->older, n++)
        if (j->seal ? kfe_fits_sealing(plan, in) : kfe_fits_opening(plan, in))
            return plan;
    return NULL;
}

void kfe_job_take(kfe_job *j, size_t index, kfe_plan *plan)
{
    j->items[index].plan = plan;
    plan->uses++;
    plan->last = j->in[index].headers + (j->seal ? 0 : plan->n_groups);
}

/* Of the group's message i. */
static uint16_t ordinal_of(const kfe_group *group, uint32_t i)
{
    return group->env.record_scope ? KFE_ORD_RECORD : group->fields[i].ordinal;
}

static void announce(const kfe_plan *plan, kfe_work *work)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        for (uint32_t i = 0; !group->skipped && i < group->n_tags; i++)
            kfe_work_announce(work, ordinal_of(group, i), plan->uses);
    }
}

/* Gives a plan's messages their places, and what they say whatever the records are. */
static void place(const kfe_plan *plan, kfe_work *work)
{
    for (unsigned g = 0; g < plan->n_groups; g++) {
        const kfe_group *group = &plan->groups[g];
        for (uint32_t i = 0; !group->skipped && i < group->n_tags; i++) {
            kfe_field *f = &group->fields[i];
            size_t first = kfe_work_places(work, ordinal_of(group, i), plan->uses);
            f->op = work->ops + first;
            f->nonce = work->nonce + first;
            const kfe_aead_key *key = work->in_use[group->in_use].session->aead;
            const kfe_prefix *prefix = work->prefixes + plan->first_prefix + g;
            for (size_t nth = 0; nth < plan->uses; nth++) {
                kfe_aead_op *op = &f->op[nth];
                op->key = key;
                op->nonce = f->nonce[nth];
                op->prefix = &prefix->absorbed;
                op->aad = f->d;
                op->aad_len = f->d_len;
                prefix += plan->n_groups;
            }
        }
    }
}

/* What each plan in use says once. *used: how many there are; *last: one of them. */
static kfe_error prepare_plans(kfe_job *j, size_t *used, kfe_plan **last)
{
    kfe_error err = KFE_OK;
    kfe_work *work = j->work;
    for (kfe_plan *plan = work->plans; !err && plan != NULL; plan = plan->older) {
        if (plan->uses == 0)
            continue;
        err = plan->bound ? KFE_OK : kfe_plan_bind(plan, work);
        if (!err)
            err = kfe_absorb_begin(plan, work);
        j->mixed |= plan->mixed || (j->backend != NULL && j->backend != plan->backend);
        j->backend = plan->backend;
        for (unsigned g = 0; g < plan->n_groups; g++)
            plan->groups[g].d = (kfe_bytes){NULL, 0};
        plan->first_prefix = j->n_prefixes;
        j->n_prefixes += plan->uses * plan->n_groups;
        *last = plan;
        ++*used;
    }
    return err;
}

kfe_error kfe_job_arrange(kfe_job *j)
{
    size_t used = 0;
    kfe_plan *last = NULL;
    kfe_work *work = j->work;
    kfe_error err = prepare_plans(j, &used, &last);
    if (err || used == 0)
        return err;
    if (used == 1 && work->placed == last && work->placed_uses == last->uses) {
        work->n = work->placed_n;
        work->n_prefixes = j->n_prefixes;
        return KFE_OK;
    }
    work->placed = NULL;
    for (kfe_plan *plan = work->plans; plan != NULL; plan = plan->older)
        if (plan->uses > 0)
            announce(plan, work);
    kfe_work_arrange(work);
    err = kfe_work_room(work, work->n, j->n_prefixes);
    for (kfe_plan *plan = work->plans; !err && plan != NULL; plan = plan->older)
        if (plan->uses > 0)
            place(plan, work);
    if (!err && used == 1) {
        work->placed = last;
        work->placed_uses = last->uses;
        work->placed_n = work->n;
    }
    return err;
}

void kfe_job_fail(const kfe_job *j, size_t index, kfe_error err)
{
    kfe_item *item = &j->items[index];
    if (item->plan != NULL)
        kfe_layout_blank(j, index);
    item->plan = NULL;
    kfe_record failed = {.topic = j->in[index].topic, .partition = j->in[index].partition};
    j->out[index] = failed;
    kfe_work_fail(j->work, &j->out[index], err);
}

void kfe_pass_in_clear(const kfe_record *in, kfe_record *out, uint8_t **at)
{
    kfe_record clear = *in;
    kfe_header *headers = kfe_take_headers(at, in->n_headers);
    for (size_t i = 0; i < in->n_headers; i++)
        headers[i] = (kfe_header){.name = in->headers[i].name, .value = in->headers[i].value};
    clear.headers = headers;
    clear.key_status = clear.value_status = KFE_FIELD_CLEAR;
    clear.error = KFE_OK;
    *out = clear;
}

kfe_error kfe_work_result(const kfe_work *work)
{
    return work->first == KFE_OK ? KFE_OK : kfe_fail(work->first, "%s", work->detail);
}
