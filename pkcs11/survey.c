/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "pkcs11/ckr.h"
#include "pkcs11/meter.h"
#include "pkcs11/survey.h"

void kfe_p11_survey_wipe(kfe_p11_survey *survey)
{
    kfe_p11_catalog_wipe(&survey->catalog);
    free(survey->found.at);
    *survey = (kfe_p11_survey){.tries = 0};
}

static void begin_anew(kfe_p11_survey *survey, uint64_t logins)
{
    const unsigned tries = survey->tries;
    kfe_p11_survey_wipe(survey);
    survey->tries = tries;
    survey->logins = logins;
}

static kfe_error try_again(kfe_p11_survey *survey)
{
    if (++survey->tries >= KFE_P11_CATALOG_TRIES)
        return kfe_p11_catalog_restless();
    begin_anew(survey, survey->logins);
    return KFE_OK;
}

static bool has_time(const kfe_p11_session *session)
{
    return !session->sure || kfe_p11_microseconds() < session->enough;
}

/* The next search, or the next object of the last one. */
static kfe_error step(kfe_p11_survey *survey, kfe_p11_session *session)
{
    if (survey->at < survey->found.n) {
        kfe_error err =
            kfe_p11_catalog_add(&survey->catalog, session, survey->found.at[survey->at]);
        survey->at += !err;
        return err;
    }
    free(survey->found.at);
    survey->found = (kfe_p11_found){NULL, 0};
    survey->at = 0;
    kfe_error err = kfe_p11_catalog_search(session, &kfe_p11_catalog_classes[survey->n_classes],
                                           NULL, &survey->found);
    survey->n_classes += !err;
    return err;
}

kfe_error kfe_p11_survey_go(kfe_p11_survey *survey, kfe_p11_session *session)
{
    kfe_error err = KFE_OK;
    if (survey->logins != session->logins || !session->sure)
        begin_anew(survey, session->logins);
    if (survey->done)
        return KFE_OK;
    bool more = true;
    do {
        err = step(survey, session);
        more = survey->n_classes < KFE_P11_CATALOG_CLASSES || survey->at < survey->found.n;
    } while (!err && more && has_time(session));
    if (err || more)
        return err;
    err = kfe_p11_session_verify(session);
    if (err)
        return err;
    /* The marker of what is gone may be one that the search was too early for. */
    if (survey->catalog.gone)
        return try_again(survey);
    kfe_p11_catalog_merge(&survey->catalog);
    survey->done = true;
    return KFE_OK;
}

bool kfe_p11_survey_is_over(const kfe_p11_survey *survey)
{
    return survey->done && survey->looked == survey->catalog.n;
}

bool kfe_p11_survey_has_time(const kfe_p11_survey *survey, const kfe_p11_session *session,
                             size_t begun)
{
    return survey->looked == begun || has_time(session);
}

kfe_error kfe_p11_survey_looked(kfe_p11_survey *survey, kfe_p11_session *session, kfe_error err)
{
    if (err && kfe_p11_ckr_cure(session->rv) == KFE_P11_OBJECT_LOST) {
        session->rv = CKR_OK;
        return try_again(survey);
    }
    survey->looked += !err;
    return err;
}
