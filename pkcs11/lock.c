/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "pkcs11/lock.h"

struct lock {
    pid_t pid;
    pthread_mutex_t mutex;
    struct lock *parent; /* keeps it reachable for leak checkers: it is never freed */
};

static _Atomic(struct lock *) current;

/* Two threads of a new child may get here together: whoever swaps first wins. */
static struct lock *own(void)
{
    struct lock *seen = atomic_load(&current);
    if (seen && seen->pid == getpid())
        return seen;
    struct lock *fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return NULL;
    fresh->pid = getpid();
    fresh->parent = seen;
    pthread_mutex_init(&fresh->mutex, NULL);
    if (atomic_compare_exchange_strong(&current, &seen, fresh))
        return fresh;
    pthread_mutex_destroy(&fresh->mutex);
    free(fresh);
    return seen;
}

kfe_error kfe_p11_lock(void)
{
    struct lock *lock = own();
    if (!lock)
        return kfe_fail(KFE_E_MEMORY, "no memory for a lock");
    pthread_mutex_lock(&lock->mutex);
    return KFE_OK;
}

void kfe_p11_unlock(void)
{
    pthread_mutex_unlock(&atomic_load(&current)->mutex);
}
