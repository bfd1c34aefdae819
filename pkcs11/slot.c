/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "pkcs11/ckr.h"
#include "pkcs11/slot.h"

enum { SLOTS_MAX = 4096 };

/* A token may be plugged in between the question how many there are and the list: asked again. */
static kfe_error slots_new(CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID **out, CK_ULONG *n)
{
    CK_RV rv = CKR_BUFFER_TOO_SMALL;
    for (int tries = 0; rv == CKR_BUFFER_TOO_SMALL && tries < 5; tries++) {
        rv = calls->C_GetSlotList(CK_TRUE, NULL, n);
        if (rv != CKR_OK || *n > SLOTS_MAX)
            break;
        CK_SLOT_ID *slots = calloc(*n + 1, sizeof(*slots));
        if (!slots)
            return kfe_fail(KFE_E_MEMORY, "no memory for a list of slots");
        const CK_ULONG room = *n + 1;
        *n = room;
        rv = calls->C_GetSlotList(CK_TRUE, slots, n);
        if (rv == CKR_OK && *n <= room) {
            *out = slots;
            return KFE_OK;
        }
        free(slots);
    }
    if (rv == CKR_OK)
        return kfe_fail(KFE_E_PROVIDER, "the PKCS#11 module claims to have %lu slots", *n);
    return kfe_p11_ckr_fail(rv, "C_GetSlotList");
}

kfe_error kfe_p11_slot_find(const kfe_p11_uri *uri, CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID *slot,
                            CK_TOKEN_INFO *info)
{
    CK_SLOT_ID *slots = NULL;
    CK_ULONG n = 0;
    kfe_error err = slots_new(calls, &slots, &n);
    if (err)
        return err;
    unsigned hits = 0;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO seen;
        if (calls->C_GetTokenInfo(slots[i], &seen) != CKR_OK ||
            !(seen.flags & CKF_TOKEN_INITIALIZED) || !kfe_p11_uri_matches(uri, &seen))
            continue;
        if (hits++ == 0) {
            *slot = slots[i];
            *info = seen;
        }
    }
    free(slots);
    if (hits == 1)
        return KFE_OK;
    if (hits == 0)
        return kfe_fail(KFE_E_PROVIDER,
                        "none of the %lu tokens that %s shows is the one of "
                        "encryption.keyprovider.pkcs11.uri: check token and serial",
                        n, uri->module_path);
    return kfe_fail(KFE_E_CONFIG,
                    "%u tokens match encryption.keyprovider.pkcs11.uri: add serial=NUMBER", hits);
}
