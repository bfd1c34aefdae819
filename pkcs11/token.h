/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_TOKEN_H
#define KFE_PKCS11_TOKEN_H

/* The token that a provider works on: found by label or serial, never by slot (slots move);
 * logged in once; an anchor session that nobody uses holds the login, as a token logs out with
 * its last session. Other sessions are lent for a piece of work.
 *
 * Belongs to the process that opened it: in a forked child every call is KFE_E_PROVIDER. */

#include <kfe/config.h>

#include "pkcs11/session.h"

typedef struct kfe_p11_token kfe_p11_token;

/* `config` is borrowed: the PIN is asked for again when the login was lost. KFE_E_CONFIG: the
 * options; several tokens match. KFE_E_PROVIDER: no such token, or it does not answer.
 * KFE_E_CREDENTIALS: see login.h. */
kfe_error kfe_p11_token_open(kfe_p11_token **out, const kfe_config *config);
/* No work may be running. In a forked child it does nothing. */
void kfe_p11_token_close(kfe_p11_token *token);

void kfe_p11_token_info(kfe_p11_token *token, CK_TOKEN_INFO *out);

/* Something to do in a session: raises PKCS#11 codes by kfe_p11_session_fail(). May be run
 * twice: when a code says that session, login or a handle were lost, they are got back first. */
typedef kfe_error kfe_p11_work(kfe_p11_session *session, void *arg);

/* Runs it in a session of the pool (read-only). Any thread. */
kfe_error kfe_p11_token_read(kfe_p11_token *token, kfe_p11_work *work, void *arg);
/* Runs it in a read-write session of its own; a second time only if nothing was written. */
kfe_error kfe_p11_token_write(kfe_p11_token *token, kfe_p11_work *work, void *arg);

#endif
