/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_CKR_H
#define KFE_PKCS11_CKR_H

/* The one place where PKCS#11 return codes become kfe errors (PKCS#11 2.40, section 11.1). */

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include <kfe/error.h>

/* "CKR_PIN_INCORRECT"; "a vendor's code" or "an unknown code" for others. Static storage. */
const char *kfe_p11_ckr_name(CK_RV rv);

/* Said of a call that opens somebody's data: it is bad. */
bool kfe_p11_ckr_blames_data(CK_RV rv);

/* Who has to act: CREDENTIALS, KEY_DENIED (the token cannot or may not), MEMORY, else PROVIDER.
 * Bad data is no error here: who calls what opens it asks kfe_p11_bad_data() first. */
kfe_error kfe_p11_ckr_error(CK_RV rv);

/* Raises kfe_p11_ckr_error(rv); the detail names the call, the code and what to do. */
kfe_error kfe_p11_ckr_fail(CK_RV rv, const char *call);

/* What may cure a failed call. */
typedef enum {
    KFE_P11_NO_CURE,
    KFE_P11_NEW_SESSION,  /* this session's operation is stuck: take another one */
    KFE_P11_SESSION_LOST, /* session or login are gone: get them back, find objects again */
    KFE_P11_OBJECT_LOST,  /* the handle is stale: find the object again */
    KFE_P11_AMBIGUOUS,    /* bad data or a dead token: probe it to tell them apart */
} kfe_p11_cure;
kfe_p11_cure kfe_p11_ckr_cure(CK_RV rv);

#endif
