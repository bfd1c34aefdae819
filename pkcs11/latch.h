/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_LATCH_H
#define KFE_PKCS11_LATCH_H

/* Remembers PINs that a token refused, so that none is tried twice: tokens lock after a few.
 *
 * For the life of the process and its children, across providers. Of a PIN only 64 bits of
 * HMAC-SHA-256 under a random key of the process are kept. A word is read and written
 * atomically, so a child sees all or nothing of it whatever the parent did at the fork. */

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include <kfe/error.h>

/* What is remembered of (module, token, PIN). `module`: its real path. KFE_E_RANDOM, KFE_E_MEMORY.
 */
kfe_error kfe_p11_latch_word(const char *module, const CK_TOKEN_INFO *token, const uint8_t *pin,
                             size_t len, uint64_t *word);
/* Of a word that kfe_p11_latch_word() gave. True when that PIN was refused, or so many were that no
 * more can be remembered. */
bool kfe_p11_latch_is_set(uint64_t word);
void kfe_p11_latch_set(uint64_t word);

#endif
