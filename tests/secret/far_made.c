/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets become known: by children, which have the keys of the token and compute what the test's
 * process must not have a copy of; and as kfe draws them. */
#include "tests/secret/far.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

void far_make_random(void *secret)
{
    uint8_t bytes[32];
    far_require(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
    hunt_set(secret, bytes, sizeof(bytes));
}

void far_make_mac(void *unused)
{
    (void)unused;
    uint8_t master[32], out[32];
    hunt_get(far_secrets[FAR_MASTER], master);
    far_require(HMAC(EVP_sha256(), master, 32, (const uint8_t *)"x", 1, out, NULL) != NULL);
    hunt_set(far_secrets[FAR_MAC], out, 32);
}

static EVP_CIPHER_CTX *cipher(void)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    far_require(c != NULL);
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    return c;
}

void far_make_rfc3394(void *secret)
{
    uint8_t key[32], in[32];
    int len = 0;
    EVP_CIPHER_CTX *c = cipher();
    far_make_random(secret);
    hunt_get(secret, in);
    hunt_get(far_secrets[FAR_KEY_WRAP], key);
    far_require(EVP_EncryptInit_ex(c, EVP_aes_256_wrap(), NULL, key, NULL) == 1);
    far_require(EVP_EncryptUpdate(c, far_told, &len, in, 32) == 1 && len == 40);
}

void far_make_gcm(void *secret)
{
    uint8_t key[32], in[32];
    int len = 0;
    EVP_CIPHER_CTX *c = cipher();
    far_make_random(secret);
    hunt_get(secret, in);
    hunt_get(far_secrets[FAR_KEK], key);
    far_told[0] = 2;
    memset(far_told + 1, 7, 12);
    far_require(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, far_told + 1) == 1);
    far_require(EVP_EncryptUpdate(c, NULL, &len, (const uint8_t *)"bound", 5) == 1);
    far_require(EVP_EncryptUpdate(c, far_told + 13, &len, in, 32) == 1 && len == 32);
    far_require(EVP_EncryptFinal_ex(c, far_told + 45, &len) == 1);
    far_require(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, far_told + 45) == 1);
}

/* ---- What kfe draws ------------------------------------------------------------------------- */

static hunt_secret *noted; /* the next 32 bytes are it; NULL: nothing is noted */

/* In front of the system's. */
__attribute__((visibility("default"))) ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    ssize_t got = syscall(SYS_getrandom, out, len, flags);
    hunt_secret *secret = got == 32 ? noted : NULL;
    if (secret != NULL) {
        noted = NULL;
        hunt_set(secret, out, 32);
    }
    return got;
}

void far_note_random(int secret)
{
    noted = far_secrets[secret];
}

/* ---- A session ------------------------------------------------------------------------------ */

far_envelope far_envelope_of(kfe_bytes header)
{
    const uint8_t *at = header.data;
    far_envelope e = {.suite = at[1], .kind = at[2] >> 6};
    at += 4;
    at += 1 + (*at + 7) / 8; /* the header map */
    e.name_len = *at++;
    e.name = at;
    at += e.name_len + 1;
    e.len = e.kind == KFE_WRAPPED ? *at++ : 16;
    e.wire = at;
    return e;
}

static void make_data_key(const uint8_t master[32], const far_envelope *e)
{
    uint8_t in[128], *at = in, out[32];
    memcpy(at, "\0\0\0\1kfe1 data key", 18);
    at += 18;
    *at++ = e->suite;
    *at++ = (uint8_t)e->name_len;
    memcpy(at, e->name, e->name_len);
    at += e->name_len;
    memcpy(at, "\0\0\0\1", 4);
    at += 4;
    if (e->kind == KFE_DERIVED) {
        memcpy(at, e->wire, 16);
        at += 16;
    }
    memcpy(at, "\0\0\1\0", 4);
    at += 4;
    far_require(HMAC(EVP_sha256(), master, 32, in, (size_t)(at - in), out, NULL) != NULL);
    hunt_set(far_secrets[FAR_DATA], out, 32);
}

/* Form 1 is RFC 3394. Form 2 is AES-GCM, whose tag is not looked at: of a wrong secret the data key
 * would not be found. */
void far_make_session(void *envelope)
{
    const far_envelope *e = envelope;
    uint8_t key[32], out[48], iv[16] = {0};
    int len = 0;
    hunt_get(far_secrets[FAR_MASTER], key);
    if (e->kind == KFE_DERIVED) {
        make_data_key(key, e);
        return;
    }
    const bool rfc3394 = e->wire[0] == 1;
    EVP_CIPHER_CTX *c = cipher();
    hunt_get(far_secrets[rfc3394 ? FAR_KEY_WRAP : FAR_KEK], key);
    memcpy(iv, e->wire + 1, 12);
    iv[15] = 2; /* the counter of the first block */
    far_require(EVP_DecryptInit_ex(c, rfc3394 ? EVP_aes_256_wrap() : EVP_aes_256_ctr(), NULL, key,
                                   rfc3394 ? NULL : iv) == 1);
    far_require(EVP_DecryptUpdate(c, out, &len, e->wire + (rfc3394 ? 1 : 13), rfc3394 ? 40 : 32) ==
                1);
    far_require(len == 32);
    hunt_set(far_secrets[FAR_SECRET], out, 32);
    make_data_key(out, e);
}
