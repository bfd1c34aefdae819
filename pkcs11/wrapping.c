/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include <kfe/secret.h>

#include "pkcs11/kek.h"
#include "pkcs11/rsa.h"
#include "pkcs11/wrapping.h"

enum { AAD_MAX = 9 + 1 + 2 + KFE_NAME_MAX + 4, FORMS = 3 };

/* In memory for secrets. A task's argument is a pointer to it, and owns it. */
struct wrapping {
    kfe_p11_object *object; /* owned */
    kfe_p11_use use;
    uint8_t aad[AAD_MAX], wrapped[KFE_KEY_WRAPPED_MAX];
    uint8_t secret[KFE_P11_SECRET_LEN], back[KFE_P11_SECRET_LEN];
    size_t aad_size, len;
    bool refused; /* it was the secret that did not unwrap */
};

static_assert(sizeof(struct wrapping) <= KFE_SECRET_MAX, "one block");

static void drop(void *arg)
{
    struct wrapping *job = *(struct wrapping **)arg;
    if (job)
        kfe_p11_object_put(job->object);
    kfe_secret_free(job);
}

static kfe_bytes bound(const struct wrapping *job)
{
    return (kfe_bytes){job->aad, job->aad_size};
}

static kfe_error wrap_by(struct wrapping *job, kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                         kfe_p11_form form)
{
    if (form == KFE_P11_FORM_GCM)
        return kfe_p11_kek_wrap_gcm(session, kek, bound(job), job->secret, job->wrapped, &job->len);
    if (form == KFE_P11_FORM_RFC3394)
        return kfe_p11_kek_wrap_rfc3394(session, kek, job->secret, job->wrapped, &job->len);
    return kfe_p11_rsa_wrap(session, kek, job->secret, job->wrapped, &job->len);
}

/* Once raw RSA has opened something, the token need not be asked for OAEP again. */
static kfe_error unwrap_rsa(const struct wrapping *job, kfe_p11_session *session,
                            CK_OBJECT_HANDLE key, uint8_t secret[KFE_P11_SECRET_LEN])
{
    bool raw = kfe_p11_object_raw_rsa(job->object);
    kfe_error err =
        kfe_p11_rsa_unwrap(session, key, (kfe_bytes){job->wrapped, job->len}, &raw, secret);
    if (raw && !err)
        kfe_p11_object_set_raw_rsa(job->object);
    return err;
}

static kfe_error unwrap_by(const struct wrapping *job, kfe_p11_session *session,
                           CK_OBJECT_HANDLE kek, uint8_t secret[KFE_P11_SECRET_LEN])
{
    const bool rsa = job->use.type == CKK_RSA;
    if (rsa && job->wrapped[0] == 3)
        return unwrap_rsa(job, session, kek, secret);
    if (rsa)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "the session secret is wrapped by AES, the key is an RSA key");
    return kfe_p11_kek_unwrap(session, kek, bound(job), (kfe_bytes){job->wrapped, job->len},
                              secret);
}

/* Some tokens say "device error" when they are busy, and of bad data as well: asked twice, so that
 * an honest secret is not taken for a forged one. */
static kfe_error unwrap_surely(const struct wrapping *job, kfe_p11_session *session,
                               CK_OBJECT_HANDLE kek, uint8_t secret[KFE_P11_SECRET_LEN])
{
    session->doubt = false;
    kfe_error err = unwrap_by(job, session, kek, secret);
    if (err == KFE_E_AUTH && session->doubt) {
        kfe_p11_pause_before_retry();
        err = unwrap_by(job, session, kek, secret);
    }
    return err;
}

/* What cannot be opened must not seal: the first wrapping is undone, if the key may. */
static kfe_error verify(struct wrapping *job, kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                        kfe_p11_form form)
{
    if (!(form == KFE_P11_FORM_RFC3394 ? job->use.unwrap : job->use.decrypt))
        return KFE_OK;
    kfe_error err = unwrap_surely(job, session, kek, job->back);
    uint8_t differs = 0;
    for (size_t i = 0; !err && i < sizeof(job->back); i++)
        differs |= job->back[i] ^ job->secret[i];
    if (err == KFE_E_AUTH || differs != 0)
        return kfe_fail(KFE_E_KEY_DENIED, "the token does not unwrap what it wrapped itself");
    return err;
}

/* A form that the token turns out not to do leaves the next one to be tried. */
static kfe_error choose(struct wrapping *job, kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                        kfe_p11_form *form)
{
    static const kfe_p11_form forms[FORMS] = {KFE_P11_FORM_GCM, KFE_P11_FORM_RFC3394,
                                              KFE_P11_FORM_RSA};
    const bool rsa = job->use.type == CKK_RSA;
    const bool may[FORMS] = {!rsa && job->use.encrypt, !rsa && job->use.wrap, rsa};
    kfe_error err =
        kfe_fail(KFE_E_KEY_DENIED, "key %.80s@%lu may neither encrypt nor wrap: it opens, no more",
                 job->object->name, (unsigned long)job->object->version);
    for (int i = 0; i < FORMS && err == KFE_E_KEY_DENIED; i++) {
        if (!may[i])
            continue;
        session->rv = CKR_OK;
        *form = forms[i];
        err = wrap_by(job, session, kek, *form);
        if (!err)
            err = verify(job, session, kek, *form);
    }
    return err;
}

static kfe_error wrap_work(kfe_p11_session *session, void *arg)
{
    struct wrapping *job = *(struct wrapping **)arg;
    CK_OBJECT_HANDLE kek;
    kfe_error err = kfe_p11_object_handle(job->object, session, &kek);
    kfe_p11_form form = kfe_p11_object_form(job->object);
    if (!err && form != KFE_P11_FORM_OPEN)
        err = wrap_by(job, session, kek, form);
    else if (!err && !(err = choose(job, session, kek, &form)))
        kfe_p11_object_set_form(job->object, form);
    return kfe_p11_object_end(job->object, session, err);
}

static kfe_error unwrap_work(kfe_p11_session *session, void *arg)
{
    struct wrapping *job = *(struct wrapping **)arg;
    CK_OBJECT_HANDLE kek;
    kfe_error err = kfe_p11_object_handle(job->object, session, &kek);
    if (!err)
        err = unwrap_surely(job, session, kek, job->secret);
    job->refused = err == KFE_E_AUTH;
    return kfe_p11_object_end(job->object, session, err);
}

static const kfe_p11_task wrap_task = {wrap_work, sizeof(struct wrapping *), drop, KFE_P11_WRAP};
static const kfe_p11_task unwrap_task = {unwrap_work, sizeof(struct wrapping *), drop,
                                         KFE_P11_UNWRAP};

static kfe_error begin(struct wrapping **out, kfe_p11_object *object, const kfe_p11_use *use,
                       kfe_bytes aad)
{
    if (aad.len > AAD_MAX)
        return kfe_fail(KFE_E_ARGUMENT, "a context of %zu bytes to wrap under", aad.len);
    struct wrapping *job = kfe_secret_alloc(sizeof(*job));
    if (!job)
        return KFE_E_MEMORY;
    memcpy(job->aad, aad.data, aad.len);
    job->aad_size = aad.len;
    job->object = kfe_p11_object_ref(object);
    job->use = *use;
    *out = job;
    return KFE_OK;
}

kfe_error kfe_p11_wrap(kfe_p11_token *token, kfe_p11_object *object, const kfe_p11_use *use,
                       kfe_bytes aad, const uint8_t secret[32], kfe_p11_wrapped *out)
{
    struct wrapping *job;
    kfe_error err = begin(&job, object, use, aad);
    if (err)
        return err;
    memcpy(job->secret, secret, sizeof(job->secret));
    err = kfe_p11_token_read(token, &wrap_task, &job);
    *out = (kfe_p11_wrapped){.len = 0};
    if (job) { /* not lost to a token that hangs */
        memcpy(out->bytes, job->wrapped, sizeof(job->wrapped));
        out->len = job->len;
    }
    drop(&job);
    return err;
}

kfe_error kfe_p11_unwrap(kfe_p11_token *token, kfe_p11_object *object, const kfe_p11_use *use,
                         kfe_bytes aad, kfe_bytes wrapped, uint8_t secret[32])
{
    struct wrapping *job;
    if (wrapped.len == 0 || wrapped.len > sizeof(job->wrapped))
        return kfe_fail(KFE_E_ARGUMENT, "a wrapped secret of %zu bytes", wrapped.len);
    kfe_error err = begin(&job, object, use, aad);
    if (err)
        return err;
    memcpy(job->wrapped, wrapped.data, wrapped.len);
    job->len = wrapped.len;
    err = kfe_p11_token_read(token, &unwrap_task, &job);
    if (err == KFE_E_AUTH && !job->refused) /* another call of the same task failed */
        err = kfe_fail(KFE_E_PROVIDER, "%s", kfe_error_detail());
    memset(secret, 0, KFE_P11_SECRET_LEN);
    if (!err)
        memcpy(secret, job->secret, KFE_P11_SECRET_LEN);
    drop(&job);
    return err;
}
