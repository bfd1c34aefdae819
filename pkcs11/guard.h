/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_GUARD_H
#define KFE_PKCS11_GUARD_H

/* Keeps what a module does on the calling thread away from the application: entries that it
 * leaves on OpenSSL's error queue (SoftHSM does; SSL_get_error() of the application would then
 * report them), and SIGPIPE from a module whose server went away, which would end the process. */

#include <signal.h>
#include <stdbool.h>

typedef struct {
    sigset_t before;
    bool pending; /* a SIGPIPE that was waiting already is not ours to take */
} kfe_p11_guard;

/* Around every run of calls into a module, on one thread; they nest. */
void kfe_p11_guard_enter(kfe_p11_guard *guard);
void kfe_p11_guard_leave(kfe_p11_guard *guard);

#endif
