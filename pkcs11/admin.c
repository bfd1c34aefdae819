/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "pkcs11/admin.h"
#include "pkcs11/id.h"
#include "pkcs11/lookup.h"
#include "pkcs11/marker.h"
#include "pkcs11/rsa.h"
#include "pkcs11/secretkey.h"
#include "pkcs11/survey.h"
#include "pkcs11/uri.h"

enum { WHERE_MAX = 2048 }; /* a name of 255 bytes twice, three characters each, and the rest */

struct job {
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    kfe_key_state state;
    kfe_key_purpose purpose;
};

static struct job job_for(const char *name, uint32_t version)
{
    struct job job = {.version = version};
    snprintf(job.name, sizeof(job.name), "%s", name);
    return job;
}

static kfe_key_ref ref_of(const struct job *job)
{
    return (kfe_key_ref){job->name, job->version};
}

/* ---- list --------------------------------------------------------------------------- */

/* What a use would be refused for. */
static kfe_error look(kfe_p11_session *session, kfe_p11_entry *entry)
{
    const kfe_key_ref ref = {entry->name, entry->version};
    kfe_error err = KFE_OK;
    if (entry->hits > 1)
        err = kfe_p11_ambiguous(entry);
    else if (entry->hits == 1)
        err = kfe_p11_secretkey_look(session, entry->key, &ref, NULL);
    if (err == KFE_E_KEY_DENIED)
        snprintf(entry->wrong, sizeof(entry->wrong), "%s", kfe_error_detail());
    return err == KFE_E_KEY_DENIED ? KFE_OK : err;
}

static kfe_error list_work(kfe_p11_session *session, void *arg)
{
    kfe_p11_survey *survey = arg;
    kfe_error err = kfe_p11_survey_go(survey, session);
    const size_t begun = survey->looked;
    while (!err && survey->done && !kfe_p11_survey_is_over(survey) &&
           kfe_p11_survey_has_time(survey, session, begun)) {
        err = look(session, &survey->catalog.entries[survey->looked]);
        err = kfe_p11_survey_looked(survey, session, err);
    }
    return err;
}

static void list_drop(void *arg)
{
    kfe_p11_survey_wipe(arg);
}

static kfe_error tell(kfe_p11_token *token, const kfe_p11_catalog *catalog, kfe_key_each *each,
                      void *arg)
{
    kfe_error err = KFE_OK;
    CK_TOKEN_INFO info;
    kfe_p11_token_info(token, &info);
    for (size_t i = 0; !err && i < catalog->n; i++) {
        const kfe_p11_entry *entry = &catalog->entries[i];
        char where[WHERE_MAX];
        const kfe_key_ref ref = {entry->name, entry->version};
        kfe_p11_id id;
        kfe_p11_id_of_key(&ref, entry->plain_id, &id);
        kfe_p11_uri_of_key(&info, entry->class, entry->name, &id, where, sizeof(where));
        const kfe_key_info key = {sizeof(key),
                                  entry->name,
                                  entry->version,
                                  entry->state,
                                  entry->hits > 0 ? where : NULL,
                                  entry->wrong[0] != '\0' ? entry->wrong : NULL};
        err = each(arg, &key);
    }
    return err;
}

kfe_error kfe_p11_admin_list(kfe_p11_token *token, kfe_key_each *each, void *arg)
{
    static const kfe_p11_task task = {list_work, sizeof(kfe_p11_survey), list_drop, KFE_P11_FIND};
    kfe_p11_survey survey = {.tries = 0};
    kfe_error err = KFE_OK;
    while (!err && !kfe_p11_survey_is_over(&survey))
        err = kfe_p11_token_find(token, &task, &survey);
    if (!err)
        err = tell(token, &survey.catalog, each, arg);
    kfe_p11_survey_wipe(&survey);
    return err;
}

/* ---- create, rotate ------------------------------------------------------------------ */

static kfe_error make(kfe_p11_session *session, const kfe_key_ref *ref, kfe_p11_make what)
{
    return what == KFE_P11_MAKE_RSA ? kfe_p11_rsa_create(session, ref)
                                    : kfe_p11_secretkey_create(session, ref, what);
}

/* Of the newest version that still has its object; one that kfe may not use counts too, if it is a
 * key at all. */
static kfe_error look_at_newest(kfe_p11_session *session, const kfe_p11_catalog *catalog,
                                kfe_p11_make *out)
{
    *out = KFE_P11_MAKE_DERIVED;
    for (size_t i = catalog->n; i > 0; i--) {
        const kfe_p11_entry *entry = &catalog->entries[i - 1];
        const kfe_key_ref ref = {entry->name, entry->version};
        kfe_p11_use use = {.type = CKK_GENERIC_SECRET};
        if (entry->hits == 0)
            continue;
        kfe_error err = kfe_p11_secretkey_look(session, entry->key, &ref, &use);
        if (err == KFE_E_KEY_DENIED && use.type != CKK_RSA)
            continue;
        *out = kfe_p11_secretkey_make_like(&use);
        /* What is wrong with an RSA key is not with the next one, but for the permission. */
        return err == KFE_E_KEY_DENIED && session->allow_rsa ? KFE_OK : err;
    }
    return KFE_OK;
}

static kfe_error create_work(kfe_p11_session *session, void *arg)
{
    const struct job *job = arg;
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->name);
    if (err)
        return err;
    bool used = catalog.n > 0;
    kfe_p11_catalog_wipe(&catalog);
    if (used)
        return kfe_fail(KFE_E_ARGUMENT,
                        "key %.150s is there, or was: make its next version by `kfe keys rotate`",
                        job->name);
    const kfe_key_ref ref = ref_of(job);
    kfe_p11_make what = kfe_p11_secretkey_make_for(session, job->purpose);
    if (what == KFE_P11_MAKE_RSA && !session->allow_rsa)
        return kfe_fail(KFE_E_CONFIG, "an RSA key needs " KFE_P11_ALLOW_RSA_OPTION "=true, here "
                                      "and at consumers: whoever has its public half can make "
                                      "records that open");
    return make(session, &ref, what);
}

static kfe_error rotate_work(kfe_p11_session *session, void *arg)
{
    struct job *job = arg;
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->name);
    if (err)
        return err;
    uint32_t last = kfe_p11_catalog_last(&catalog);
    kfe_p11_make what;
    err = look_at_newest(session, &catalog, &what);
    kfe_p11_catalog_wipe(&catalog);
    if (err)
        return err;
    if (last == 0)
        return kfe_fail(KFE_E_KEY_UNKNOWN,
                        "no key %.150s in the token: make it by "
                        "`kfe keys create`",
                        job->name);
    if (last == UINT32_MAX)
        return kfe_fail(KFE_E_KEY_DENIED, "key %.150s has no version left", job->name);
    job->version = last + 1;
    const kfe_key_ref ref = ref_of(job);
    return make(session, &ref, what);
}

kfe_error kfe_p11_admin_create(kfe_p11_token *token, const char *name, kfe_key_purpose purpose)
{
    static const kfe_p11_task task = {create_work, sizeof(struct job), NULL, KFE_P11_GENERATE};
    struct job job = job_for(name, 1);
    job.purpose = purpose;
    return kfe_p11_token_write(token, &task, &job);
}

kfe_error kfe_p11_admin_rotate(kfe_p11_token *token, const char *name, uint32_t *version)
{
    static const kfe_p11_task task = {rotate_work, sizeof(struct job), NULL, KFE_P11_GENERATE};
    struct job job = job_for(name, 0);
    kfe_error err = kfe_p11_token_write(token, &task, &job);
    if (!err)
        *version = job.version;
    return err;
}

/* ---- set_state ------------------------------------------------------------------------ */

static kfe_error check_move(const kfe_p11_entry *entry, const struct job *job)
{
    unsigned long version = job->version;
    if (!entry)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "no key %.150s@%lu in the token", job->name, version);
    if (entry->hits > 1)
        return kfe_p11_ambiguous(entry);
    if (job->state >= entry->state)
        return KFE_OK;
    if (entry->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %.150s@%lu was destroyed", job->name, version);
    return kfe_fail(KFE_E_ARGUMENT,
                    "key %.150s@%lu is retired and cannot become active again: rotate instead",
                    job->name, version);
}

static kfe_error move(kfe_p11_session *session, const kfe_p11_entry *entry, const struct job *job)
{
    if (job->state != entry->state) {
        const kfe_key_ref ref = ref_of(job);
        kfe_error err = kfe_p11_marker_write(session, &ref, job->state);
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
    kfe_error err = kfe_p11_catalog_load(&catalog, session, job->name);
    if (err)
        return err;
    const kfe_p11_entry *entry = kfe_p11_catalog_version(&catalog, job->version);
    err = check_move(entry, job);
    if (!err)
        err = move(session, entry, job);
    kfe_p11_catalog_wipe(&catalog);
    return err;
}

kfe_error kfe_p11_admin_set_state(kfe_p11_token *token, const kfe_key_ref *ref, kfe_key_state state)
{
    static const kfe_p11_task task = {set_state_work, sizeof(struct job), NULL, KFE_P11_OTHER};
    struct job job = job_for(ref->name, ref->version);
    job.state = state;
    if (state < KFE_KEY_ACTIVE || state > KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_ARGUMENT, "%d is no key state", (int)state);
    return kfe_p11_token_write(token, &task, &job);
}
