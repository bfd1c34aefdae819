/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Some tokens that have none show blanks, NULs or zeros. */
static bool has_serial(const CK_TOKEN_INFO *token)
{
    bool has = false;
    for (size_t i = 0; i < sizeof(token->serialNumber); i++)
        has = has || (token->serialNumber[i] != ' ' && token->serialNumber[i] != '0' &&
                      token->serialNumber[i] != '\0');
    return has;
}

bool kfe_p11_slot_same_strings(const CK_TOKEN_INFO *one, const CK_TOKEN_INFO *other)
{
    const struct {
        const CK_UTF8CHAR *one, *other;
        size_t len;
    } in[] = {{one->label, other->label, sizeof(one->label)},
              {one->serialNumber, other->serialNumber, sizeof(one->serialNumber)},
              {one->model, other->model, sizeof(one->model)},
              {one->manufacturerID, other->manufacturerID, sizeof(one->manufacturerID)}};
    bool same = true;
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
        same = same && memcmp(in[i].one, in[i].other, in[i].len) == 0; /* public */
    return same;
}

/* Tokens by their URIs, as many as have room: for an error, so that nobody has to look them up. */
typedef struct {
    char text[160];
    unsigned n;
} roll;

static void add(roll *tokens, const CK_TOKEN_INFO *token)
{
    char one[sizeof(tokens->text)];
    size_t used = strlen(tokens->text), room = sizeof(tokens->text) - used;
    tokens->n++;
    kfe_p11_uri_of_token(token, one, sizeof(one));
    if ((size_t)snprintf(tokens->text + used, room, "%s%s", used > 0 ? ", " : "", one) >= room)
        tokens->text[used] = '\0';
}

static kfe_error not_one(const kfe_p11_uri *uri, const roll *matching, const roll *others)
{
    if (matching->n > 1)
        return kfe_fail(KFE_E_CONFIG,
                        "%u tokens match encryption.keyprovider.pkcs11.uri, name one by its "
                        "serial: %s",
                        matching->n, matching->text);
    if (others->n > 0)
        return kfe_fail(KFE_E_PROVIDER,
                        "no token matches encryption.keyprovider.pkcs11.uri, but there is %s",
                        others->text);
    return kfe_fail(KFE_E_PROVIDER,
                    "%.150s shows no token: is the HSM on, in reach, and its service running?",
                    uri->module_path);
}

kfe_error kfe_p11_slot_find(const kfe_p11_uri *uri, CK_FUNCTION_LIST_PTR calls, CK_SLOT_ID *slot,
                            CK_TOKEN_INFO *info)
{
    CK_SLOT_ID *slots = NULL;
    CK_ULONG n = 0;
    kfe_error err = slots_new(calls, &slots, &n);
    if (err)
        return err;
    roll matching = {0}, others = {0};
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO seen;
        if (calls->C_GetTokenInfo(slots[i], &seen) != CKR_OK ||
            !(seen.flags & CKF_TOKEN_INITIALIZED))
            continue;
        bool hit = kfe_p11_uri_matches(uri, &seen);
        if (hit && matching.n > 0 && has_serial(&seen) && kfe_p11_slot_same_strings(info, &seen))
            continue;
        add(hit ? &matching : &others, &seen);
        if (hit && matching.n == 1) {
            *slot = slots[i];
            *info = seen;
        }
    }
    free(slots);
    return matching.n == 1 ? KFE_OK : not_one(uri, &matching, &others);
}
