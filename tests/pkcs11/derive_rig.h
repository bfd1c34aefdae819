/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_DERIVE_RIG_H
#define KFE_TESTS_PKCS11_DERIVE_RIG_H

/* A provider with the key k@1, and what it derives while all is well. */

#include "tests/pkcs11/test_token.h"

enum { PATIENCE_MS = 10000 }; /* a test waits no longer for what has to come */

extern const uint8_t rig_input[5];

struct rig {
    kfe_key_provider *p;
    kfe_key *key;
    uint8_t good[32];
    kfe_config *config; /* freed with it; NULL: another's */
};

void rig_make_key(const test_token *h); /* k@1 */
/* Of a token that has the key. */
void rig_open(struct rig *rig, const kfe_config *config);
/* Both, and the shim counts from 0. */
void rig_init(struct rig *rig, const test_token *h);
void rig_wipe(struct rig *rig);

/* Derives as `good` was: the same comes out, or zeros with an error. */
kfe_error rig_derive(struct rig *rig);
/* After an outage, until the control thread has looked again. */
kfe_error rig_derive_again(struct rig *rig);
/* What was left behind goes when it comes back, the last user's C_Finalize with it. */
void rig_wait_finalised(const test_token *h);

uint64_t now_ms(void);
void pause_1_ms(void);

#endif
