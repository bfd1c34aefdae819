/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_KEYSEAL_H
#define KFE_ENGINE_KEYSEAL_H

/* The passphrase around a key file (docs/keys.md):
 *
 *     {"version":1,"sealed":{"kdf":"scrypt","log2_n":17,"r":8,"p":1,"salt":"<16 bytes>",
 *      "cipher":"A256GCM","nonce":"<12 bytes>","data":"<ciphertext and tag>"}}
 *
 * key = scrypt(passphrase, salt); AAD = "kfe1 keystore" || 00 || u8(log2_n) || u32(r) || u32(p)
 * || salt, so that nobody can weaken the parameters. */

#include <stdbool.h>

#include <kfe/config.h>

#include "engine/json.h"
#include "engine/openssl/crypto.h"

enum { KFE_KEYSEAL_SALT = 16 };

/* What the passphrase was made into, kept so that scrypt runs once and not on every reload.
 * Keep it in a block of kfe_secret_alloc(), zero at first: a forked child asks anew. */
typedef struct {
    bool ready;
    uint32_t log2_n, r, p;
    uint8_t salt[KFE_KEYSEAL_SALT], key[32];
} kfe_keyseal;

/* The value of "sealed", read but not opened. `data` is a view of the file's text. */
typedef struct {
    kfe_keyseal params; /* without key */
    uint8_t nonce[12];
    kfe_json_text data;
} kfe_keyseal_box;

/* KFE_E_CONFIG: malformed, or parameters out of bounds (log2 N 14..20, r 1..32, p 1..16, at most
 * 250 MiB and 2^24 steps in all). */
kfe_error kfe_keyseal_read(kfe_json *json, kfe_keyseal_box *out);

/* *text gets the JSON within; kfe_secret_text_free() it. Asks kfe_config_secret() for the
 * passphrase unless `seal` fits the box. KFE_E_CONFIG: no passphrase. KFE_E_CREDENTIALS: it does
 * not open the box; `seal` is then wiped. */
kfe_error kfe_keyseal_open(kfe_keyseal *seal, const kfe_crypto *crypto, const kfe_config *config,
                           const kfe_keyseal_box *box, char **text, size_t *len);

/* Seals `text` under `seal`, or a fresh salt when it is not ready. *out: a whole file;
 * kfe_secret_text_free() it. */
kfe_error kfe_keyseal_close(kfe_keyseal *seal, const kfe_crypto *crypto, const kfe_config *config,
                            kfe_json_text text, char **out, size_t *len);

/* True when the configuration gives a passphrase. */
bool kfe_keyseal_wanted(const kfe_config *config);

#endif
