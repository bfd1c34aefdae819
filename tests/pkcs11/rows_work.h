/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_ROWS_WORK_H
#define KFE_TESTS_PKCS11_ROWS_WORK_H

/* One thing that a provider does, with its key k@1, done again and again. Its results are looked
 * at: they are right, or with an error zero. */

#include <openssl/evp.h>

#include "tests/pkcs11/test_token.h"

typedef enum {
    WORK_DERIVE,
    WORK_WRAP_GCM,
    WORK_UNWRAP_GCM,
    WORK_WRAP_RFC3394,
    WORK_UNWRAP_RFC3394,
    WORK_WRAP_RSA,
    WORK_UNWRAP_RSA,
    WORK_SEAL, /* a field, by a direct key */
    WORK_OPEN,
    WORK_FIND, /* the key */
    WORK_MAKE, /* another key */
    N_WORKS
} work_kind;

enum { WORK_LEN = 100 };

struct work {
    const test_token *h;
    work_kind kind;
    kfe_key_provider *p;
    kfe_key *key;
    EVP_PKEY *rsa;    /* NULL: it is no RSA key */
    bool rsa_is_raw;  /* the token's RSA-OAEP lacks SHA-256 */
    unsigned made;    /* keys */
    uint8_t good[32]; /* what it derives */
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX], sealed[WORK_LEN], iv_tag[32];
    size_t len; /* of `wrapped` */
    unsigned iv_size;
};

const char *work_name(work_kind kind);

/* Makes the key, opens a provider, and does it once: session, handle, form and copy are known. */
void work_init(struct work *w, const test_token *h, work_kind kind);
void work_wipe(struct work *w);

kfe_error work_do(struct work *w);
/* After an outage, until the control thread has looked again. */
kfe_error work_do_again(struct work *w);

kfe_key_provider_statistics work_statistics(const struct work *w);

#endif
