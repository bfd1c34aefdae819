/* SPDX-License-Identifier: Apache-2.0 */
/* Which backends there are, and which one it is to be. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/kfe.h>

#include "engine/aead.h"

const kfe_backend *const kfe_all_backends[] = {
#if defined(__x86_64__) && !defined(KFE_NO_KERNELS)
    &kfe_vaes512_backend,
    &kfe_vaes256_backend,
    &kfe_aesni_backend,
#endif
#if defined(__aarch64__) && !defined(KFE_NO_KERNELS)
    &kfe_armv8_eor3_backend,
    &kfe_armv8_backend,
#endif
#ifndef KFE_KERNELS_ALONE /* an OpenSSL provider cannot stand on OpenSSL */
    &kfe_openssl_backend,
#endif
    NULL};

enum { N_BACKENDS = sizeof(kfe_all_backends) / sizeof(*kfe_all_backends) };

const char *const *kfe_backends(void)
{
    static _Thread_local const char *names[N_BACKENDS];
    size_t n = 0;
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++)
        if (kfe_all_backends[i]->usable())
            names[n++] = kfe_all_backends[i]->name;
    names[n] = NULL;
    return names;
}

typedef enum { UNKNOWN, GOOD, CANNOT_RUN, FAILS } verdict;

/* A kernel is asked once per process, by whoever comes first, or by several at once who find the
 * same. OpenSSL is another one in each library context: only the shared one's verdict is kept. */
static kfe_error judge(size_t i, const struct kfe_crypto *crypto, verdict *out)
{
    static _Atomic verdict known[N_BACKENDS];
    const kfe_backend *backend = kfe_all_backends[i];
    bool lasting = crypto == NULL || backend->from_state, good = false;
    *out = lasting ? atomic_load_explicit(&known[i], memory_order_relaxed) : UNKNOWN;
    if (*out != UNKNOWN)
        return KFE_OK;
    if (!backend->usable()) {
        *out = CANNOT_RUN;
    } else {
        kfe_error err = kfe_known_answers(backend, crypto, &good);
        if (err)
            return err;
        *out = good ? GOOD : FAILS;
    }
    if (lasting)
        atomic_store_explicit(&known[i], *out, memory_order_relaxed);
    return KFE_OK;
}

static kfe_error cannot_run(const kfe_backend *backend)
{
    return kfe_fail(KFE_E_BACKEND, "backend %s cannot run on this CPU%s%s", backend->name,
                    backend->needs == NULL ? "" : ": it needs ",
                    backend->needs == NULL ? "" : backend->needs);
}

kfe_error kfe_backend_pick(const char *name, const struct kfe_crypto *crypto,
                           const kfe_backend **out)
{
    if (strcmp(name, "auto") == 0) {
        const char *forced = secure_getenv("KFE_BACKEND");
        bool any = forced == NULL || forced[0] == '\0' || strcmp(forced, "auto") == 0;
        name = any ? NULL : forced;
    }
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++) {
        const kfe_backend *backend = kfe_all_backends[i];
        if (name != NULL && strcmp(name, backend->name) != 0)
            continue;
        verdict v = UNKNOWN;
        kfe_error err = judge(i, crypto, &v);
        if (err)
            return err;
        if (v == CANNOT_RUN && name == NULL)
            continue;
        if (v == CANNOT_RUN)
            return cannot_run(backend);
        if (v == FAILS)
            return kfe_fail(KFE_E_BACKEND, "backend %s fails its known answers: not used",
                            backend->name);
        *out = backend;
        return KFE_OK;
    }
    return kfe_fail(KFE_E_BACKEND, "no backend is named %s: see `kfe doctor` for the list",
                    name == NULL ? "auto" : name);
}
