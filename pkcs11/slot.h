/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_SLOT_H
#define KFE_PKCS11_SLOT_H

/* Where the token that a URI names sits now. */

#include "pkcs11/uri.h"

/* Looks through all slots, for the first one that answers with that token: it may be seen in
 * several. KFE_E_PROVIDER: no initialised token matches (it may be plugged in later).
 * KFE_E_CONFIG: several do. */
kfe_error kfe_p11_slot_find(const kfe_p11_uri *uri, CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID *slot,
                            CK_TOKEN_INFO *info);

/* The same label, serial, model and manufacturer. */
bool kfe_p11_slot_same_strings(const CK_TOKEN_INFO *one, const CK_TOKEN_INFO *other);

#endif
