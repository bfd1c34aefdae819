/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_WRAP_RIG_H
#define KFE_TESTS_PKCS11_WRAP_RIG_H

/* A key of the test's token, kek@1, that wraps a secret and opens it again. What goes wrong fails
 * the running test, unless it is returned. */

#include "tests/pkcs11/test_token.h"

extern const uint8_t wrap_secret[32];
extern const kfe_bytes wrap_aad;

struct wrap_rig {
    const test_token *h;
    kfe_key_provider *provider;
    kfe_key *key;
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX], back[32];
    size_t len; /* of `wrapped` */
};

/* The token has kek@1 by now. */
void wrap_rig_open(struct wrap_rig *rig, const test_token *h);
void wrap_rig_wipe(struct wrap_rig *rig);

kfe_error wrap_rig_wrap(struct wrap_rig *rig);   /* wrap_secret, into `wrapped` */
kfe_error wrap_rig_unwrap(struct wrap_rig *rig); /* `wrapped`, into `back` */
void wrap_rig_round(struct wrap_rig *rig); /* `wrapped` is wrap_secret, and no object is left */

#endif
