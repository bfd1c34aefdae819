/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_LOGIN_H
#define KFE_PKCS11_LOGIN_H

/* Logging in to a token, once, with a PIN that is never kept. */

#include <p11-kit/pkcs11.h>

#include "pkcs11/module.h"

#define KFE_P11_PIN_OPTION "encryption.keyprovider.pkcs11.pin"

enum { KFE_P11_PIN_MAX = 256 };

/* Who has the PIN, as kfe_config_secret(). `pin` is memory for secrets. */
typedef struct {
    kfe_error (*get)(void *arg, uint8_t pin[KFE_P11_PIN_MAX], size_t *len);
    void *arg;
} kfe_p11_pin_source;

/* Makes sure the user is logged in to the token of that open session; the PIN is asked for only
 * when it is needed. KFE_E_CREDENTIALS: the token refuses the PIN, or did before (a refused PIN is
 * not tried again in this process), or is one try from locking or locked. KFE_E_CONFIG: no PIN, or
 * what `source` says.
 *
 * HSMs may say by any code that a PIN is wrong, and lock it all the same. So after one that says
 * nothing of the PIN the token's flags are looked at: if it counts wrong PINs since, that one was
 * refused. If not, it may be tried once more, then after 2 s, after 10 s, and every 60 s, whoever
 * in this process tries (KFE_E_PROVIDER meanwhile), until a login succeeds. What says that session
 * or slot are gone does not count. */
kfe_error kfe_p11_login(kfe_p11_module *module, CK_SLOT_ID slot, CK_SESSION_HANDLE session,
                        const kfe_p11_pin_source *source);

#endif
