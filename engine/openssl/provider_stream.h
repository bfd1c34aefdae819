/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_PROVIDER_STREAM_H
#define KFE_ENGINE_OPENSSL_PROVIDER_STREAM_H

/* AES-GCM (SP 800-38D) of one message that comes in parts of any length, over a backend's
 * streaming members. Output comes at once, byte for byte. The key of all calls is the same one. */

#include "engine/backend.h"

#define KFE_STREAM_MAX_TEXT ((UINT64_C(1) << 36) - 32)
#define KFE_STREAM_MAX_AAD ((UINT64_C(1) << 61) - 1)

enum { KFE_STREAM_BLOCKS = 16 };

/* Plain bytes: may be copied in the middle of a message. Wiped by whoever has it. Counter blocks
 * are numbered from the one that masks the tag, 0; text begins with 1. */
typedef struct {
    kfe_gcm_stream at; /* `ghash` has seen all but `pending`; `counter` is scratch */
    uint8_t first[16]; /* counter block 0 */
    uint64_t aad_len, len;

    uint64_t ahead_from; /* number of the first block of `ahead` */
    uint32_t ahead_blocks, n_pending;
    uint8_t mask[16]; /* block 0's key stream, once `has_mask` */
    bool has_mask, after_short;

    uint8_t ahead[16 * KFE_STREAM_BLOCKS];         /* key stream */
    uint8_t pending[16 * (KFE_STREAM_BLOCKS + 1)]; /* AAD and sealed text still to be hashed */
} kfe_stream;

/* `iv` has 1 byte at least, and fewer than 2^61. */
void kfe_stream_begin(kfe_stream *s, const kfe_aead_key *key, const uint8_t *iv, size_t iv_len);

/* False: text has begun, or it is too much. Nothing is done then. */
bool kfe_stream_aad(kfe_stream *s, const kfe_aead_key *key, const uint8_t *aad, size_t len);

/* `out` may equal `in`, and overlaps it in no other way. False: more than KFE_STREAM_MAX_TEXT in
 * all. Nothing is done then. */
bool kfe_stream_seal(kfe_stream *s, const kfe_aead_key *key, const uint8_t *in, uint8_t *out,
                     size_t len);
bool kfe_stream_open(kfe_stream *s, const kfe_aead_key *key, const uint8_t *in, uint8_t *out,
                     size_t len);

/* Ends the message. */
void kfe_stream_tag(kfe_stream *s, const kfe_aead_key *key, uint8_t tag[16]);

#endif
