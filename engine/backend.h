/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_BACKEND_H
#define KFE_ENGINE_BACKEND_H

/* The contract between whoever has messages (the record path, <kfe/gcm.h>, the OpenSSL provider
 * module) and a cipher backend: an array of messages in one call, each in the public 64-byte form,
 * so that nothing is converted on the way. One message is a batch of one. Backends trust their
 * arguments: the caller checked them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kfe/gcm.h>

struct kfe_crypto;
typedef struct kfe_backend kfe_backend;

/* An expanded key, immutable once made: shared between threads. A backend embeds it as its first
 * member; the key remembers who expanded it. */
struct kfe_gcm_key {
    const kfe_backend *backend;
};
typedef struct kfe_gcm_key kfe_aead_key;
typedef kfe_gcm_op kfe_aead_op;

/* Suites beside those on the wire (engine/envelope.h): AES-192-GCM is for <kfe/gcm.h> alone. */
enum { KFE_A192GCM = 31 };

/* What the record path puts behind op.prefix: also the absorbed bytes, for backends that cannot
 * start from a state and hash them again (`from_state` below). */
typedef struct {
    kfe_gcm_prefix absorbed;
    const uint8_t *bytes;
    uint32_t record; /* whose it is */
    kfe_error error; /* opening, written for messages that `failed`: why, if not as a forgery; only
                        keys that are no bytes of ours (direct.h) come to that */
} kfe_prefix;

/* All keys of a batch belong to one backend. */
typedef struct {
    const kfe_aead_op *ops;
    size_t n;
    uint64_t *failed; /* open: (n + 63) / 64 words, all written; bit i%64 of word i/64: forged */
    bool padded; /* each op's AAD may be read up to a multiple of 16 bytes, and is zero there */
} kfe_aead_batch;

/* Where a message that comes in parts has got to. */
typedef struct {
    uint8_t ghash[16];
    uint8_t counter[16]; /* the next counter block; its last 4 bytes count modulo 2^32 */
} kfe_gcm_stream;

struct kfe_backend {
    const char *name;
    unsigned suites;   /* bit s: it does suite s */
    bool from_state;   /* false: op.prefix begins a kfe_prefix, and its `bytes` are used */
    uint32_t key_size; /* bytes of a key: a multiple of 64, at most KFE_SECRET_MAX */
    bool (*usable)(void);
    const char *needs; /* NULL, or what the CPU must have, for a message: "AES-NI and PCLMULQDQ" */

    /* Expands into `key`, whose `backend` is set: zeroed memory of key_size bytes, aligned to 64,
     * which the caller wipes after key_wipe() (NULL: it has nothing elsewhere). `raw` has 32 bytes;
     * a suite with a shorter key takes the first of them. `crypto` is for OpenSSL's backend alone;
     * NULL: the process's own. */
    kfe_error (*key_init)(kfe_aead_key *key, const struct kfe_crypto *crypto, unsigned suite,
                          const uint8_t *raw);
    void (*key_wipe)(kfe_aead_key *key);

    kfe_error (*seal)(const kfe_aead_batch *batch);
    /* KFE_OK also when some are forged: `failed` tells, and their out is zero. Any error: nothing
     * can be said of any message, and every out is zero. */
    kfe_error (*open)(const kfe_aead_batch *batch);

    /* AES-GCM in pieces of whole blocks. All NULL, but for `hash`, where there is none. */
    void (*hash)(const kfe_aead_key *key, uint8_t state[16], const uint8_t *data, size_t blocks);
    void (*keystream)(const kfe_aead_key *key, const uint8_t counter[16], uint8_t out[16]);
    void (*seal_blocks)(const kfe_aead_key *key, kfe_gcm_stream *at, const uint8_t *in,
                        uint8_t *out, size_t blocks);
    void (*open_blocks)(const kfe_aead_key *key, kfe_gcm_stream *at, const uint8_t *in,
                        uint8_t *out, size_t blocks);
};

/* All backends of this build, best first, NULL at the end. */
extern const kfe_backend *const kfe_all_backends[];
extern const kfe_backend kfe_vaes512_backend, kfe_vaes256_backend, kfe_aesni_backend;
extern const kfe_backend kfe_armv8_eor3_backend, kfe_armv8_backend;
extern const kfe_backend kfe_openssl_backend;

/* The backend for AES-GCM: `name`, or with "auto" what KFE_BACKEND names, or the best. Known
 * answers are checked before it is trusted, those of kernels once per process. KFE_E_BACKEND:
 * unknown, cannot run here, or fails them. KFE_E_MEMORY. */
kfe_error kfe_backend_pick(const char *name, const struct kfe_crypto *crypto,
                           const kfe_backend **out);

/* A key in secret memory: gone in a forked child. */
kfe_error kfe_aead_key_new(kfe_aead_key **out, const kfe_backend *backend,
                           const struct kfe_crypto *crypto, unsigned suite, const uint8_t *raw);
void kfe_aead_key_free(kfe_aead_key *key); /* wipes; NULL is fine */

#endif
