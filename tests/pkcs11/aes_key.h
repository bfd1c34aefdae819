/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_AES_KEY_H
#define KFE_TESTS_PKCS11_AES_KEY_H

/* AES keys in the test's token, whose bytes the test knows, and what OpenSSL makes of the same
 * key. */

#include "tests/pkcs11/test_token.h"

/* Usages of a key. */
enum { AES_ENCRYPT = 1, AES_DECRYPT = 2, AES_WRAP = 4, AES_UNWRAP = 8 };
enum { AES_CRYPT = AES_ENCRYPT | AES_DECRYPT, AES_KEY_WRAP = AES_WRAP | AES_UNWRAP };

extern const uint8_t aes_master[32];

/* Sensitive, not extractable; its bytes are the first `len` of aes_master. */
void aes_import(const char *label, uint32_t version, size_t len, unsigned usages);

/* Secret keys that are objects of a session: copies, unwrapped secrets. */
unsigned aes_session_objects(void);

kfe_key *aes_get(kfe_key_provider *provider, const char *name, uint32_t version);
kfe_key_ability aes_ability(kfe_key *key);

/* The provider of h->config with encryption.keyprovider.pkcs11.session set. */
kfe_key_provider *aes_open(const test_token *h, const char *session);

/* AES-GCM by OpenSSL under aes_master's first `key_len` bytes. False: forged. */
bool aes_gcm_open(size_t key_len, kfe_bytes iv, kfe_bytes aad, kfe_bytes sealed, const uint8_t *tag,
                  uint8_t *out);
void aes_gcm_seal(size_t key_len, kfe_bytes iv, kfe_bytes aad, kfe_bytes text, uint8_t *out,
                  uint8_t *tag);
/* RFC 3394 of 32 bytes under aes_master. */
void aes_rfc3394(const uint8_t in[32], uint8_t out[40]);

#endif
