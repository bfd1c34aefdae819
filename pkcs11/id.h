/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_ID_H
#define KFE_PKCS11_ID_H

/* CKA_ID of what is kept under a key's name (CKA_LABEL):
 *
 *   version                the key, as everybody writes it: 4 bytes, big endian
 *   version name           the key too, where another object already bears those 4 bytes. On some
 *                          tokens a second secret key with an id takes the first one's place,
 *                          whatever its label, and the first is gone
 *   24 random bytes        a key in the making (maker.h)
 *   version state name     a marker of that version's state (marker.h): one byte, a kfe_key_state,
 *                          which no name begins with
 *
 * Any other id under that label is a stranger's. */

#include <kfe/keys.h>

#include "pkcs11/session.h"

enum { KFE_P11_ID_MAX = 4 + 1 + KFE_NAME_MAX };

typedef struct {
    CK_BYTE bytes[KFE_P11_ID_MAX];
    CK_ULONG len;
} kfe_p11_id;

/* `plain`: the first form, else the second. */
void kfe_p11_id_of_key(const kfe_key_ref *ref, bool plain, kfe_p11_id *out);
void kfe_p11_id_of_state(const kfe_key_ref *ref, kfe_key_state state, kfe_p11_id *out);
/* One that no other object has. KFE_E_RANDOM. */
kfe_error kfe_p11_id_draw(kfe_p11_id *out);

typedef enum {
    KFE_P11_ID_FOREIGN, /* none of ours */
    KFE_P11_ID_KEY,
    KFE_P11_ID_MARKER,
    KFE_P11_ID_DAMAGED, /* a marker of no state that there is */
} kfe_p11_id_kind;

/* What an id under that name is; its version, and the state that a marker tells (else active). */
kfe_p11_id_kind kfe_p11_id_parse(const kfe_p11_id *id, const char *name, uint32_t *version,
                                 kfe_key_state *state);

#endif
