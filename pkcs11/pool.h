/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_POOL_H
#define KFE_PKCS11_POOL_H

/* Read-only sessions: opened when first needed, then kept, as closing them under load crashes
 * some modules. A thread that finds none free waits. Every call is thread-safe but init and
 * close. */

#include <pthread.h>
#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include <kfe/error.h>

enum { KFE_P11_SESSIONS_MAX = 8 };

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    CK_SESSION_HANDLE idle[KFE_P11_SESSIONS_MAX];
    /* Of this epoch: free ones, those that exist, and those with the ones about to be opened. */
    unsigned n_idle, n_live, n_open, max;
    uint64_t epoch;
} kfe_p11_pool;

void kfe_p11_pool_init(kfe_p11_pool *pool);
/* Closes the idle sessions; none may be lent. */
void kfe_p11_pool_close(kfe_p11_pool *pool, CK_FUNCTION_LIST_PTR calls);

/* Lends a session; `epoch` goes back with it. Returns what C_OpenSession says. */
CK_RV kfe_p11_pool_take(kfe_p11_pool *pool, CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID slot,
                        CK_SESSION_HANDLE *out, uint64_t *epoch);
/* `healthy` false: the session is closed instead of kept. */
void kfe_p11_pool_give(kfe_p11_pool *pool, CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE session,
                       uint64_t epoch, bool healthy);

/* Every session is gone, lent or not: starts a new epoch. They are not closed, as their numbers
 * may belong to somebody else by now. */
void kfe_p11_pool_forget(kfe_p11_pool *pool);

#endif
