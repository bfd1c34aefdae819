/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_BACKEND_H
#define KFE_ENGINE_BACKEND_H

/* The contract between the record path and a cipher backend: an array of messages in one call,
 * as a structure of arrays that the engine fills field-major (field i of all records together).
 * One message is a batch of one. Backends trust their arguments; the engine checked them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kfe/error.h>

struct kfe_crypto;
typedef struct kfe_backend kfe_backend;

/* An expanded key, immutable once made: shared between threads. A backend embeds it as its first
 * member; the key remembers who expanded it. */
typedef struct {
    const kfe_backend *backend;
} kfe_aead_key;

/* The beginning of the AAD that a record's fields have in common: its bytes (a multiple of 16), for
 * backends that hash them again for each message, and room for the state after them, for those
 * that start from it. Filled by absorb() for one key. */
typedef struct {
    uint8_t state[16];
    const uint8_t *bytes;
    uint32_t len;
} kfe_prefix;

/* Message i is key[i], nonce[i] (12 of 16 bytes), AAD prefix[i] || aad[i], in[i] -> out[i] of
 * len[i] bytes, tag[i] of 16 bytes. out[i] is in[i] or overlaps no other message. in[i] may be NULL
 * when len[i] is 0. All keys of a batch belong to one backend. */
typedef struct {
    size_t n;
    const kfe_aead_key **key;
    uint8_t (*nonce)[16];
    const kfe_prefix **prefix;
    const uint8_t **aad;
    uint32_t *aad_len;
    const uint8_t **in;
    uint8_t **out;
    uint32_t *len;
    uint8_t **tag;
    uint64_t *failed; /* open: (n + 63) / 64 words, all written; bit i%64 of word i/64: forged */
} kfe_aead_batch;

struct kfe_backend {
    const char *name;
    unsigned suites; /* bit s: it does the suite with wire id s */
    bool (*usable)(void);
    /* `key` has 32 bytes; a suite with a shorter key takes the first of them. */
    kfe_error (*key_new)(kfe_aead_key **out, const struct kfe_crypto *crypto, unsigned suite,
                         const uint8_t *key);
    void (*key_free)(kfe_aead_key *key); /* wipes */
    void (*absorb)(const kfe_aead_key *key, kfe_prefix *prefix);
    kfe_error (*seal)(const kfe_aead_batch *batch);
    /* KFE_OK also when some are forged: `failed` tells, and their out is zero. Any error: nothing
     * can be said of any message, and every out is zero. */
    kfe_error (*open)(const kfe_aead_batch *batch);
};

/* All backends of this build, best first, NULL at the end. */
extern const kfe_backend *const kfe_all_backends[];
extern const kfe_backend kfe_openssl_backend;

/* The backend for AES-GCM: `name`, or with "auto" what KFE_BACKEND names, or the best. Known
 * answers are checked before it is trusted. KFE_E_BACKEND: unknown, cannot run here, or fails them.
 */
kfe_error kfe_backend_pick(const char *name, const struct kfe_crypto *crypto,
                           const kfe_backend **out);

#endif
