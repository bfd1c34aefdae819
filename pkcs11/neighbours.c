/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/neighbours.h"
#include "pkcs11/slot.h"

/* When nobody wanted a start for so long after it was due, the outage before is over. */
enum { FIRST_MS = 2000, LAST_MS = 30000, OVER_MS = 60000 };

void kfe_p11_neighbours_add(kfe_p11_neighbours *who, CK_SLOT_ID slot, const CK_TOKEN_INFO *token)
{
    unsigned at = 0;
    while (at < who->n && !kfe_p11_slot_same_strings(&who->all[at].token, token))
        at++;
    if (at == KFE_P11_NEIGHBOURS_MAX)
        return;
    if (at == who->n)
        who->n++;
    who->all[at].slot = slot;
    who->all[at].token = *token;
    who->all[at].lost = false;
}

void kfe_p11_neighbours_forget(kfe_p11_neighbours *who)
{
    who->n = 0;
}

static bool is_well(const kfe_p11_neighbours *who, unsigned at, CK_FUNCTION_LIST_PTR calls)
{
    CK_TOKEN_INFO now;
    return !who->all[at].lost && calls->C_GetTokenInfo(who->all[at].slot, &now) == CKR_OK &&
           kfe_p11_slot_same_strings(&who->all[at].token, &now);
}

static bool another_is_well(kfe_p11_neighbours *who, CK_FUNCTION_LIST_PTR calls,
                            const CK_TOKEN_INFO *token)
{
    bool well = false;
    for (unsigned i = 0; i < who->n; i++) {
        if (kfe_p11_slot_same_strings(&who->all[i].token, token))
            who->all[i].lost = true;
        else
            well = well || is_well(who, i, calls);
    }
    return well;
}

bool kfe_p11_neighbours_allow(kfe_p11_neighbours *who, CK_FUNCTION_LIST_PTR calls,
                              const CK_TOKEN_INFO *token, uint64_t now)
{
    if (!another_is_well(who, calls, token))
        return true;
    if (now < who->next)
        return false;
    who->pause = who->pause == 0 || now - who->next > OVER_MS ? FIRST_MS : 2 * who->pause;
    if (who->pause > LAST_MS)
        who->pause = LAST_MS;
    who->next = now + who->pause;
    return true;
}
