/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_GCM_H
#define KFE_PKCS11_GCM_H

/* AES-GCM in the token: single-part, 16 bytes of tag, lengths by our own arithmetic (a size query
 * is wrong on some tokens and loses the operation on others).
 *
 * Who makes the IV differs: some tokens take ours (12 random bytes), some write their own over it,
 * some append theirs to the output. All three come to this: the IV that was used is what stands
 * in the parameter afterwards, unless the output is longer than text and tag. */

#include <kfe/keys.h>

#include "pkcs11/session.h"

enum { KFE_P11_TAG_LEN = 16, KFE_P11_IV_MAX = 16 };

/* One message. `work` has room for 2 * (len + 48) bytes, which the caller wipes. */
typedef struct {
    const uint8_t *aad; /* not empty: some modules crash on that */
    size_t aad_size;
    const uint8_t *in;
    size_t len;
    uint8_t *out;
    uint8_t iv[KFE_P11_IV_MAX];
    unsigned iv_size;
    uint8_t tag[KFE_P11_TAG_LEN];
    bool forged;
    uint8_t *work;
} kfe_p11_message;

static inline size_t kfe_p11_message_room(size_t len)
{
    return 2 * (len + 48);
}

/* Writes out, iv, iv_size and tag. */
kfe_error kfe_p11_gcm_seal(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_message *m);

/* KFE_OK also when it is forged: then `forged` is set and out is zero. */
kfe_error kfe_p11_gcm_open(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_message *m);

/* Seals a few bytes and, where the key may open too, opens them: *iv_size is that of the IVs that
 * the token uses. KFE_E_KEY_DENIED: it gives no IV that we can send, or does not come back to the
 * same bytes. */
kfe_error kfe_p11_gcm_probe(kfe_p11_session *session, CK_OBJECT_HANDLE key, bool opens,
                            unsigned *iv_size);

#endif
