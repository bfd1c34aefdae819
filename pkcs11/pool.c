/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/pool.h"

void kfe_p11_pool_init(kfe_p11_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pool->n_idle = pool->n_live = pool->n_open = 0;
    pool->max = KFE_P11_SESSIONS_MAX;
    pool->epoch = 1;
}

void kfe_p11_pool_close(kfe_p11_pool *pool, CK_FUNCTION_LIST_PTR calls)
{
    while (pool->n_idle > 0)
        calls->C_CloseSession(pool->idle[--pool->n_idle]);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
}

/* A token that is out of sessions has told how many we get: the place is given up and the caller
 * waits for one of ours to come back. True when there is any to wait for. */
static bool give_up_place(kfe_p11_pool *pool, uint64_t epoch, CK_RV rv)
{
    if (pool->epoch == epoch)
        pool->n_open--;
    bool wait = rv == CKR_SESSION_COUNT && pool->n_live > 0;
    if (wait)
        pool->max = pool->n_live;
    pthread_cond_broadcast(&pool->changed);
    return wait;
}

CK_RV kfe_p11_pool_take(kfe_p11_pool *pool, CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID slot,
                        CK_SESSION_HANDLE *out, uint64_t *epoch)
{
    CK_RV rv;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        *epoch = pool->epoch;
        if (pool->n_idle > 0) {
            *out = pool->idle[--pool->n_idle];
            rv = CKR_OK;
            break;
        }
        if (pool->n_open >= pool->max) {
            pthread_cond_wait(&pool->changed, &pool->lock);
            continue;
        }
        pool->n_open++;
        pthread_mutex_unlock(&pool->lock);
        rv = calls->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, out);
        pthread_mutex_lock(&pool->lock);
        if (rv == CKR_OK && pool->epoch == *epoch)
            pool->n_live++;
        if (rv == CKR_OK || !give_up_place(pool, *epoch, rv))
            break;
    }
    pthread_mutex_unlock(&pool->lock);
    return rv;
}

void kfe_p11_pool_give(kfe_p11_pool *pool, CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE session,
                       uint64_t epoch, bool healthy)
{
    pthread_mutex_lock(&pool->lock);
    if (epoch == pool->epoch && healthy) {
        pool->idle[pool->n_idle++] = session;
        pthread_cond_signal(&pool->changed);
    } else if (epoch == pool->epoch) {
        /* Closed before its place is free, so that the token never sees more than `max`. */
        pthread_mutex_unlock(&pool->lock);
        calls->C_CloseSession(session);
        pthread_mutex_lock(&pool->lock);
        if (epoch == pool->epoch) {
            pool->n_open--;
            pool->n_live--;
        }
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
}

void kfe_p11_pool_forget(kfe_p11_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->n_idle = pool->n_live = pool->n_open = 0;
    pool->max = KFE_P11_SESSIONS_MAX;
    pool->epoch++;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}
