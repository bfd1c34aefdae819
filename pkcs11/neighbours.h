/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_NEIGHBOURS_H
#define KFE_PKCS11_NEIGHBOURS_H

/* Tokens of one module that are in use in this process. To start the module again for one that is
 * lost takes sessions and logins from all others, so while another one is well that is done at
 * once, then ever more seldom: after 2 s, twice as long each time, up to 30 s. Where no other is
 * in use, or all are lost, nobody waits.
 *
 * Times are milliseconds of CLOCK_MONOTONIC, given by the caller; no locking. */

#include <stdbool.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>

enum { KFE_P11_NEIGHBOURS_MAX = 8 };

typedef struct {
    struct {
        CK_SLOT_ID slot;
        CK_TOKEN_INFO token;
        bool lost; /* its user wants it back */
    } all[KFE_P11_NEIGHBOURS_MAX];
    unsigned n;
    uint64_t pause, next; /* all zero: nobody is known, and no start was a loss to anybody */
} kfe_p11_neighbours;

/* That token is in use, there. One more than there is room for is not remembered. */
void kfe_p11_neighbours_add(kfe_p11_neighbours *who, CK_SLOT_ID slot, const CK_TOKEN_INFO *token);
/* A user has left: who else is there shows when it connects. */
void kfe_p11_neighbours_forget(kfe_p11_neighbours *who);

/* `token` is lost. May the module be started again for it now? Others are asked for a sign of life
 * (C_GetTokenInfo). */
bool kfe_p11_neighbours_allow(kfe_p11_neighbours *who, CK_FUNCTION_LIST_PTR calls,
                              const CK_TOKEN_INFO *token, uint64_t now);

#endif
