/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "pkcs11/lock.h"

struct kfe_p11_mutex {
    pid_t pid;
    pthread_mutex_t mutex;
    struct kfe_p11_mutex *parent; /* keeps it reachable for leak checkers: it is never freed */
};

/* Two threads of a new child may get here together: whoever swaps first wins. */
static struct kfe_p11_mutex *own(kfe_p11_lock *lock)
{
    struct kfe_p11_mutex *seen = atomic_load(&lock->current);
    if (seen && seen->pid == getpid())
        return seen;
    struct kfe_p11_mutex *fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return NULL;
    fresh->pid = getpid();
    fresh->parent = seen;
    pthread_mutex_init(&fresh->mutex, NULL);
    if (atomic_compare_exchange_strong(&lock->current, &seen, fresh))
        return fresh;
    pthread_mutex_destroy(&fresh->mutex);
    free(fresh);
    return seen;
}

kfe_error kfe_p11_lock_take(kfe_p11_lock *lock)
{
    struct kfe_p11_mutex *mutex = own(lock);
    if (!mutex)
        return kfe_fail(KFE_E_MEMORY, "no memory for a lock");
    pthread_mutex_lock(&mutex->mutex);
    return KFE_OK;
}

void kfe_p11_lock_release(kfe_p11_lock *lock)
{
    pthread_mutex_unlock(&atomic_load(&lock->current)->mutex);
}
