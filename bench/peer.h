/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

/* A contestant: one library's AES-GCM on one of its code paths, behind a few functions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEERS_MAX = 16, BATCH_MAX = 4096, AAD_MAX = 64, TAG = 16, NONCE = 12 };

/* Where a text lies, in bytes from the start of the input and of the output alike. */
typedef struct {
    uint32_t offset, len;
} slice;

/* n messages as an application has them; what a library wants to be told is made of this inside
 * the timed loop. Message i: text[i] of `in` and `out`, nonce[i], tag[i], `aad_len` bytes from
 * aad + i * aad_len, key[i & key_mask]. Opening reads the tags. */
typedef struct {
    const slice *text;
    size_t n;
    const uint8_t *in;
    uint8_t *out;
    uint8_t (*nonce)[NONCE];
    uint8_t (*tag)[TAG];
    uint8_t *aad;
    uint32_t aad_len;
    void *const *key;
    size_t key_mask;
} batch;

typedef struct peer peer;

struct peer {
    char name[32];       /* as printed: "ipsec-mb avx512" */
    const char *family;  /* "kfe", "ipsec-mb", "openssl", "libsodium", "libgcrypt" */
    const char *variant; /* its code path: "vaes512"; "" where it chooses by itself */
    bool only_256;       /* knows no key but of 32 bytes */
    void *(*key_new)(const peer *self, const uint8_t *key, size_t len); /* NULL: it failed */
    void (*key_free)(void *key);
    void (*seal)(const batch *b);
    size_t (*open)(const batch *b); /* how many were refused; their texts are not looked at */
};

typedef struct {
    peer all[PEERS_MAX];
    size_t n;
    char versions[8][80]; /* "ipsec-mb 1.3.0", one line each */
    size_t n_versions;
} peer_list;

/* All that this build knows and this CPU can run; kfe's first, best first. */
void peers_find(peer_list *list);

/* NULL: it is not there. An empty variant takes the family's first. */
const peer *peers_get(const peer_list *list, const char *family, const char *variant);

/* For the files that add a family: the next free place, named; and a line for the page's head. */
peer *peers_add(peer_list *list, const char *family, const char *variant);
void peers_version(peer_list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

void peer_kfe_add(peer_list *list);
void peer_ipsec_add(peer_list *list);
void peer_openssl_add(peer_list *list);
void peer_sodium_add(peer_list *list);
void peer_gcrypt_add(peer_list *list);

#endif
