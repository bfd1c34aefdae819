/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include <openssl/err.h>

#include "pkcs11/guard.h"

void kfe_p11_guard_enter(kfe_p11_guard *guard)
{
    sigset_t pipe, waiting;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigemptyset(&waiting);
    sigpending(&waiting);
    guard->pending = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &guard->before);
    ERR_set_mark();
}

void kfe_p11_guard_leave(kfe_p11_guard *guard)
{
    ERR_pop_to_mark();
    if (!guard->pending) {
        const struct timespec now = {0, 0};
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        sigtimedwait(&pipe, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}
