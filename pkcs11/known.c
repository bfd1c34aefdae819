/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <kfe/secret.h>

#include "pkcs11/known.h"

/* ---- What the token is asked --------------------------------------------------------------- */

static bool in_doubt(const kfe_p11_session *session, kfe_error err)
{
    return err == KFE_E_AUTH && session->doubt != CKR_OK;
}

static kfe_error ask(kfe_p11_session *session, CK_OBJECT_HANDLE key, void *arg,
                     kfe_error (*what)(kfe_p11_session *, CK_OBJECT_HANDLE, void *))
{
    session->doubt = CKR_OK;
    return what(session, key, arg);
}

/* The known one comes before the second try, not behind it: a token that was busy for two calls is
 * found out so. */
kfe_error kfe_p11_open_surely(kfe_p11_session *session, kfe_p11_object *object,
                              CK_OBJECT_HANDLE *key, const kfe_p11_opening *opening, void *arg,
                              kfe_p11_step *step)
{
    kfe_error err = KFE_OK;
    if (*step == KFE_P11_FIRST) {
        err = ask(session, *key, arg, opening->ask);
        if (!in_doubt(session, err))
            return err;
        *step = KFE_P11_KNOWN;
        kfe_p11_pause_before_retry();
        err = kfe_p11_object_handle(object, session, key);
        if (err)
            return err;
    }
    if (*step == KFE_P11_KNOWN) {
        err = opening->known ? ask(session, *key, arg, opening->known) : KFE_OK;
        if (in_doubt(session, err)) {
            *step = KFE_P11_LAST;
            return kfe_p11_session_fail(session, session->doubt, opening->call);
        }
        if (err)
            return err;
        *step = KFE_P11_AGAIN;
    }
    err = ask(session, *key, arg, opening->ask);
    return *step == KFE_P11_LAST && in_doubt(session, err)
               ? kfe_p11_session_fail(session, session->doubt, opening->call)
               : err;
}

/* ---- What is kept -------------------------------------------------------------------------- */

void kfe_p11_known_message(kfe_p11_object *object, const kfe_p11_message *m)
{
    kfe_p11_known *known = &object->known;
    if (m->len == 0 || m->aad_size > sizeof(known->message) ||
        m->len > sizeof(known->message) - m->aad_size)
        return;
    pthread_mutex_lock(&object->lock);
    memcpy(known->message, m->aad, m->aad_size);
    memcpy(known->message + m->aad_size, m->in, m->len);
    memcpy(known->iv, m->iv, sizeof(known->iv));
    memcpy(known->tag, m->tag, sizeof(known->tag));
    known->aad_size = m->aad_size;
    known->iv_size = m->iv_size;
    known->len = m->len;
    pthread_mutex_unlock(&object->lock);
}

void kfe_p11_known_wrapped(kfe_p11_object *object, kfe_bytes wrapped)
{
    pthread_mutex_lock(&object->lock);
    memcpy(object->known.wrapped, wrapped.data, wrapped.len);
    object->known.wrapped_len = wrapped.len;
    pthread_mutex_unlock(&object->lock);
}

size_t kfe_p11_known_get(kfe_p11_object *object, uint8_t out[KFE_KEY_WRAPPED_MAX])
{
    pthread_mutex_lock(&object->lock);
    size_t len = object->known.wrapped_len;
    memcpy(out, object->known.wrapped, len);
    pthread_mutex_unlock(&object->lock);
    return len;
}

/* ---- A message ----------------------------------------------------------------------------- */

/* In memory for secrets: the text may be a session's. */
typedef struct {
    kfe_p11_known known;
    uint8_t out[KFE_P11_KNOWN_MAX], work[2 * (KFE_P11_KNOWN_MAX + 48)];
} attempt;

/* A text that everybody may know. KFE_OK and nothing kept: the key may not. */
static kfe_error make(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_object *object,
                      attempt *a)
{
    static const uint8_t aad[] = "kfe1 known", text[] = "a message that opens";
    kfe_p11_message m = {.aad = aad,
                         .aad_size = sizeof(aad),
                         .in = text,
                         .len = sizeof(text),
                         .out = a->out,
                         .work = a->work};
    if (!object->may_encrypt)
        return KFE_OK;
    kfe_error err = kfe_p11_gcm_seal(session, key, &m);
    if (err == KFE_E_KEY_DENIED) {
        session->rv = CKR_OK;
        return KFE_OK;
    }
    m.in = a->out;
    if (!err)
        kfe_p11_known_message(object, &m);
    return err;
}

static size_t get(kfe_p11_object *object, kfe_p11_known *out)
{
    pthread_mutex_lock(&object->lock);
    *out = object->known;
    pthread_mutex_unlock(&object->lock);
    return out->len;
}

static kfe_error open_known(kfe_p11_session *session, CK_OBJECT_HANDLE key, attempt *a)
{
    kfe_p11_message m = {.aad = a->known.message,
                         .aad_size = a->known.aad_size,
                         .in = a->known.message + a->known.aad_size,
                         .len = a->known.len,
                         .out = a->out,
                         .iv_size = a->known.iv_size,
                         .work = a->work};
    memcpy(m.iv, a->known.iv, sizeof(m.iv));
    memcpy(m.tag, a->known.tag, sizeof(m.tag));
    kfe_error err = kfe_p11_gcm_open(session, key, &m);
    return !err && m.forged && session->doubt != CKR_OK ? KFE_E_AUTH : err;
}

kfe_error kfe_p11_known_opens(kfe_p11_session *session, CK_OBJECT_HANDLE key,
                              kfe_p11_object *object)
{
    attempt *a = kfe_secret_alloc(sizeof(*a));
    if (!a)
        return KFE_E_MEMORY;
    kfe_error err = get(object, &a->known) > 0 ? KFE_OK : make(session, key, object, a);
    if (!err && get(object, &a->known) > 0)
        err = open_known(session, key, a);
    kfe_secret_free(a);
    return err;
}
