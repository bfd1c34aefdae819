/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <openssl/err.h>

#include "pkcs11/ckr.h"
#include "pkcs11/parts.h"

enum { DOUBT = 1 << KFE_P11_OBJECT_LOST | 1 << KFE_P11_AMBIGUOUS };

/* Of a deadline, what work that can be cut takes: it may begin late, and be run again. */
enum { PARTS = 8 };

struct outcome {
    kfe_p11_session session;
    kfe_p11_cure cure;
    bool outage;
};

/* What would cure this failure of a task that may be run again. A code that may mean a dead token
 * costs a look: only one that answers is asked again. */
static kfe_p11_cure cure_for(const kfe_p11_job *job, const kfe_p11_session *session, bool opened,
                             bool answers)
{
    kfe_p11_cure cure = kfe_p11_ckr_cure(session->rv);
    if (job->write && opened) /* only what says for sure that nothing was done */
        return cure == KFE_P11_SESSION_LOST && session->rv != CKR_SESSION_CLOSED &&
                       !session->changed
                   ? cure
                   : KFE_P11_NO_CURE;
    return cure == KFE_P11_AMBIGUOUS && !answers ? KFE_P11_NO_CURE : cure;
}

/* One forged envelope must not shut everybody out, nor one moment in which the token is busy, so no
 * code alone is an outage. Before the work has begun (`opened` false) nobody's data can be the
 * reason: said twice there, it is one, whatever the token answers to a look, which some clients of
 * a network do by themselves. */
static void judge(kfe_p11_job *job, struct outcome *result, bool opened, unsigned tried)
{
    kfe_p11_cure cure = kfe_p11_ckr_cure(result->session.rv);
    bool ambiguous = cure == KFE_P11_AMBIGUOUS;
    bool doubt = ambiguous || cure == KFE_P11_SESSION_LOST;
    bool answers =
        doubt && (opened || ambiguous) && kfe_p11_session_probe(&result->session) == CKR_OK;
    if (!opened && (tried & 1u << KFE_P11_AMBIGUOUS) != 0)
        answers = false;
    result->outage = doubt && !answers;
    result->cure = cure_for(job, &result->session, opened, answers);
}

/* A session that was gone is not closed: its number may be somebody else's. One whose operation may
 * be stuck is, but not for bad data: whoever can forge records could have sessions closed all day,
 * which some modules do not survive under load. */
static void keep_or_drop(kfe_p11_worker *self, const struct outcome *result)
{
    CK_RV rv = result->session.rv;
    if (kfe_p11_ckr_cure(rv) == KFE_P11_SESSION_LOST)
        kfe_p11_link_drop(self, false);
    else if (kfe_p11_ckr_cure(rv) == KFE_P11_NEW_SESSION || result->cure == KFE_P11_AMBIGUOUS ||
             rv >= CKR_VENDOR_DEFINED)
        kfe_p11_link_drop(self, true);
}

/* `tried`: the cures before it. A handle was stale, or may have been, as tokens say it in many
 * ways: all are found again then, and no copies used; these go with the session that made them,
 * which may be another worker's. */
static void attempt(kfe_p11_worker *self, kfe_p11_job *job, struct outcome *result, unsigned tried)
{
    kfe_p11_token *token = self->token;
    *result = (struct outcome){.cure = KFE_P11_NO_CURE};
    kfe_p11_module_enter(token->module);
    job->err = kfe_p11_link_session(self, &result->session);
    bool opened = !job->err;
    if ((tried & DOUBT) != 0)
        result->session.sure = false;
    if (opened) {
        uint64_t start = kfe_p11_microseconds();
        result->session.enough = start + token->timeout_ms * 1000 / PARTS;
        job->err = job->task->work(&result->session, job->arg);
        kfe_p11_meter_count(&token->meter, job->task->kind, kfe_p11_microseconds() - start);
    }
    if (job->err) {
        if (result->session.rv != CKR_OK) /* else the token did its part */
            atomic_fetch_add(&token->meter.failures, 1);
        judge(job, result, opened, tried);
    }
    keep_or_drop(self, result);
    kfe_p11_module_leave(token->module);
}

/* After its deadline nobody waits for a job's result, and its caller may be about to finalise the
 * module: what hung ends with the call that it hung in. */
static bool is_awaited(kfe_p11_token *token, const kfe_p11_job *job)
{
    pthread_mutex_lock(&token->lock);
    bool awaited = !job->abandoned;
    pthread_mutex_unlock(&token->lock);
    return awaited;
}

/* Each cure once: after a logout a handle turns stale first, then the search finds nothing. And
 * once more for work that got further, as what failed then is not what was cured before: handles
 * may be lost again and again while a thread waits for its turn. */
static bool run_and_cure(kfe_p11_worker *self, kfe_p11_job *job, struct outcome *result)
{
    bool alone = self == &self->token->control_worker;
    attempt(self, job, result, 0);
    for (unsigned tried = 0; job->err && result->cure != KFE_P11_NO_CURE;) {
        if (tried & 1u << result->cure)
            break;
        tried |= 1u << result->cure;
        if (result->cure == KFE_P11_AMBIGUOUS)
            kfe_p11_pause_before_retry();
        if (result->cure == KFE_P11_SESSION_LOST) {
            job->err = kfe_p11_link_heal(self, result->session.logins);
            if (job->err) {
                result->outage = false; /* the breaker knows */
                break;
            }
        }
        if (!is_awaited(self->token, job))
            break;
        attempt(self, job, result, tried);
        if (result->session.advanced)
            tried = 0;
    }
    return alone || result->session.rv != CKR_SESSION_COUNT ||
           result->session.handle != CK_INVALID_HANDLE;
}

bool kfe_p11_run(kfe_p11_worker *self, kfe_p11_job *job)
{
    kfe_p11_token *token = self->token;
    struct outcome result;
    bool had_session = run_and_cure(self, job, &result);
    snprintf(job->detail, sizeof(job->detail), "%s", job->err ? kfe_error_detail() : "");
    ERR_clear_error(); /* modules leave entries: this thread's queue would only grow */
    if (job->err && result.outage) {
        pthread_mutex_lock(&token->lock);
        kfe_p11_trip(token, KFE_E_PROVIDER, job->detail);
        pthread_mutex_unlock(&token->lock);
    }
    return had_session;
}
