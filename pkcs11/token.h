/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_TOKEN_H
#define KFE_PKCS11_TOKEN_H

/* The token that a provider works on: found by label or serial, never by slot (slots move);
 * logged in once; an anchor session holds the login, as a token logs out with its last session.
 *
 * No caller's thread ever runs code of the module. Callers hand over a task and wait for it no
 * longer than `encryption.keyprovider.pkcs11.timeout.ms`: PKCS#11 knows no deadlines. Workers (up
 * to
 * `.sessions`, each with a session that it keeps) run what reads, one control thread all else:
 * login, finding, writing, getting back a token that was lost.
 *
 * Belongs to the process that opened it: in a forked child every call is KFE_E_PROVIDER. */

#include <kfe/keys.h>

#include "pkcs11/breaker.h"
#include "pkcs11/meter.h"
#include "pkcs11/session.h"

#define KFE_P11_TIMEOUT_OPTION "encryption.keyprovider.pkcs11.timeout.ms"
#define KFE_P11_SESSIONS_OPTION "encryption.keyprovider.pkcs11.sessions"

typedef struct kfe_p11_token kfe_p11_token;

/* `config` is borrowed for the call: a copy of it is asked for the PIN, again when the login was
 * lost (the first time on this thread, later on the control thread). KFE_E_CONFIG: the options;
 * several tokens match. KFE_E_PROVIDER: no such token, or it does not answer. KFE_E_CREDENTIALS:
 * see login.h. */
kfe_error kfe_p11_token_open(kfe_p11_token **out, const kfe_config *config);
/* From now on calls are KFE_E_PROVIDER at once, those that wait for the module as well. Waits for
 * nothing. */
void kfe_p11_token_stop(kfe_p11_token *token);
/* No call may be running. Returns within 10 s even when the module hangs, or who is asked for the
 * PIN: threads that are stuck there are left behind, with the memory they use, and the module is
 * not finalised before they end. May be called from where the PIN is asked for. In a forked child
 * it does nothing. */
void kfe_p11_token_close(kfe_p11_token *token);

/* KFE_E_PROVIDER in a forked child: before any lock is taken that another thread of the parent may
 * have held. Calls of the token look by themselves. */
kfe_error kfe_p11_token_ours(const kfe_p11_token *token);

void kfe_p11_token_info(kfe_p11_token *token, CK_TOKEN_INFO *out);

/* Something to do in a session: raises PKCS#11 codes by kfe_p11_session_fail(). May be run
 * twice: when a code says that session, login or a handle were lost, they are got back first. For
 * bad data it returns KFE_E_AUTH: that is not tried again. */
typedef kfe_error kfe_p11_work(kfe_p11_session *session, void *arg);

/* Static: one whose caller gave up is still looked at. */
typedef struct {
    kfe_p11_work *work;
    size_t size; /* of what `arg` points to */
    /* Frees what hangs on `arg`, when its caller has given up. NULL: nothing hangs on it. */
    void (*drop)(void *arg);
    kfe_p11_kind kind; /* what it is counted as */
} kfe_p11_task;

/* Runs a task. `arg` (task->size bytes) is moved: another thread works on a copy, as the caller may
 * be gone before the module answers, so nothing in it may point to memory of the caller's but what
 * it owns. Afterwards it is what the work left, or all zero when the work did not end in time; what
 * it then owns is the caller's again. The copy is wiped; it is in ordinary memory, and in every
 * core file that a token which hangs may be the reason of: secrets are in a block of <kfe/secret.h>
 * that the argument owns.
 *
 * KFE_E_PROVIDER: no answer in time; or, at once, the token is known to be out of reach.
 * KFE_E_CREDENTIALS, at once: so it is since its PIN was refused at a later login. */

/* By a worker. */
kfe_error kfe_p11_token_read(kfe_p11_token *token, const kfe_p11_task *task, void *arg);
/* By the control thread: never while something is written. Refused at once while that thread hangs
 * in a call that met its deadline. */
kfe_error kfe_p11_token_find(kfe_p11_token *token, const kfe_p11_task *task, void *arg);
/* By the control thread, in a read-write session; a second time only if nothing was written. After
 * a deadline it is unknown whether it was done. */
kfe_error kfe_p11_token_write(kfe_p11_token *token, const kfe_p11_task *task, void *arg);

/* False while what the control thread does would be refused: it hangs. */
bool kfe_p11_token_finds(kfe_p11_token *token);

/* Counters since open; out->size is the caller's. Makes no call of the module. */
void kfe_p11_token_statistics(kfe_p11_token *token, kfe_key_provider_statistics *out);

#endif
