/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_GCM_H
#define KFE_GCM_H

/* AES-GCM (SP 800-38D) of many messages in one call: AES-128, -192 and -256, 96-bit nonces, 128-bit
 * tags. Made for small messages by the hundred: they are worked on side by side, whatever mix of
 * keys and lengths they have.
 *
 * This is the one header of kfe that takes a nonce from its caller. Two messages under one key and
 * one nonce give both texts away, and the means to forge: <kfe/kfe.h> counts nonces by itself. At
 * most 2^32 messages under one key when nonces are random. */

#include <kfe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An expanded key, with the backend that expanded it. Immutable once made: share it between
 * threads. It works in a child of fork() too, and for that it lies in the heap, neither locked nor
 * left out of core dumps (kfe's engines keep theirs in memory that is). */
typedef struct kfe_gcm_key kfe_gcm_key;

/* `key` has `len` = 16, 24 or 32 bytes. `backend` is one of kfe_backends(), or NULL for what the
 * environment's KFE_BACKEND names, else for the best. KFE_E_ARGUMENT, KFE_E_MEMORY; KFE_E_BACKEND:
 * unknown, cannot run on this CPU, or fails its known answers. */
KFE_API KFE_MUST_CHECK kfe_error kfe_gcm_key_new(kfe_gcm_key **out, const uint8_t *key, size_t len,
                                                 const char *backend);
KFE_API void kfe_gcm_key_free(kfe_gcm_key *key); /* wipes; NULL is fine */

/* The backend of a key: "vaes512", ... Static storage. */
KFE_API const char *kfe_gcm_key_backend(const kfe_gcm_key *key);

/* The GHASH state after the first `len` bytes of an AAD that many messages begin with. Who has it
 * and the AAD can forge under the key: as secret as the key. */
typedef struct {
    uint8_t ghash[16];
    uint64_t len;
} kfe_gcm_prefix;

/* One message, 64 bytes. Nothing is read or written but the bytes named here. */
typedef struct {
    const kfe_gcm_key *key;
    const uint8_t *nonce;         /* 12 bytes */
    const kfe_gcm_prefix *prefix; /* NULL, or the absorbed beginning of the AAD, by the same key */
    const uint8_t *aad;           /* what follows the prefix */
    const uint8_t *in;
    uint8_t *out; /* may equal `in`; overlaps nothing else of the call */
    uint8_t *tag; /* 16 bytes: written by seal, read by open */
    uint32_t aad_len, len;
} kfe_gcm_op;

/* Pointers to 0 bytes may be NULL. KFE_E_ARGUMENT: a NULL that may not be, or more than a message
 * may have (2^36 - 32 bytes of text, 2^61 - 1 of AAD); nothing was done then. */
KFE_API KFE_MUST_CHECK kfe_error kfe_gcm_seal(const kfe_gcm_op *ops, size_t n);

/* `failed`: NULL, or (n + 63) / 64 words, all written: bit i % 64 of word i / 64 tells that op i is
 * a forgery; its `out` is zero then. KFE_E_AUTH when any is: the others are done all the same.
 * After any other error nothing is verified, and the bits of all ops are set. */
KFE_API KFE_MUST_CHECK kfe_error kfe_gcm_open(const kfe_gcm_op *ops, size_t n, uint64_t *failed);

/* Hashes the beginning of an AAD once for many messages. `len` is a multiple of 16. */
KFE_API KFE_MUST_CHECK kfe_error kfe_gcm_absorb(const kfe_gcm_key *key, const uint8_t *aad,
                                                size_t len, kfe_gcm_prefix *out);

#ifdef __cplusplus
}
#endif
#endif
