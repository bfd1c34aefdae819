/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_SURVEY_H
#define KFE_PKCS11_SURVEY_H

/* All that a token holds (catalog.h), read piece by piece: each is a task of its own, which ends in
 * time whatever the number of keys, and lets others have their turn. */

#include "pkcs11/catalog.h"
#include "pkcs11/find.h"

/* All zero to begin with. */
typedef struct {
    kfe_p11_catalog catalog; /* owned; complete when `done` */
    kfe_p11_found found;     /* owned: objects of the class at hand */
    size_t at;               /* the next of these */
    unsigned n_classes;      /* that were searched for */
    unsigned tries;
    uint64_t logins; /* what the handles belong to */
    bool done;
    size_t looked; /* entries that the caller is through with: again 0 when all is read anew */
} kfe_p11_survey;

void kfe_p11_survey_wipe(kfe_p11_survey *survey);

/* Goes on as far as there is time, and some way at least. Handles of another login than before: all
 * is read anew. KFE_E_PROVIDER: objects came and went all the time. */
kfe_error kfe_p11_survey_go(kfe_p11_survey *survey, kfe_p11_session *session);

/* All is read, and the caller is through with every entry. */
bool kfe_p11_survey_is_over(const kfe_p11_survey *survey);

/* True while there is time for another entry, one at least in each piece: `begun` is `looked` at
 * its begin. A session whose handles may be stale (session->sure) gives no second piece. */
bool kfe_p11_survey_has_time(const kfe_p11_survey *survey, const kfe_p11_session *session,
                             size_t begun);

/* Looking at an entry came to `err`: when that object is gone meanwhile all is to be read anew, and
 * it is KFE_OK. */
kfe_error kfe_p11_survey_looked(kfe_p11_survey *survey, kfe_p11_session *session, kfe_error err);

#endif
