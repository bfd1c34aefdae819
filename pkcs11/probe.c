/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/probe.h"

#include <stdio.h>
#include <string.h>

#include "pkcs11/secretkey.h"
#include "pkcs11/survey.h"
#include "pkcs11/tries.h"

/* ---- The token ------------------------------------------------------------------------------ */

/* Padded with blanks, and a stranger's: nothing of it steers a terminal. */
static void trim(const unsigned char *from, size_t len, char *out)
{
    while (len > 0 && from[len - 1] == ' ')
        len--;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i]);
    out[len] = '\0';
}

static void describe(kfe_p11_token *token, kfe_probe_line *line, void *arg)
{
    CK_TOKEN_INFO info;
    char label[33], maker[33], model[17], text[200];
    kfe_p11_token_info(token, &info);
    trim(info.label, sizeof(info.label), label);
    trim(info.manufacturerID, sizeof(info.manufacturerID), maker);
    trim(info.model, sizeof(info.model), model);
    snprintf(text, sizeof(text), "%s (%s, %s)", label, maker, model);
    line(arg, KFE_PROBE_CAN, "token", text);
    if (info.ulMaxSessionCount == CK_EFFECTIVELY_INFINITE)
        snprintf(text, sizeof(text), "no limit");
    else if (info.ulMaxSessionCount == CK_UNAVAILABLE_INFORMATION)
        snprintf(text, sizeof(text), "not told");
    else
        snprintf(text, sizeof(text), "at most %lu", info.ulMaxSessionCount);
    line(arg, KFE_PROBE_CAN, "sessions", text);
    const bool protected = (info.flags & CKF_WRITE_PROTECTED) != 0;
    line(arg, protected ? KFE_PROBE_CANNOT : KFE_PROBE_CAN, "written to",
         protected ? "the token is write-protected" : "not write-protected");
}

static kfe_error look_at_session(kfe_p11_session *session, void *arg)
{
    static const char *const states[] = {"read-only, not logged in", "read-only, logged in",
                                         "read-write, not logged in", "read-write, logged in",
                                         "read-write, as security officer"};
    kfe_p11_findings *f = kfe_p11_begin(arg);
    CK_SESSION_INFO info;
    CK_RV rv = session->calls->C_GetSessionInfo(session->handle, &info);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_GetSessionInfo");
    const bool writes = info.state >= CKS_RW_PUBLIC_SESSION;
    kfe_p11_note(f, KFE_PROBE_CAN, "login",
                 kfe_p11_session_has_login(session->calls, session->handle) ? "%s" : "none: %s",
                 info.state < 5 ? states[info.state] : "an unknown state");
    kfe_p11_note(f, writes ? KFE_PROBE_CAN : KFE_PROBE_CANNOT, "read-write session",
                 writes ? "keys can be made" : "no keys can be made");
    return KFE_OK;
}

static kfe_error look_at_mechanisms(kfe_p11_session *session, void *arg)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *name, *why;
    } wanted[] = {{CKM_SHA256_HMAC, "CKM_SHA256_HMAC", "derived"},
                  {CKM_GENERIC_SECRET_KEY_GEN, "CKM_GENERIC_SECRET_KEY_GEN", "to make such keys"},
                  {CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN", "to make keys for wrapped and direct"},
                  {CKM_AES_GCM, "CKM_AES_GCM", "wrapped, direct"},
                  {CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP", "wrapped; import, export"},
                  {CKM_RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN", "to make RSA keys"},
                  {CKM_RSA_PKCS_OAEP, "CKM_RSA_PKCS_OAEP", "wrapped, by RSA"},
                  {CKM_RSA_X_509, "CKM_RSA_X_509", "the same where OAEP lacks SHA-256"}};
    kfe_p11_findings *f = kfe_p11_begin(arg);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const bool has = kfe_p11_has_mechanism(session, wanted[i].type);
        kfe_p11_note(f, has ? KFE_PROBE_CAN : KFE_PROBE_CANNOT, wanted[i].name, "%s",
                     wanted[i].why);
    }
    return KFE_OK;
}

/* ---- The keys ------------------------------------------------------------------------------- */

typedef struct {
    kfe_p11_survey survey; /* owned */
    size_t told; /* entries: a piece that is run again, or begins anew, goes on behind them */
    kfe_p11_findings found;
} key_job;

static const char *kinds_of(const kfe_p11_use *use)
{
    if (use->type == CKK_GENERIC_SECRET)
        return "derived";
    if (use->type == CKK_RSA)
        return "wrapped (RSA-OAEP)";
    if (!use->decrypt)
        return "wrapped (RFC 3394)";
    return use->len == KFE_P11_KEY_LEN ? "wrapped (AES-GCM), direct" : "direct (A128GCM)";
}

static kfe_error look_at_key(kfe_p11_session *session, const kfe_p11_entry *entry,
                             kfe_p11_findings *f)
{
    const kfe_key_ref ref = {entry->name, entry->version};
    kfe_p11_use use;
    char what[40];
    snprintf(what, sizeof(what), "key %.24s@%lu", entry->name, (unsigned long)entry->version);
    if (entry->hits > 1) {
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "%u objects: ambiguous", entry->hits);
        return KFE_OK;
    }
    kfe_error err = kfe_p11_secretkey_look(session, entry->key, &ref, &use);
    if (err == KFE_E_KEY_DENIED)
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "%s", kfe_error_detail());
    if (!err)
        kfe_p11_note(f, KFE_PROBE_CAN, what, "%s, %s", kfe_key_state_name(entry->state),
                     kinds_of(&use));
    return err == KFE_E_KEY_DENIED ? KFE_OK : err;
}

static kfe_error look_at_keys(kfe_p11_session *session, void *arg)
{
    key_job *job = arg;
    kfe_p11_survey *survey = &job->survey;
    job->found.n = 0;
    kfe_error err = kfe_p11_survey_go(survey, session);
    size_t begun = 0;
    if (survey->done)
        begun = survey->looked = job->told < survey->catalog.n ? job->told : survey->catalog.n;
    while (!err && survey->done && !kfe_p11_survey_is_over(survey) &&
           job->found.n < KFE_P11_LINES_MAX && kfe_p11_survey_has_time(survey, session, begun)) {
        const kfe_p11_entry *entry = &survey->catalog.entries[survey->looked];
        if (entry->hits > 0)
            err = look_at_key(session, entry, &job->found);
        err = kfe_p11_survey_looked(survey, session, err);
    }
    return err;
}

static void drop_keys(void *arg)
{
    kfe_p11_survey_wipe(&((key_job *)arg)->survey);
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void tell(const kfe_p11_findings *f, kfe_probe_line *line, void *arg)
{
    for (unsigned i = 0; i < f->n; i++)
        line(arg, f->lines[i].verdict, f->lines[i].what, f->lines[i].found);
}

static kfe_error probe_keys(kfe_p11_token *token, kfe_probe_line *line, void *arg)
{
    static const kfe_p11_task task = {look_at_keys, sizeof(key_job), drop_keys, KFE_P11_FIND};
    key_job job = {.found.n = 0};
    kfe_error err = KFE_OK;
    while (!err && !kfe_p11_survey_is_over(&job.survey)) {
        err = kfe_p11_token_find(token, &task, &job);
        if (err)
            break;
        tell(&job.found, line, arg);
        if (job.survey.done)
            job.told = job.survey.looked;
    }
    drop_keys(&job);
    return err;
}

kfe_error kfe_p11_probe(kfe_p11_token *token, kfe_probe_line *line, void *arg)
{
    static const kfe_p11_task tasks[] = {
        {look_at_session, sizeof(kfe_p11_findings), NULL, KFE_P11_OTHER},
        {look_at_mechanisms, sizeof(kfe_p11_findings), NULL, KFE_P11_OTHER},
        {kfe_p11_try_hmac, sizeof(kfe_p11_findings), NULL, KFE_P11_MAC},
        {kfe_p11_try_gcm, sizeof(kfe_p11_findings), NULL, KFE_P11_ENCRYPT},
        {kfe_p11_try_wrap, sizeof(kfe_p11_findings), NULL, KFE_P11_WRAP},
        {kfe_p11_try_oaep, sizeof(kfe_p11_findings), NULL, KFE_P11_OTHER},
    };
    describe(token, line, arg);
    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
        kfe_p11_findings found = {.n = 0};
        kfe_error err = kfe_p11_token_write(token, &tasks[i], &found);
        tell(&found, line, arg);
        /* One that takes too long, as an RSA key may, says nothing about the others. */
        if (err && i == 0)
            return err;
        if (err)
            line(arg, KFE_PROBE_WRONG, "not finished", kfe_error_detail());
    }
    return probe_keys(token, line, arg);
}
