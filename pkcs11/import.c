/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/secret.h>

#include "pkcs11/catalog.h"
#include "pkcs11/find.h"
#include "pkcs11/import.h"
#include "pkcs11/lookup.h"
#include "pkcs11/maker.h"
#include "pkcs11/secretkey.h"

enum { WRAPPED_LEN = 40 };

/* In memory for secrets. A task's argument is a pointer to it, and owns it. */
struct job {
    char name[KFE_NAME_MAX + 1], kek[KFE_NAME_MAX + 1];
    uint32_t version; /* import: written */
    uint8_t key[32];
    uint8_t wrapped[WRAPPED_LEN];
    CK_OBJECT_HANDLE by; /* import_wrapped: the key that unwraps */
};

static kfe_error job_new(struct job **out, const char *name, const char *kek)
{
    struct job *job = kfe_secret_alloc(sizeof(*job));
    if (!job)
        return KFE_E_MEMORY;
    snprintf(job->name, sizeof(job->name), "%s", name);
    snprintf(job->kek, sizeof(job->kek), "%s", kek);
    *out = job;
    return KFE_OK;
}

static void drop(void *arg)
{
    kfe_secret_free(*(struct job **)arg);
}

/* ---- The key that wraps --------------------------------------------------------------------- */

static kfe_error find_kek(kfe_p11_session *session, const char *name, CK_ATTRIBUTE_TYPE usage,
                          CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_KEY_TYPE, &type, sizeof(type)},
                             {CKA_TOKEN, &yes, sizeof(yes)},
                             {CKA_PRIVATE, &yes, sizeof(yes)},
                             {CKA_LABEL, (void *)(uintptr_t)name, strlen(name)},
                             {usage, &yes, sizeof(yes)}};
    kfe_p11_found found;
    kfe_error err = kfe_p11_find(session, wanted, sizeof(wanted) / sizeof(wanted[0]), &found);
    if (!err && found.n == 0)
        err = kfe_p11_session_verify(session);
    if (err)
        return err;
    size_t n = found.n;
    *out = n > 0 ? found.at[0] : CK_INVALID_HANDLE;
    free(found.at);
    if (n == 1)
        return KFE_OK;
    return n == 0 ? kfe_fail(KFE_E_KEY_UNKNOWN,
                             "the token has no private AES key with label %.80s that may %s", name,
                             usage == CKA_WRAP ? "wrap" : "unwrap")
                  : kfe_fail(KFE_E_KEY_DENIED, "several AES keys have the label %.80s", name);
}

/* ---- Import -----------------------------------------------------------------------------------
 */

/* What a key of the derived kind is (secretkey.h), but for where its bytes come from. */
struct template
{
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    CK_BBOOL yes, no;
    CK_ATTRIBUTE a[16];
    CK_ULONG n;
};

static void add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    t->a[t->n++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len};
}

static void fill(struct template *t, const kfe_p11_id *id, const struct job *job)
{
    static const CK_ATTRIBUTE_TYPE on[] = {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN};
    static const CK_ATTRIBUTE_TYPE off[] = {CKA_EXTRACTABLE, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT,
                                            CKA_WRAP,        CKA_UNWRAP, CKA_DERIVE};
    *t = (struct template){
        .class = CKO_SECRET_KEY, .type = CKK_GENERIC_SECRET, .yes = CK_TRUE, .no = CK_FALSE};
    add(t, CKA_CLASS, &t->class, sizeof(t->class));
    add(t, CKA_KEY_TYPE, &t->type, sizeof(t->type));
    add(t, CKA_LABEL, job->name, strlen(job->name));
    add(t, CKA_ID, id->bytes, id->len);
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++)
        add(t, on[i], &t->yes, sizeof(t->yes));
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
        add(t, off[i], &t->no, sizeof(t->no));
}

static kfe_error next_version(kfe_p11_session *session, struct job *job)
{
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->name);
    if (err)
        return err;
    uint32_t last = kfe_p11_catalog_last(&catalog);
    kfe_p11_catalog_wipe(&catalog);
    if (last == UINT32_MAX)
        return kfe_fail(KFE_E_KEY_DENIED, "key %.150s has no version left", job->name);
    job->version = last + 1;
    return KFE_OK;
}

static kfe_error create(kfe_p11_session *session, const kfe_p11_id *id, const void *arg,
                        CK_OBJECT_HANDLE *out)
{
    const struct job *job = arg;
    struct template t;
    fill(&t, id, job);
    add(&t, CKA_VALUE, job->key, sizeof(job->key));
    CK_RV rv = session->calls->C_CreateObject(session->handle, t.a, t.n, out);
    return rv == CKR_OK ? KFE_OK
                        : kfe_p11_session_fail(session, rv, "C_CreateObject with the key's bytes");
}

static kfe_error import_work(kfe_p11_session *session, void *arg)
{
    struct job *job = *(struct job **)arg;
    kfe_error err = next_version(session, job);
    const kfe_key_ref ref = {job->name, job->version};
    return err ? err : kfe_p11_make_key(session, CKO_SECRET_KEY, &ref, create, job);
}

static kfe_error unwrap(kfe_p11_session *session, const kfe_p11_id *id, const void *arg,
                        CK_OBJECT_HANDLE *out)
{
    const struct job *job = arg;
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_ULONG len = KFE_P11_KEY_LEN;
    CK_BYTE *wrapped = (CK_BYTE *)(uintptr_t)job->wrapped;
    struct template t;
    fill(&t, id, job);
    add(&t, CKA_VALUE_LEN, &len, sizeof(len));
    CK_RV rv = session->calls->C_UnwrapKey(session->handle, &mechanism, job->by, wrapped,
                                           sizeof(job->wrapped), t.a, t.n, out);
    if (rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT)
        rv = session->calls->C_UnwrapKey(session->handle, &mechanism, job->by, wrapped,
                                         sizeof(job->wrapped), t.a, t.n - 1, out);
    if (rv != CKR_OK && kfe_p11_bad_data(session, rv))
        return kfe_fail(KFE_E_ARGUMENT, "these bytes do not unwrap under key %.80s", job->kek);
    return rv == CKR_OK ? KFE_OK
                        : kfe_p11_session_fail(session, rv, "C_UnwrapKey with CKM_AES_KEY_WRAP");
}

static kfe_error import_wrapped_work(kfe_p11_session *session, void *arg)
{
    struct job *job = *(struct job **)arg;
    kfe_error err = find_kek(session, job->kek, CKA_UNWRAP, &job->by);
    if (!err)
        err = next_version(session, job);
    const kfe_key_ref ref = {job->name, job->version};
    return err ? err : kfe_p11_make_key(session, CKO_SECRET_KEY, &ref, unwrap, job);
}

/* A task outlives its caller when the token hangs. */
static const kfe_p11_task import_task = {import_work, sizeof(struct job *), drop, KFE_P11_GENERATE};
static const kfe_p11_task unwrap_task = {import_wrapped_work, sizeof(struct job *), drop,
                                         KFE_P11_GENERATE};

static kfe_error run_import(kfe_p11_token *token, const kfe_p11_task *task, struct job *job,
                            uint32_t *version)
{
    kfe_error err = kfe_p11_token_write(token, task, &job);
    if (!err)
        *version = job->version;
    drop(&job);
    return err;
}

kfe_error kfe_p11_import(kfe_p11_token *token, const char *name, const uint8_t key[32],
                         uint32_t *version)
{
    struct job *job;
    kfe_error err = job_new(&job, name, "");
    if (err)
        return err;
    kfe_secret_copy(job->key, key, sizeof(job->key));
    return run_import(token, &import_task, job, version);
}

kfe_error kfe_p11_import_wrapped(kfe_p11_token *token, const char *name, const char *kek,
                                 kfe_bytes wrapped, uint32_t *version)
{
    struct job *job;
    if (wrapped.len != WRAPPED_LEN)
        return kfe_fail(KFE_E_ARGUMENT, "a wrapped key has %d bytes", WRAPPED_LEN);
    kfe_error err = job_new(&job, name, kek);
    if (err)
        return err;
    memcpy(job->wrapped, wrapped.data, wrapped.len);
    return run_import(token, &unwrap_task, job, version);
}

/* ---- Export -----------------------------------------------------------------------------------
 */

/* Not by lookup(), which refuses every key that may leave. */
static kfe_error find_key(kfe_p11_session *session, const struct job *job, CK_OBJECT_HANDLE *out)
{
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->name);
    if (err)
        return err;
    const kfe_p11_entry *entry = kfe_p11_catalog_version(&catalog, job->version);
    if (entry == NULL || entry->hits == 0)
        err = kfe_fail(KFE_E_KEY_UNKNOWN, "no key %.150s@%lu in the token", job->name,
                       (unsigned long)job->version);
    else if (entry->hits > 1)
        err = kfe_p11_ambiguous(entry);
    else
        *out = entry->key;
    kfe_p11_catalog_wipe(&catalog);
    return err;
}

static kfe_error export_work(kfe_p11_session *session, void *arg)
{
    struct job *job = *(struct job **)arg;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE, kek = CK_INVALID_HANDLE;
    kfe_error err = find_key(session, job, &key);
    CK_BBOOL extractable = CK_FALSE;
    CK_ATTRIBUTE a = {CKA_EXTRACTABLE, &extractable, sizeof(extractable)};
    if (!err)
        err = kfe_p11_read(session, key, &a, 1);
    if (err)
        return err;
    if (a.ulValueLen != sizeof(extractable) || !extractable)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "key %.150s@%lu is not extractable: it can leave the token in no form, "
                        "which no attribute change undoes. Use the vendor's backup, or import one "
                        "key into both tokens",
                        job->name, (unsigned long)job->version);
    err = find_kek(session, job->kek, CKA_WRAP, &kek);
    if (err)
        return err;
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_ULONG len = sizeof(job->wrapped);
    CK_RV rv = session->calls->C_WrapKey(session->handle, &mechanism, kek, key, job->wrapped, &len);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_WrapKey with CKM_AES_KEY_WRAP");
    return len == sizeof(job->wrapped)
               ? KFE_OK
               : kfe_fail(KFE_E_KEY_DENIED, "key %.150s@%lu is not of 32 bytes", job->name,
                          (unsigned long)job->version);
}

kfe_error kfe_p11_export_wrapped(kfe_p11_token *token, const kfe_key_ref *ref, const char *kek,
                                 uint8_t *out, size_t *len)
{
    static const kfe_p11_task task = {export_work, sizeof(struct job *), drop, KFE_P11_WRAP};
    struct job *job;
    if (*len < WRAPPED_LEN)
        return kfe_fail(KFE_E_SPACE, "a wrapped key has %d bytes", WRAPPED_LEN);
    kfe_error err = job_new(&job, ref->name, kek);
    if (err)
        return err;
    job->version = ref->version;
    err = kfe_p11_token_find(token, &task, &job);
    if (!err) {
        memcpy(out, job->wrapped, WRAPPED_LEN);
        *len = WRAPPED_LEN;
    }
    drop(&job);
    return err;
}
