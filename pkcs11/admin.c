/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/admin.h"
#include "pkcs11/lookup.h"
#include "pkcs11/marker.h"
#include "pkcs11/secretkey.h"
#include "pkcs11/uri.h"

enum { WHERE_MAX = 1280 }; /* a name of 255 bytes, three characters each, and the rest */

struct job {
    kfe_key_ref ref;
    kfe_key_state state;
};

/* ---- list --------------------------------------------------------------------------- */

static kfe_error list_work(kfe_p11_session *session, void *arg)
{
    return kfe_p11_catalog_load(arg, session, NULL);
}

kfe_error kfe_p11_admin_list(kfe_p11_token *token, kfe_key_each *each, void *arg)
{
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_token_read(token, list_work, &catalog);
    if (err)
        return err;
    CK_TOKEN_INFO info;
    kfe_p11_token_info(token, &info);
    for (size_t i = 0; !err && i < catalog.n; i++) {
        const kfe_p11_entry *entry = &catalog.entries[i];
        char where[WHERE_MAX];
        kfe_p11_uri_of_key(&info, entry->name, entry->version, where, sizeof(where));
        const kfe_key_info key = {sizeof(key), entry->name, entry->version, entry->state,
                                  entry->hits > 0 ? where : NULL};
        err = each(arg, &key);
    }
    kfe_p11_catalog_wipe(&catalog);
    return err;
}

/* ---- create, rotate ------------------------------------------------------------------ */

/* Two operators may have made the same version at once, and a token may take a template and do as
 * it likes. Each looks again at what it made; of two who see each other neither keeps its own. */
static kfe_error verify_made(kfe_p11_session *session, const kfe_key_ref *ref,
                             CK_OBJECT_HANDLE made)
{
    kfe_p11_entry entry;
    kfe_error err = kfe_p11_lookup(session, ref, &entry);
    if (err == KFE_E_KEY_DENIED)
        session->calls->C_DestroyObject(session->handle, made);
    return err;
}

static kfe_error make(kfe_p11_session *session, const kfe_key_ref *ref)
{
    CK_OBJECT_HANDLE made;
    kfe_error err = kfe_p11_secretkey_create(session, ref, &made);
    return err ? err : verify_made(session, ref, made);
}

static kfe_error create_work(kfe_p11_session *session, void *arg)
{
    const struct job *job = arg;
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->ref.name);
    if (err)
        return err;
    bool used = catalog.n > 0;
    kfe_p11_catalog_wipe(&catalog);
    if (used)
        return kfe_fail(KFE_E_ARGUMENT,
                        "key %.150s is there, or was: make its next version by `kfe keys rotate`",
                        job->ref.name);
    return make(session, &job->ref);
}

static kfe_error rotate_work(kfe_p11_session *session, void *arg)
{
    struct job *job = arg;
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->ref.name);
    if (err)
        return err;
    uint32_t last = kfe_p11_catalog_last(&catalog);
    kfe_p11_catalog_wipe(&catalog);
    if (last == 0)
        return kfe_fail(KFE_E_KEY_UNKNOWN,
                        "no key %.150s in the token: make it by "
                        "`kfe keys create`",
                        job->ref.name);
    if (last == UINT32_MAX)
        return kfe_fail(KFE_E_KEY_DENIED, "key %.150s has no version left", job->ref.name);
    job->ref.version = last + 1;
    return make(session, &job->ref);
}

kfe_error kfe_p11_admin_create(kfe_p11_token *token, const char *name)
{
    struct job job = {.ref = {name, 1}};
    return kfe_p11_token_write(token, create_work, &job);
}

kfe_error kfe_p11_admin_rotate(kfe_p11_token *token, const char *name, uint32_t *version)
{
    struct job job = {.ref = {name, 0}};
    kfe_error err = kfe_p11_token_write(token, rotate_work, &job);
    if (!err)
        *version = job.ref.version;
    return err;
}

/* ---- set_state ------------------------------------------------------------------------ */

static kfe_error check_move(const kfe_p11_entry *entry, const struct job *job)
{
    unsigned long version = job->ref.version;
    if (!entry)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "no key %.150s@%lu in the token", job->ref.name,
                        version);
    if (entry->hits > 1)
        return kfe_p11_ambiguous(entry);
    if (job->state >= entry->state)
        return KFE_OK;
    if (entry->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %.150s@%lu was destroyed", job->ref.name,
                        version);
    return kfe_fail(KFE_E_ARGUMENT,
                    "key %.150s@%lu is retired and cannot become active again: rotate instead",
                    job->ref.name, version);
}

static kfe_error move(kfe_p11_session *session, const kfe_p11_entry *entry, const struct job *job)
{
    if (job->state != entry->state) {
        kfe_error err = kfe_p11_marker_write(session, &job->ref, job->state);
        if (err)
            return err;
    }
    if (job->state != KFE_KEY_DESTROYED || entry->hits == 0)
        return KFE_OK;
    CK_RV rv = session->calls->C_DestroyObject(session->handle, entry->key);
    if (rv != CKR_OK && rv != CKR_OBJECT_HANDLE_INVALID)
        return kfe_p11_session_fail(session, rv, "C_DestroyObject");
    return KFE_OK;
}

static kfe_error set_state_work(kfe_p11_session *session, void *arg)
{
    const struct job *job = arg;
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->ref.name);
    if (err)
        return err;
    const kfe_p11_entry *entry = kfe_p11_catalog_version(&catalog, job->ref.version);
    err = check_move(entry, job);
    if (!err)
        err = move(session, entry, job);
    kfe_p11_catalog_wipe(&catalog);
    return err;
}

kfe_error kfe_p11_admin_set_state(kfe_p11_token *token, const kfe_key_ref *ref, kfe_key_state state)
{
    struct job job = {.ref = *ref, .state = state};
    if (state < KFE_KEY_ACTIVE || state > KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_ARGUMENT, "%d is no key state", (int)state);
    return kfe_p11_token_write(token, set_state_work, &job);
}
