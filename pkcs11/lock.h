/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_LOCK_H
#define KFE_PKCS11_LOCK_H

/* The one mutex over what this library keeps per process: module records and logins.
 *
 * A child, also after a raw clone, starts with a mutex of its own: one that another thread of
 * its parent held at that moment would never be released. */

#include <kfe/error.h>

/* KFE_E_MEMORY: not locked. Not recursive. */
kfe_error kfe_p11_lock(void);
void kfe_p11_unlock(void); /* by the thread that locked */

#endif
