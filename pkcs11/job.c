/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/parts.h"

/* ---- Jobs ---------------------------------------------------------------------------- */

static kfe_error job_new(kfe_p11_job **out, const kfe_p11_task *task, const void *arg)
{
    kfe_p11_job *job = calloc(1, sizeof(*job) + task->size);
    if (!job)
        return kfe_fail(KFE_E_MEMORY, "no memory for a call of the HSM");
    kfe_error err = kfe_p11_condition_init(&job->ended);
    if (err) {
        free(job);
        return err;
    }
    job->task = task;
    memcpy(job->arg, arg, task->size);
    *out = job;
    return KFE_OK;
}

/* What hangs on the argument belongs to somebody else, or is dropped first. */
static void job_free(kfe_p11_job *job)
{
    kfe_wipe(job->arg, job->task->size);
    pthread_cond_destroy(&job->ended);
    free(job);
}

void kfe_p11_job_drop(kfe_p11_job *job)
{
    if (job->task->drop)
        job->task->drop(job->arg);
    job_free(job);
}

void kfe_p11_job_push(kfe_p11_job **queue, kfe_p11_job *job)
{
    while (*queue)
        queue = &(*queue)->next;
    job->next = NULL;
    *queue = job;
}

kfe_p11_job *kfe_p11_job_pop(kfe_p11_job **queue)
{
    kfe_p11_job *job = *queue;
    if (job)
        *queue = job->next;
    return job;
}

static bool is_in(const kfe_p11_job *queue, const kfe_p11_job *job)
{
    while (queue && queue != job)
        queue = queue->next;
    return queue != NULL;
}

/* False: it is not in there. */
static bool take_out(kfe_p11_job **queue, const kfe_p11_job *job)
{
    while (*queue && *queue != job)
        queue = &(*queue)->next;
    if (!*queue)
        return false;
    *queue = job->next;
    return true;
}

/* ---- Callers --------------------------------------------------------------------------- */

/* With the lock held. No other thread may do its work meanwhile (it is the only one that logs in
 * and writes), so who needs it need not wait to be told. */
static kfe_error submit_to_control(kfe_p11_token *token, kfe_p11_job *job)
{
    if (token->stuck_since != 0)
        return kfe_fail(
            KFE_E_PROVIDER,
            "a search or a change in the HSM hangs since %llu s: nothing else is looked for",
            (unsigned long long)(kfe_p11_milliseconds() - token->stuck_since) / 1000);
    kfe_p11_job_push(&token->control_queue, job);
    pthread_cond_signal(&token->control);
    return KFE_OK;
}

/* With the lock held. Whoever had the sessions that the token did not give us may be gone by now.
 */
static void try_more(kfe_p11_token *token)
{
    if (token->fewer_until == 0 || kfe_p11_milliseconds() < token->fewer_until)
        return;
    token->fewer_until = 0;
    token->max = token->sessions;
}

/* With the lock held. */
static kfe_error submit(kfe_p11_token *token, kfe_p11_job *job, kfe_p11_lane lane)
{
    kfe_error err = kfe_p11_refusal(token);
    if (err)
        return err;
    if (token->n_lost >= token->sessions)
        return kfe_fail(KFE_E_PROVIDER, "%u calls hang in the PKCS#11 module: no more are made",
                        token->n_lost);
    job->write = lane == KFE_P11_WRITING;
    try_more(token);
    if (lane != KFE_P11_BY_WORKER || token->max == 0)
        return submit_to_control(token, job);
    kfe_p11_job_push(&token->read_queue, job);
    if (kfe_p11_crew_call(token))
        return KFE_OK;
    (void)take_out(&token->read_queue, job);
    return kfe_fail(KFE_E_MEMORY, "no thread to be had for a call of the HSM");
}

/* With the lock held: the caller waits no longer. True: the job is nobody's but his. */
static bool leave(kfe_p11_token *token, kfe_p11_job *job)
{
    kfe_p11_worker *worker = job->worker;
    if (!worker) {
        if (!take_out(&token->control_queue, job))
            (void)take_out(&token->read_queue, job);
        return true;
    }
    job->abandoned = true;
    if (worker == &token->control_worker) {
        token->stuck_since = kfe_p11_milliseconds();
    } else {
        token->n_lost++;
        worker->state = KFE_P11_LOST;
    }
    return false;
}

static const char *fate(const kfe_p11_job *job)
{
    return job->write ? ": what was to be written may be there, or come; see `kfe keys list`" : "";
}

/* With the lock held, at the deadline.
 *
 * One search that hangs must not shut out those who need none: what the control thread was to do is
 * an outage only when that thread is about to get the token back. */
static bool give_up(kfe_p11_token *token, kfe_p11_job *job, char why[KFE_P11_DETAIL_MAX])
{
    snprintf(why, KFE_P11_DETAIL_MAX, "the HSM did not answer within %llu ms%s",
             (unsigned long long)token->timeout_ms, fate(job));
    atomic_fetch_add(&token->meter.timeouts, 1);
    bool runs = job->worker == &token->control_worker;
    bool waits = !job->worker && is_in(token->control_queue, job);
    if (token->linking || !(runs || waits))
        kfe_p11_trip(token, KFE_E_PROVIDER, why);
    return leave(token, job);
}

/* With the lock held: no deadline, no outage. */
static bool give_up_at_close(kfe_p11_token *token, kfe_p11_job *job, char why[KFE_P11_DETAIL_MAX])
{
    snprintf(why, KFE_P11_DETAIL_MAX, "the KeyProvider was closed%s", fate(job));
    return leave(token, job);
}

/* Submits and waits. True: the job is the caller's again. */
static bool go_through(kfe_p11_token *token, kfe_p11_job *job, kfe_p11_lane lane)
{
    bool back = true;
    uint64_t until = kfe_p11_milliseconds() + token->timeout_ms;
    pthread_mutex_lock(&token->lock);
    job->err = submit(token, job, lane);
    if (job->err) {
        snprintf(job->detail, sizeof(job->detail), "%s", kfe_error_detail());
        job->done = true;
    }
    while (!job->done && !token->closing && kfe_p11_wait(token, &job->ended, until))
        ;
    if (!job->done) {
        char why[KFE_P11_DETAIL_MAX];
        back = token->closing ? give_up_at_close(token, job, why) : give_up(token, job, why);
        (void)kfe_fail(KFE_E_PROVIDER, "%s", why);
    }
    pthread_mutex_unlock(&token->lock);
    return back;
}

kfe_error kfe_p11_job_do(kfe_p11_token *token, const kfe_p11_task *task, void *arg,
                         kfe_p11_lane lane)
{
    kfe_p11_job *job = NULL;
    kfe_error err = kfe_p11_token_ours(token);
    if (!err)
        err = job_new(&job, task, arg);
    if (err)
        return err;
    bool back = go_through(token, job, lane);
    if (!back || !job->done) {
        memset(arg, 0, task->size);
        if (back)
            kfe_p11_job_drop(job);
        return KFE_E_PROVIDER;
    }
    memcpy(arg, job->arg, task->size);
    err = job->err ? kfe_fail(job->err, "%s", job->detail) : KFE_OK;
    job_free(job);
    return err;
}
