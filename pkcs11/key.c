/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "pkcs11/ckr.h"
#include "pkcs11/key.h"
#include "pkcs11/lookup.h"
#include "pkcs11/secretkey.h"

struct key {
    kfe_key base;
    kfe_p11_token *token;
    char name[KFE_NAME_MAX + 1];
    pthread_mutex_t lock; /* the handle and the login it was found under belong together */
    CK_OBJECT_HANDLE handle;
    uint64_t logins;
};

struct derivation {
    struct key *key;
    const uint8_t *context;
    size_t len;
    uint8_t *out;
};

static void remember(struct key *key, CK_OBJECT_HANDLE handle, uint64_t logins)
{
    pthread_mutex_lock(&key->lock);
    key->handle = handle;
    key->logins = logins;
    pthread_mutex_unlock(&key->lock);
}

/* A handle from before the last login may name another object by now, so it is never tried. */
static kfe_error handle_for(struct key *key, kfe_p11_session *session, CK_OBJECT_HANDLE *out)
{
    pthread_mutex_lock(&key->lock);
    bool fresh = key->handle != CK_INVALID_HANDLE && key->logins == session->logins;
    *out = key->handle;
    pthread_mutex_unlock(&key->lock);
    if (fresh)
        return KFE_OK;
    const kfe_key_ref ref = {key->name, key->base.version};
    kfe_p11_entry entry;
    kfe_error err = kfe_p11_lookup(session, &ref, &entry);
    if (err)
        return err;
    remember(key, entry.key, session->logins);
    *out = entry.key;
    return KFE_OK;
}

static kfe_error derive_work(kfe_p11_session *session, void *arg)
{
    const struct derivation *job = arg;
    CK_OBJECT_HANDLE handle;
    kfe_error err = handle_for(job->key, session, &handle);
    if (err)
        return err;
    err = kfe_p11_secretkey_mac(session, handle, job->context, job->len, job->out);
    if (err && kfe_p11_ckr_cure(session->rv) == KFE_P11_OBJECT_LOST)
        remember(job->key, CK_INVALID_HANDLE, 0);
    return err;
}

static kfe_error derive(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32])
{
    struct derivation job = {(struct key *)self, context, len, out};
    return kfe_p11_token_read(job.key->token, derive_work, &job);
}

static void release(kfe_key *self)
{
    struct key *key = (struct key *)self;
    pthread_mutex_destroy(&key->lock);
    free(key);
}

static const kfe_key_ops ops = {sizeof(kfe_key_ops), derive, release};

struct finding {
    const kfe_key_ref *ref;
    kfe_p11_entry entry;
    uint64_t logins;
};

static kfe_error find_work(kfe_p11_session *session, void *arg)
{
    struct finding *job = arg;
    job->logins = session->logins;
    return kfe_p11_lookup(session, job->ref, &job->entry);
}

kfe_error kfe_p11_key_new(kfe_key **out, kfe_p11_token *token, const kfe_key_ref *ref)
{
    struct finding job = {.ref = ref};
    kfe_error err = kfe_p11_token_read(token, find_work, &job);
    if (err)
        return err;
    struct key *key = calloc(1, sizeof(*key));
    if (!key)
        return kfe_fail(KFE_E_MEMORY, "no memory for a key");
    key->base = (kfe_key){&ops, job.entry.version, job.entry.state};
    key->token = token;
    snprintf(key->name, sizeof(key->name), "%s", job.entry.name);
    pthread_mutex_init(&key->lock, NULL);
    key->handle = job.entry.key;
    key->logins = job.logins;
    *out = &key->base;
    return KFE_OK;
}
