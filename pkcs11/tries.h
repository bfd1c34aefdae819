/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_TRIES_H
#define KFE_PKCS11_TRIES_H

/* The cryptographic tries of `kfe keys probe`, each compared with OpenSSL where that is possible.
 * They note lines in a struct kfe_p11_findings, and fail only where the session does. */

#include <kfe/keys.h>

#include "pkcs11/session.h"

enum { KFE_P11_LINES_MAX = 16 };

/* Flat: another thread works on a copy. */
typedef struct {
    struct {
        kfe_probe_verdict verdict;
        char what[40], found[200];
    } lines[KFE_P11_LINES_MAX];
    unsigned n;
} kfe_p11_findings;

/* Forgets what an earlier run of the same work noted. */
static inline kfe_p11_findings *kfe_p11_begin(void *arg)
{
    kfe_p11_findings *findings = arg;
    findings->n = 0;
    return findings;
}

/* Cut where it is too long; left out where there is no room. */
void kfe_p11_note(kfe_p11_findings *findings, kfe_probe_verdict verdict, const char *what,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* kfe_p11_work: `arg` is a kfe_p11_findings. */
kfe_error kfe_p11_try_hmac(kfe_p11_session *session, void *arg);
kfe_error kfe_p11_try_gcm(kfe_p11_session *session, void *arg); /* and the session copy */
kfe_error kfe_p11_try_wrap(kfe_p11_session *session, void *arg);
kfe_error kfe_p11_try_oaep(kfe_p11_session *session, void *arg);

/* Whether the token says that it has a mechanism; what it does is another question. */
bool kfe_p11_has_mechanism(const kfe_p11_session *session, CK_MECHANISM_TYPE type);

#endif
