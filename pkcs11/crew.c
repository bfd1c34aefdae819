/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "pkcs11/parts.h"

/* How long close waits for threads to end; and for how long a token's word counts of how many
 * sessions it gives. */
enum { CLOSE_MS = 3000, FEWER_MS = 60000 };

enum { N_SLOTS = 2 * KFE_P11_SESSIONS_MAX };

/* ---- Waiting ------------------------------------------------------------------------- */

kfe_error kfe_p11_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed ? kfe_fail(KFE_E_MEMORY, "no condition variable to be had") : KFE_OK;
}

bool kfe_p11_wait(kfe_p11_token *token, pthread_cond_t *condition, uint64_t until_ms)
{
    const struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
    return pthread_cond_timedwait(condition, &token->lock, &until) != ETIMEDOUT;
}

/* ---- The breaker --------------------------------------------------------------------- */

void kfe_p11_trip(kfe_p11_token *token, kfe_error err, const char *why)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = 0; /* then it is not jittered */
    token->broken = err;
    if (why != token->why)
        snprintf(token->why, sizeof(token->why), "%s", why);
    kfe_p11_breaker_fail(&token->breaker, kfe_p11_milliseconds(), random);
    pthread_cond_signal(&token->control);
}

kfe_error kfe_p11_refusal(const kfe_p11_token *token)
{
    if (token->closing)
        return kfe_fail(KFE_E_PROVIDER, "the KeyProvider was closed");
    if (token->breaker.state == KFE_P11_CLOSED)
        return KFE_OK;
    uint64_t now = kfe_p11_milliseconds();
    kfe_error err = token->broken == KFE_E_CREDENTIALS ? KFE_E_CREDENTIALS : KFE_E_PROVIDER;
    unsigned long long gone = (now - token->breaker.since) / 1000;
    if (token->breaker.state == KFE_P11_HALF_OPEN)
        return kfe_fail(err, "HSM not reachable since %llu s, tried again right now: %s", gone,
                        token->why);
    return kfe_fail(err, "HSM not reachable since %llu s, next try in %llu ms: %s", gone,
                    (unsigned long long)kfe_p11_breaker_wait(&token->breaker, now), token->why);
}

/* ---- Workers -------------------------------------------------------------------------- */

static unsigned at_work(const kfe_p11_token *token)
{
    unsigned n = 0;
    for (size_t i = 0; i < N_SLOTS; i++)
        n += token->workers[i].state == KFE_P11_AT_WORK ? 1 : 0;
    return n;
}

static bool is_over(const kfe_p11_worker *worker)
{
    return worker->state == KFE_P11_NO_THREAD || worker->state == KFE_P11_ENDED;
}

/* True when no thread but that one, if any, will touch the token again. */
static bool all_ended_but(const kfe_p11_token *token, const kfe_p11_worker *self)
{
    bool over = is_over(&token->control_worker) || self == &token->control_worker;
    for (size_t i = 0; i < N_SLOTS; i++)
        over = over && (is_over(&token->workers[i]) || self == &token->workers[i]);
    return over;
}

static void token_free(kfe_p11_token *token)
{
    kfe_p11_uri_wipe(&token->uri);
    free(token->init_args);
    kfe_config_free(token->config);
    pthread_cond_destroy(&token->work);
    pthread_cond_destroy(&token->control);
    pthread_cond_destroy(&token->changed);
    pthread_mutex_destroy(&token->lock);
    free(token);
}

/* The last act of a thread, with the lock held. Once the token is closing the last of all,
 * whichever it is, closes the link: nobody is inside then, and nobody else can be the last, as no
 * thread is hired any more. The token is freed by whoever waits in close for that, or, when he has
 * given up, by the last thread. */
static void end(kfe_p11_worker *self)
{
    kfe_p11_token *token = self->token;
    bool last = token->closing && all_ended_but(token, self);
    if (last) {
        pthread_mutex_unlock(&token->lock);
        kfe_p11_link_close(token);
        pthread_mutex_lock(&token->lock);
    }
    self->state = KFE_P11_ENDED;
    pthread_cond_broadcast(&token->changed);
    bool left_behind = last && token->orphan;
    pthread_mutex_unlock(&token->lock);
    if (left_behind)
        token_free(token);
}

/* With the lock held. A lost thread that came back has nobody to give its result to. */
static void finish(kfe_p11_worker *self, kfe_p11_job *job)
{
    self->job = NULL;
    if (!job->abandoned) {
        job->done = true;
        pthread_cond_signal(&job->ended);
        return;
    }
    kfe_p11_token *token = self->token;
    if (self == &token->control_worker) {
        token->stuck_since = 0;
    } else {
        token->n_lost--;
        self->state = KFE_P11_AT_WORK;
    }
    kfe_p11_job_drop(job);
}

/* With the lock held, which it releases meanwhile. False: there is no session for this worker, and
 * the job is not done. */
static bool serve(kfe_p11_worker *self, kfe_p11_job *job)
{
    kfe_p11_token *token = self->token;
    job->worker = self;
    self->job = job;
    job->err = kfe_p11_refusal(token);
    if (job->err) {
        snprintf(job->detail, sizeof(job->detail), "%s", kfe_error_detail());
        finish(self, job);
        return true;
    }
    pthread_mutex_unlock(&token->lock);
    bool had_session = kfe_p11_run(self, job);
    pthread_mutex_lock(&token->lock);
    if (!had_session && !job->abandoned)
        return false;
    finish(self, job);
    return true;
}

/* The token has told how many sessions we get for now. Its job goes to those who have one, in the
 * end to the control thread, which can do with the anchor. */
static void give_way(kfe_p11_worker *self, kfe_p11_job *job)
{
    kfe_p11_token *token = self->token;
    unsigned have = 0;
    for (size_t i = 0; i < N_SLOTS; i++) /* one that hangs in its session serves nobody */
        have += token->workers[i].state == KFE_P11_AT_WORK &&
                        token->workers[i].session != CK_INVALID_HANDLE &&
                        token->workers[i].epoch == token->epoch
                    ? 1
                    : 0;
    token->max = have;
    token->fewer_until = kfe_p11_milliseconds() + FEWER_MS;
    job->worker = NULL;
    self->job = NULL;
    kfe_p11_job **queue = have > 0 ? &token->read_queue : &token->control_queue;
    job->next = *queue;
    *queue = job;
    while (have == 0 && token->read_queue)
        kfe_p11_job_push(&token->control_queue, kfe_p11_job_pop(&token->read_queue));
    pthread_cond_signal(have > 0 ? &token->work : &token->control);
}

/* Of a worker that is one too many. */
static void close_session(kfe_p11_worker *self)
{
    kfe_p11_token *token = self->token;
    pthread_mutex_unlock(&token->lock);
    kfe_p11_module_enter(token->module);
    kfe_p11_link_drop(self, true);
    kfe_p11_module_leave(token->module);
    pthread_mutex_lock(&token->lock);
}

static void *worker_main(void *arg)
{
    kfe_p11_worker *self = arg;
    kfe_p11_token *token = self->token;
    pthread_mutex_lock(&token->lock);
    while (!token->closing) {
        kfe_p11_job *job = kfe_p11_job_pop(&token->read_queue);
        if (!job) {
            if (at_work(token) > token->max) {
                close_session(self);
                if (!token->read_queue) /* of two who leave at once neither may leave a job */
                    break;
                continue;
            }
            token->n_idle++;
            pthread_cond_wait(&token->work, &token->lock); /* ends by a job or by close */
            token->n_idle--;
        } else if (!serve(self, job)) {
            give_way(self, job);
            break;
        }
    }
    end(self);
    return NULL;
}

/* All signals blocked: SIGPIPE of a module whose server is gone would end the process, all others
 * are the application's. */
static bool spawn(kfe_p11_worker *worker, void *(*body)(void *))
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->state = KFE_P11_AT_WORK;
    worker->session = CK_INVALID_HANDLE;
    bool ok = pthread_create(&worker->thread, NULL, body, worker) == 0;
    if (!ok)
        worker->state = KFE_P11_NO_THREAD;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* With the lock held: to join one that has ended, which released it for the last time before, takes
 * as long as its stack takes to go. */
static void hire(kfe_p11_token *token)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        kfe_p11_worker *worker = &token->workers[i];
        if (worker->state == KFE_P11_ENDED) {
            pthread_join(worker->thread, NULL);
            worker->state = KFE_P11_NO_THREAD;
        }
        if (worker->state == KFE_P11_NO_THREAD) {
            spawn(worker, worker_main);
            return;
        }
    }
}

bool kfe_p11_crew_call(kfe_p11_token *token)
{
    unsigned waiting = 0;
    for (const kfe_p11_job *job = token->read_queue; job; job = job->next)
        waiting++;
    pthread_cond_signal(&token->work);
    if (waiting > token->n_idle && at_work(token) < token->max)
        hire(token);
    return at_work(token) > 0;
}

/* ---- The control thread ---------------------------------------------------------------- */

static void control_step(kfe_p11_token *token)
{
    bool open = token->breaker.state == KFE_P11_OPEN;
    uint64_t now = kfe_p11_milliseconds();
    uint64_t pause = open ? kfe_p11_breaker_wait(&token->breaker, now) : 0;
    if ((open && pause == 0) || (token->wanted && !open)) {
        token->wanted = false;
        if (open)
            kfe_p11_breaker_try(&token->breaker);
        pthread_mutex_unlock(&token->lock);
        (void)kfe_p11_link_try(token, open);
        pthread_mutex_lock(&token->lock);
    } else if (token->control_queue) {
        serve(&token->control_worker, kfe_p11_job_pop(&token->control_queue));
    } else if (open) {
        kfe_p11_wait(token, &token->control, now + pause);
    } else {
        /* Ends by a job, somebody's want, an outage or close: each of them signals it. */
        pthread_cond_wait(&token->control, &token->lock);
    }
}

static void *control_main(void *arg)
{
    kfe_p11_worker *self = arg;
    kfe_p11_token *token = self->token;
    (void)kfe_p11_link_try(token, false);
    pthread_mutex_lock(&token->lock);
    while (!token->closing)
        control_step(token);
    end(self);
    return NULL;
}

/* ---- Start and end ---------------------------------------------------------------------- */

kfe_error kfe_p11_crew_init(kfe_p11_token *token)
{
    pthread_mutex_init(&token->lock, NULL);
    kfe_error err = kfe_p11_condition_init(&token->work);
    if (!err)
        err = kfe_p11_condition_init(&token->control);
    if (!err)
        err = kfe_p11_condition_init(&token->changed);
    token->control_worker.token = token;
    for (size_t i = 0; i < N_SLOTS; i++)
        token->workers[i].token = token;
    token->opening = true;
    return err;
}

kfe_error kfe_p11_crew_start(kfe_p11_token *token)
{
    return spawn(&token->control_worker, control_main)
               ? KFE_OK
               : kfe_fail(KFE_E_MEMORY, "no thread to be had for the token");
}

/* Those that ended are over at once; those that hang go on without anybody. */
static void part(kfe_p11_worker *worker)
{
    if (worker->state == KFE_P11_ENDED)
        pthread_join(worker->thread, NULL);
    else if (worker->state != KFE_P11_NO_THREAD)
        pthread_detach(worker->thread);
}

static void wake_callers(kfe_p11_job *queue)
{
    for (; queue; queue = queue->next)
        pthread_cond_signal(&queue->ended);
}

static void wake_caller_of(kfe_p11_worker *worker)
{
    if (worker->job)
        pthread_cond_signal(&worker->job->ended);
}

void kfe_p11_crew_stop(kfe_p11_token *token)
{
    token->closing = true;
    pthread_cond_broadcast(&token->work);
    pthread_cond_broadcast(&token->control);
    pthread_cond_broadcast(&token->changed);
    wake_callers(token->read_queue);
    wake_callers(token->control_queue);
    wake_caller_of(&token->control_worker);
    for (size_t i = 0; i < N_SLOTS; i++)
        wake_caller_of(&token->workers[i]);
}

/* NULL: on none of ours. The control thread asks for PINs, and who is asked may give it all up. */
static kfe_p11_worker *own_thread(kfe_p11_token *token)
{
    kfe_p11_worker *control = &token->control_worker;
    return control->state != KFE_P11_NO_THREAD && pthread_equal(control->thread, pthread_self())
               ? control
               : NULL;
}

void kfe_p11_crew_stop_and_free(kfe_p11_token *token)
{
    pthread_mutex_lock(&token->lock);
    kfe_p11_crew_stop(token);
    const kfe_p11_worker *self = own_thread(token);
    uint64_t until = kfe_p11_milliseconds() + CLOSE_MS;
    while (!all_ended_but(token, self) && kfe_p11_wait(token, &token->changed, until))
        ;
    bool over = all_ended_but(token, NULL);
    for (size_t i = 0; i < N_SLOTS; i++)
        part(&token->workers[i]);
    part(&token->control_worker);
    token->orphan = !over;
    pthread_mutex_unlock(&token->lock);
    if (over)
        token_free(token);
}
