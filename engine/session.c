/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of one session, made from a loaded key. */
#include <stdlib.h>
#include <string.h>

#include "engine/secret.h"
#include "engine/state.h"

static kfe_error derive_aead(kfe_session *session, const kfe_settings *settings, kfe_key *key,
                             const kfe_derive_context *context)
{
    const kfe_backend *backend = kfe_settings_backend(settings, context->suite);
    uint8_t *raw = kfe_secret_alloc(32);
    if (raw == NULL)
        return KFE_E_MEMORY;
    kfe_error err = kfe_derive_data(key, context, raw);
    if (!err)
        err = kfe_aead_key_new(&session->aead, backend, settings->crypto, context->suite, raw);
    kfe_secret_free(raw);
    if (!err && session->committed)
        err = kfe_derive_commitment(key, context, session->commitment);
    return err;
}

static kfe_error derive_siv(kfe_session *session, kfe_key *key)
{
    session->siv = kfe_secret_alloc(64);
    if (session->siv == NULL)
        return KFE_E_MEMORY;
    return kfe_derive_deterministic(key, session->name, session->version, session->siv);
}

static kfe_error set_up(kfe_session *session, const kfe_settings *settings, kfe_key *key,
                        const kfe_derive_context *context)
{
    if (session->suite == 0)
        return derive_siv(session, key);
    if (context->salt != NULL) {
        memcpy(session->salt, context->salt, KFE_SALT_LEN);
        return derive_aead(session, settings, key, context);
    }
    kfe_error err = kfe_random(session->salt, KFE_SALT_LEN);
    if (err)
        return err;
    session->counter = kfe_counter_new();
    if (session->counter == NULL)
        return KFE_E_MEMORY;
    kfe_derive_context own = *context;
    own.salt = session->salt;
    return derive_aead(session, settings, key, &own);
}

kfe_error kfe_session_new(kfe_session **out, const kfe_settings *settings, kfe_key *key,
                          const kfe_derive_context *context, bool committed)
{
    kfe_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    session->refs = 1;
    memcpy(session->name, context->name, strlen(context->name));
    session->version = context->version;
    session->suite = context->suite;
    session->committed = committed;
    session->born = kfe_now_ms();
    kfe_error err = set_up(session, settings, key, context);
    if (err)
        kfe_session_free(session);
    else
        *out = session;
    return err;
}

void kfe_session_free(kfe_session *session)
{
    if (session == NULL)
        return;
    kfe_aead_key_free(session->aead);
    kfe_secret_free(session->siv);
    kfe_counter_free(session->counter);
    kfe_wipe(session, sizeof(*session));
    free(session);
}
