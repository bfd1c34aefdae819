/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_PARTS_H
#define KFE_PKCS11_PARTS_H

/* What a token is made of, for the files that make it up: job.c (callers, deadlines), crew.c
 * (threads), run.c (one task, and what cures it), link.c (the way to the token, lost and got back).
 */

#include <pthread.h>
#include <unistd.h>

#include "pkcs11/mark.h"
#include "pkcs11/module.h"
#include "pkcs11/token.h"
#include "pkcs11/uri.h"

enum { KFE_P11_SESSIONS_MAX = 64, KFE_P11_DETAIL_MAX = 256 };

typedef enum {
    KFE_P11_NO_THREAD,
    KFE_P11_AT_WORK,
    KFE_P11_LOST,  /* its caller met the deadline; its result will be thrown away */
    KFE_P11_ENDED, /* it will touch nothing more: to be joined */
} kfe_p11_thread_state;

typedef struct {
    kfe_p11_token *token;
    pthread_t thread;
    kfe_p11_thread_state state;
    struct kfe_p11_job *job;   /* that it is at; NULL: none */
    CK_SESSION_HANDLE session; /* CK_INVALID_HANDLE: none yet */
    uint64_t epoch;            /* that the session belongs to */
    bool borrowed;             /* it is the anchor: the token gave no other */
} kfe_p11_worker;

/* Owned by its caller and by who runs it: the second one to be done with it frees it. */
typedef struct kfe_p11_job {
    struct kfe_p11_job *next;
    const kfe_p11_task *task;
    bool write, done;
    bool abandoned;         /* the caller is gone */
    kfe_p11_worker *worker; /* who runs it; NULL: it is in a queue */
    kfe_error err;
    char detail[KFE_P11_DETAIL_MAX];
    pthread_cond_t ended;
    _Alignas(16) uint8_t arg[]; /* task->size bytes */
} kfe_p11_job;

struct kfe_p11_token {
    pid_t pid;
    kfe_p11_uri uri;
    char *init_args;   /* NULL: none */
    unsigned sessions; /* as configured, and so the next two */
    bool allow_rsa;
    uint64_t timeout_ms;
    kfe_p11_meter meter;
    kfe_config *config; /* our own: close does not wait for who asks it for the PIN */

    pthread_mutex_t lock;   /* over all that follows; never held while the module runs */
    pthread_cond_t work;    /* for idle workers */
    pthread_cond_t control; /* for the control thread */
    pthread_cond_t changed; /* for who waits for a connection, a PIN, or the end of a thread */
    bool closing;           /* no call is taken, none is waited for, all threads are to end */
    bool orphan;            /* close has given up: the last thread frees it all */

    kfe_p11_job *read_queue, *control_queue;
    kfe_p11_worker control_worker;
    kfe_p11_worker workers[2 * KFE_P11_SESSIONS_MAX];
    unsigned n_idle, n_lost;
    uint64_t stuck_since; /* the control thread's job met its deadline and still runs; 0: none */
    bool linking;         /* the control thread is in kfe_p11_link_try() */
    unsigned max;         /* workers that may be at work; 0: the control thread does it all */
    uint64_t fewer_until; /* that it is less than `sessions`; 0: it is not */

    kfe_p11_breaker breaker;
    kfe_error broken; /* why it is not closed */
    char why[KFE_P11_DETAIL_MAX];
    bool wanted; /* somebody has lost session or login and waits for the control thread */
    uint64_t attempts;

    bool opening; /* a thread waits in open: it is asked for the PIN */
    uint8_t *pin; /* where it is wanted, by the control thread, which waits; NULL: it is not */
    size_t pin_len;
    kfe_error pin_err;
    /* Written and read by the control thread alone. */
    bool pin_asked;     /* somebody gave it, no file and no variable */
    uint64_t ask_again; /* not before that time: the PIN that they gave was refused */

    /* The link. Written by the control thread. */
    kfe_p11_module *module; /* NULL: not yet */
    uint64_t starts;        /* of the module, when it was connected */
    CK_FUNCTION_LIST_PTR calls;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE anchor;
    bool read_only;              /* the token refuses read-write sessions */
    uint64_t epoch;              /* sessions opened under another one are gone */
    uint64_t logins;             /* object handles found under another number are stale */
    kfe_p11_mark ours, ours_now; /* of this epoch; of this login */
};

/* ---- job.c --------------------------------------------------------------------------- */

typedef enum { KFE_P11_BY_WORKER, KFE_P11_BY_CONTROL, KFE_P11_WRITING } kfe_p11_lane;
kfe_error kfe_p11_job_do(kfe_p11_token *token, const kfe_p11_task *task, void *arg,
                         kfe_p11_lane lane);

void kfe_p11_job_push(kfe_p11_job **queue, kfe_p11_job *job); /* to its end */
kfe_p11_job *kfe_p11_job_pop(kfe_p11_job **queue);            /* NULL: it is empty */
void kfe_p11_job_drop(kfe_p11_job *job); /* frees it and what hangs on its argument */

/* ---- crew.c -------------------------------------------------------------------------- */

kfe_error kfe_p11_crew_init(kfe_p11_token *token);     /* locks and conditions */
kfe_error kfe_p11_crew_start(kfe_p11_token *token);    /* the control thread */
void kfe_p11_crew_stop(kfe_p11_token *token);          /* with the lock held */
void kfe_p11_crew_stop_and_free(kfe_p11_token *token); /* within 10 s */

/* With the lock held: has a worker look into its queue, a new one if there is none to spare and
 * there may be one. False: there is no worker at all. */
bool kfe_p11_crew_call(kfe_p11_token *token);

/* For waits until a time of CLOCK_MONOTONIC. */
kfe_error kfe_p11_condition_init(pthread_cond_t *condition);
/* With the lock held: waits on a condition until then; false when it is past. */
bool kfe_p11_wait(kfe_p11_token *token, pthread_cond_t *condition, uint64_t until_ms);
/* With the lock held: KFE_OK while the token is in use and the breaker closed, else the error for
 * callers. */
kfe_error kfe_p11_refusal(const kfe_p11_token *token);
/* With the lock held: an outage. */
void kfe_p11_trip(kfe_p11_token *token, kfe_error err, const char *why);

/* ---- run.c --------------------------------------------------------------------------- */

/* Runs a job's task, again after a cure. False: the token gives this worker no session. */
bool kfe_p11_run(kfe_p11_worker *self, kfe_p11_job *job);

/* ---- link.c -------------------------------------------------------------------------- */

/* Gets back what was lost, by the control thread: `anew`, after an outage, starts the module again
 * unless the token turns out to be well. Closes or opens the breaker. */
kfe_error kfe_p11_link_try(kfe_p11_token *token, bool anew);
/* The same by any thread, for who saw its login number `lost` fail: it waits for the control
 * thread. */
kfe_error kfe_p11_link_heal(kfe_p11_worker *self, uint64_t lost);
/* Makes sure that a worker has a session and that it and all handles are what they were. */
kfe_error kfe_p11_link_session(kfe_p11_worker *self, kfe_p11_session *session);
/* Gives up a session; `close` unless it is gone anyway: its number may be somebody else's. */
void kfe_p11_link_drop(kfe_p11_worker *self, bool close);
/* Closes every session and lets go of the module: by the last thread, as it makes calls. */
void kfe_p11_link_close(kfe_p11_token *token);

#endif
