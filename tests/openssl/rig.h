/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_OPENSSL_RIG_H
#define TESTS_OPENSSL_RIG_H

/* OpenSSL's own AES-GCM and that of kfe.so side by side, in a library context of the test's own.
 * Every failure inside fails the test at hand. */

#include <stdbool.h>

#include <openssl/evp.h>

#include "tests/support/kit.h"

enum { THEIRS, OURS, SIDES, RIG_KEYS = 3, RIG_TAG = 16 };

extern const size_t rig_key_len[RIG_KEYS];      /* 16, 24, 32 */
extern EVP_CIPHER *rig_cipher[SIDES][RIG_KEYS]; /* by side, by key length */
extern OSSL_LIB_CTX *rig_lib;

/* Loads both; call it first in main(). Leaves with 77 where no kernel runs. */
void rig_begin(void);
void rig_end(void);

void rig_fill(uint8_t *bytes, size_t len); /* by chance */
size_t rig_some(size_t most);              /* 0..most, mostly little */

/* Leaves the queue empty. Library number and reason of the first error, 0: none. */
unsigned long rig_first_error(void);

#endif
