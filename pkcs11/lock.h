/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_LOCK_H
#define KFE_PKCS11_LOCK_H

/* A mutex over what this library keeps per process: the table of modules has one, and so has each
 * module, over how often it is in use and over its logins. A module's may be held as long as the
 * module hangs; the table's never is.
 *
 * A child, also after a raw clone, starts with a mutex of its own: one that another thread of
 * its parent held at that moment would never be released. */

#include <stdatomic.h>

#include <kfe/error.h>

typedef struct {
    _Atomic(struct kfe_p11_mutex *) current; /* NULL: nobody took it yet */
} kfe_p11_lock;

/* KFE_E_MEMORY: not locked. Not recursive. */
kfe_error kfe_p11_lock_take(kfe_p11_lock *lock);
void kfe_p11_lock_release(kfe_p11_lock *lock); /* by the thread that took it */

#endif
