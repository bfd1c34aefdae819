/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_MAKER_H
#define KFE_PKCS11_MAKER_H

/* Making a key object that takes nobody's place, whoever makes another one at the same moment.
 *
 * On some tokens a new object with the CKA_ID of another one of its class replaces that: its key is
 * gone, and whoever had made it was told that all is well. A look before does not help when two
 * look at once. So an object is made with an id that nobody else has, and given its own when it is
 * there: that replaces none. */

#include <kfe/keys.h>

#include "pkcs11/id.h"

/* Makes a token object with that CKA_ID, and the label that `arg` knows of; raises codes. */
typedef kfe_error kfe_p11_how(kfe_p11_session *session, const kfe_p11_id *id, const void *arg,
                              CK_OBJECT_HANDLE *out);

/* Makes the key of that name and version, which the caller has found to be free. Of two who do so
 * at once one at the most succeeds. KFE_E_KEY_DENIED: somebody else made it meanwhile, or the token
 * made none that is as it should be; nothing of ours stays. */
kfe_error kfe_p11_make_key(kfe_p11_session *session, CK_OBJECT_CLASS class, const kfe_key_ref *ref,
                           kfe_p11_how *how, const void *arg);

#endif
