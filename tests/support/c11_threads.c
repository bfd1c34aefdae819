/* SPDX-License-Identifier: Apache-2.0 */

/* For tests under ThreadSanitizer: C11 threads by way of pthreads.
 *
 * librdkafka makes its threads and locks by <threads.h>, which gcc 12's ThreadSanitizer does not
 * watch: it knows nothing of such a thread and crashes in the first callback that runs on it.
 * These stand in front of the C library's own and call what it does watch. */

/* Seen by the libraries, whatever -fvisibility says. */
#pragma GCC visibility push(default)

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t holds a mutex");
static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t holds a condition variable");
static_assert(sizeof(once_flag) >= sizeof(pthread_once_t), "once_flag holds a pthread_once_t");

typedef struct {
    thrd_start_t function;
    void *arg;
} start;

static void *run(void *arg)
{
    start what = *(start *)arg;
    free(arg);
    return (void *)(intptr_t)what.function(what.arg);
}

static int result(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case EBUSY:
        return thrd_busy;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
    start *what = malloc(sizeof(*what));
    if (!what)
        return thrd_nomem;
    *what = (start){function, arg};
    int error = pthread_create(thread, NULL, run, what);
    if (error)
        free(what);
    return result(error);
}

int thrd_join(thrd_t thread, int *code)
{
    void *returned = NULL;
    int error = pthread_join(thread, &returned);
    if (!error && code)
        *code = (int)(intptr_t)returned;
    return result(error);
}

/* Making and ending a lock is ordered by librdkafka's atomic counts, which are not seen: so these
 * happen unseen as well. What is locked is ordered by the lock. */
#define UNSEEN __attribute__((no_sanitize("thread")))

UNSEEN int mtx_init(mtx_t *mutex, int type)
{
    static const pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    *(pthread_mutex_t *)mutex = type & mtx_recursive ? recursive : plain;
    return thrd_success;
}

void mtx_destroy(mtx_t *mutex)
{
    (void)mutex;
}

int mtx_lock(mtx_t *mutex)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

UNSEEN int cnd_init(cnd_t *condition)
{
    static const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;
    *(pthread_cond_t *)condition = fresh;
    return thrd_success;
}

void cnd_destroy(cnd_t *condition)
{
    (void)condition;
}

int cnd_signal(cnd_t *condition)
{
    return result(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result(
        pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

void call_once(once_flag *flag, void (*function)(void))
{
    pthread_once((pthread_once_t *)flag, function);
}
