/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include <kfe/secret.h>

#include "pkcs11/kek.h"
#include "pkcs11/known.h"
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
    kfe_p11_step step;
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
                            CK_OBJECT_HANDLE key, kfe_bytes wrapped,
                            uint8_t secret[KFE_P11_SECRET_LEN])
{
    bool raw = job->object->raw_rsa;
    kfe_error err = kfe_p11_rsa_unwrap(session, key, wrapped, &raw, secret);
    if (raw && !err)
        job->object->raw_rsa = true;
    return err;
}

static kfe_error unwrap_by(const struct wrapping *job, kfe_p11_session *session,
                           CK_OBJECT_HANDLE kek, kfe_bytes wrapped,
                           uint8_t secret[KFE_P11_SECRET_LEN])
{
    const bool rsa = job->use.type == CKK_RSA;
    if (rsa && wrapped.data[0] == 3)
        return unwrap_rsa(job, session, kek, wrapped, secret);
    if (rsa)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "the session secret is wrapped by AES, the key is an RSA key");
    return kfe_p11_kek_unwrap(session, kek, bound(job), wrapped, secret);
}

static kfe_error unwrap_made(kfe_p11_session *session, CK_OBJECT_HANDLE kek, void *arg)
{
    struct wrapping *job = arg;
    return unwrap_by(job, session, kek, (kfe_bytes){job->wrapped, job->len}, job->back);
}

/* What cannot be opened must not seal: the first wrapping is undone, if the key may. */
static kfe_error verify(struct wrapping *job, kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                        kfe_p11_form form)
{
    if (!(form == KFE_P11_FORM_RFC3394 ? job->use.unwrap : job->use.decrypt))
        return KFE_OK;
    static const kfe_p11_opening opening = {.ask = unwrap_made}; /* nothing is known yet */
    kfe_p11_step step = KFE_P11_FIRST;
    kfe_error err = kfe_p11_open_surely(session, job->object, &kek, &opening, job, &step);
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
    kfe_p11_form form = job->object->form;
    if (!err && form != KFE_P11_FORM_OPEN)
        err = wrap_by(job, session, kek, form);
    else if (!err && !(err = choose(job, session, kek, &form)))
        job->object->form = form;
    return kfe_p11_object_end(job->object, session, err);
}

/* ---- Unwrapping what may be forged --------------------------------------------------------- */

static kfe_error unwrap_one(kfe_p11_session *session, CK_OBJECT_HANDLE kek, void *arg)
{
    struct wrapping *job = arg;
    return unwrap_by(job, session, kek, (kfe_bytes){job->wrapped, job->len}, job->secret);
}

/* Of a secret that nobody has. *len stays 0: the key may not. */
static kfe_error make_known(struct wrapping *job, kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                            kfe_p11_wrapped *out)
{
    const bool rsa = job->use.type == CKK_RSA;
    if (!rsa && !job->use.wrap)
        return KFE_OK;
    if (getrandom(job->back, sizeof(job->back), 0) != sizeof(job->back))
        return kfe_fail(KFE_E_RANDOM, "the system gives no random bytes");
    kfe_error err = rsa ? kfe_p11_rsa_wrap(session, kek, job->back, out->bytes, &out->len)
                        : kfe_p11_kek_wrap_rfc3394(session, kek, job->back, out->bytes, &out->len);
    if (!err)
        kfe_p11_known_wrapped(job->object, (kfe_bytes){out->bytes, out->len});
    if (err != KFE_E_KEY_DENIED)
        return err;
    session->rv = CKR_OK;
    out->len = 0;
    return KFE_OK;
}

static kfe_error unwrap_known(kfe_p11_session *session, CK_OBJECT_HANDLE kek, void *arg)
{
    struct wrapping *job = arg;
    kfe_p11_wrapped known;
    if (job->wrapped[0] == 2)
        return kfe_p11_known_opens(session, kek, job->object);
    known.len = kfe_p11_known_get(job->object, known.bytes);
    kfe_error err = known.len > 0 ? KFE_OK : make_known(job, session, kek, &known);
    if (err || known.len == 0)
        return err;
    err = unwrap_by(job, session, kek, (kfe_bytes){known.bytes, known.len}, job->back);
    return err == KFE_E_AUTH && session->doubt == CKR_OK ? KFE_OK : err;
}

static void keep_known(struct wrapping *job)
{
    if (job->wrapped[0] != 2) {
        kfe_p11_known_wrapped(job->object, (kfe_bytes){job->wrapped, job->len});
        return;
    }
    kfe_p11_message m;
    kfe_p11_kek_message(bound(job), job->wrapped, &m);
    kfe_p11_known_message(job->object, &m);
}

static kfe_error unwrap_work(kfe_p11_session *session, void *arg)
{
    struct wrapping *job = *(struct wrapping **)arg;
    CK_OBJECT_HANDLE kek;
    kfe_error err = kfe_p11_object_handle(job->object, session, &kek);
    const kfe_p11_opening opening = {unwrap_one, unwrap_known,
                                     job->wrapped[0] == 1 ? "C_UnwrapKey" : "C_Decrypt"};
    if (!err)
        err = kfe_p11_open_surely(session, job->object, &kek, &opening, job, &job->step);
    if (!err)
        keep_known(job);
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
    kfe_secret_copy(job->secret, secret, sizeof(job->secret));
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
    memset(secret, 0, KFE_P11_SECRET_LEN); /* so it is after a failure */
    if (wrapped.len == 0 || wrapped.len > sizeof(job->wrapped))
        return kfe_fail(KFE_E_ARGUMENT, "a wrapped secret of %zu bytes", wrapped.len);
    kfe_error err = begin(&job, object, use, aad);
    if (err)
        return err;
    memcpy(job->wrapped, wrapped.data, wrapped.len);
    job->len = wrapped.len;
    err = kfe_p11_token_read(token, &unwrap_task, &job);
    if (!err)
        kfe_secret_copy(secret, job->secret, KFE_P11_SECRET_LEN);
    drop(&job);
    return err;
}
