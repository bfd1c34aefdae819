/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_GCM_RIG_H
#define TESTS_UNIT_GCM_RIG_H

/* Messages for <kfe/gcm.h>, and what must come of them by EVP, asked directly. */

#include "tests/support/kit.h"

#include <kfe/gcm.h>

enum { RIG_LEN = 400, RIG_PREFIX = 64, RIG_AAD = 40 };

typedef struct {
    uint8_t raw[32];
    size_t len;
    kfe_gcm_key *key;
} rig_key;

/* Random, of 16, 24 or 32 bytes. `backend` as for kfe_gcm_key_new(). */
rig_key rig_key_new(const char *backend);

/* The AAD: `absorbed` bytes behind `prefix`, then op.aad. */
typedef struct {
    const rig_key *key;
    bool plain_aad;
    kfe_gcm_prefix prefix;
    uint32_t absorbed;
    uint8_t nonce[12], aad[RIG_PREFIX + RIG_AAD], plain[RIG_LEN];
    uint8_t text[RIG_LEN], tag[16];               /* where the call puts them */
    uint8_t sealed_text[RIG_LEN], sealed_tag[16]; /* by EVP */
    uint32_t aad_len, len;                        /* aad_len: of op.aad */
} rig_message;

/* Random, of random lengths; about half with a prefix, or none with `plain_aad`. */
void rig_message_init(rig_message *m, const rig_key *key, bool plain_aad);

/* Descriptors that seal `plain` into `text` and `tag`, or open the sealed ones; in place by
 * chance. */
void rig_seal_op(rig_message *m, kfe_gcm_op *op);
void rig_open_op(rig_message *m, kfe_gcm_op *op);

/* Fail the test unless the call did its work. */
void rig_check_sealed(const rig_message *m, size_t n);
void rig_check_opened(const rig_message *m, const bool *forged, size_t n); /* NULL: none is */

#endif
