/* SPDX-License-Identifier: Apache-2.0 */
/* Long pieces of text go to the kernels as they are. Short ones would pay a call, with the latency
 * of AES and of GHASH, for a block or two each; so key stream is made some blocks ahead, and what
 * is to be hashed waits until there are some blocks of it. Output waits for nothing. */
#include "engine/openssl/provider_stream.h"

#include <string.h>

enum { BLOCK = 16, ROOM = BLOCK * KFE_STREAM_BLOCKS };

/* Blocks are put together in registers and stored whole: a kernel's wide load has to wait for
 * narrow stores. */
typedef uint32_t four __attribute__((vector_size(BLOCK)));
typedef uint64_t two __attribute__((vector_size(BLOCK)));

static uint32_t get_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static void put_four(uint8_t *to, const uint8_t first[12], uint32_t last)
{
    four block = {get_u32(first), get_u32(first + 4), get_u32(first + 8), __builtin_bswap32(last)};
    memcpy(to, &block, BLOCK);
}

static void put_two(uint8_t *to, uint64_t high, uint64_t low)
{
    two block = {__builtin_bswap64(high), __builtin_bswap64(low)};
    memcpy(to, &block, BLOCK);
}

/* ---- Counter --------------------------------------------------------------------------------- */

/* SP 800-38D, 7.1, step 2: an IV of any length but 12 bytes is hashed. */
static void first_counter(kfe_stream *s, const kfe_aead_key *key, const uint8_t *iv, size_t iv_len)
{
    if (iv_len == 12) {
        put_four(s->first, iv, 1);
        return;
    }
    size_t rest = iv_len % BLOCK;
    memset(s->first, 0, BLOCK);
    if (iv_len >= BLOCK)
        key->backend->hash(key, s->first, iv, iv_len / BLOCK);
    uint8_t end[2 * BLOCK] = {0};
    memcpy(end, iv + iv_len - rest, rest);
    put_two(end + BLOCK, 0, (uint64_t)iv_len * 8);
    key->backend->hash(key, s->first, rest > 0 ? end : end + BLOCK, rest > 0 ? 2 : 1);
}

static void count_to(kfe_stream *s, uint64_t block)
{
    put_four(s->at.counter, s->first, __builtin_bswap32(get_u32(s->first + 12)) + (uint32_t)block);
}

/* Key stream of `blocks` blocks from `from` on. Sealing zeros gives it; the hash of that is
 * nobody's.
 */
static void make_ahead(kfe_stream *s, const kfe_aead_key *key, uint64_t from, uint32_t blocks)
{
    static const uint8_t zeros[ROOM];
    count_to(s, from);
    if (blocks == 1) {
        key->backend->keystream(key, s->at.counter, s->ahead);
    } else {
        kfe_gcm_stream apart = s->at;
        key->backend->seal_blocks(key, &apart, zeros, s->ahead, blocks);
    }
    s->ahead_from = from;
    s->ahead_blocks = blocks;
    if (from == 0) {
        memcpy(s->mask, s->ahead, BLOCK);
        s->has_mask = true;
    }
}

void kfe_stream_begin(kfe_stream *s, const kfe_aead_key *key, const uint8_t *iv, size_t iv_len)
{
    first_counter(s, key, iv, iv_len);
    memset(s->at.ghash, 0, BLOCK);
    s->aad_len = s->len = 0;
    s->ahead_blocks = s->n_pending = 0;
    s->has_mask = s->after_short = false;
}

/* ---- Hash ------------------------------------------------------------------------------------ */

/* Zeros behind the last block of AAD, or of text. */
static void pad(kfe_stream *s)
{
    uint32_t part = s->n_pending % BLOCK;
    if (part == 0)
        return;
    memset(s->pending + s->n_pending, 0, BLOCK - part);
    s->n_pending += BLOCK - part;
}

/* What is pending is a multiple of BLOCK here. */
static void hash_pending(kfe_stream *s, const kfe_aead_key *key)
{
    if (s->n_pending > 0)
        key->backend->hash(key, s->at.ghash, s->pending, s->n_pending / BLOCK);
    s->n_pending = 0;
}

bool kfe_stream_aad(kfe_stream *s, const kfe_aead_key *key, const uint8_t *aad, size_t len)
{
    if (s->len > 0 || len > KFE_STREAM_MAX_AAD - s->aad_len)
        return false;
    s->aad_len += len;
    while (len > 0) {
        if (len >= ROOM && s->n_pending % BLOCK == 0) {
            hash_pending(s, key);
            key->backend->hash(key, s->at.ghash, aad, len / BLOCK);
            aad += len / BLOCK * BLOCK;
            len %= BLOCK;
        }
        size_t room = (len >= ROOM ? BLOCK - s->n_pending % BLOCK : ROOM - s->n_pending);
        size_t part = len < room ? len : room;
        memcpy(s->pending + s->n_pending, aad, part);
        s->n_pending += (uint32_t)part;
        if (s->n_pending == ROOM)
            hash_pending(s, key);
        aad += part;
        len -= part;
    }
    return true;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* `len` bytes of text, for which there is key stream and room. */
static void mix(kfe_stream *s, const uint8_t *in, uint8_t *out, size_t len, bool seal)
{
    const uint8_t *with = s->ahead + (s->len + BLOCK - s->ahead_from * BLOCK);
    uint8_t *sealed = s->pending + s->n_pending;
    size_t i = 0;
    for (; i + BLOCK <= len; i += BLOCK) {
        two from, to;
        memcpy(&from, in + i, BLOCK);
        memcpy(&to, with + i, BLOCK);
        to ^= from;
        memcpy(out + i, &to, BLOCK);
        memcpy(sealed + i, seal ? &to : &from, BLOCK);
    }
    for (; i < len; i++) {
        uint8_t from = in[i], to = from ^ with[i];
        out[i] = to;
        sealed[i] = seal ? to : from;
    }
    s->len += len;
    s->n_pending += (uint32_t)len;
}

/* Bytes of key stream at hand for what comes next. */
static size_t ahead(const kfe_stream *s)
{
    uint64_t at = s->len + BLOCK, from = s->ahead_from * BLOCK;
    uint64_t end = from + (uint64_t)s->ahead_blocks * BLOCK;
    return s->ahead_blocks > 0 && at >= from && at < end ? (size_t)(end - at) : 0;
}

/* After a short piece others like it are to come. Else this is the end of a message, or all of it:
 * then what it takes, with the block for the tag. */
static void look_ahead(kfe_stream *s, const kfe_aead_key *key)
{
    if (s->len == 0)
        make_ahead(s, key, 0, 4);
    else
        make_ahead(s, key, s->len / BLOCK + 1, s->after_short ? KFE_STREAM_BLOCKS : 1);
}

static void short_text(kfe_stream *s, const kfe_aead_key *key, const uint8_t *in, uint8_t *out,
                       size_t len, bool seal)
{
    while (len > 0) {
        if (ahead(s) == 0)
            look_ahead(s, key);
        size_t part = len, room = ROOM - s->n_pending;
        part = part < ahead(s) ? part : ahead(s);
        part = part < room ? part : room;
        mix(s, in, out, part, seal);
        if (s->n_pending == ROOM)
            hash_pending(s, key);
        in += part;
        out += part;
        len -= part;
    }
}

static bool text(kfe_stream *s, const kfe_aead_key *key, const uint8_t *in, uint8_t *out,
                 size_t len, bool seal)
{
    const kfe_backend *backend = key->backend;
    if (len > KFE_STREAM_MAX_TEXT - s->len)
        return false;
    if (s->len == 0)
        pad(s);
    if (len < BLOCK || (len < ROOM && s->after_short)) {
        short_text(s, key, in, out, len, seal);
        s->after_short = true;
        return true;
    }
    s->after_short = false;
    size_t part = (BLOCK - s->len % BLOCK) % BLOCK;
    short_text(s, key, in, out, part, seal);
    hash_pending(s, key);
    size_t blocks = (len - part) / BLOCK;
    if (blocks > 0) {
        count_to(s, s->len / BLOCK + 1);
        (seal ? backend->seal_blocks : backend->open_blocks)(key, &s->at, in + part, out + part,
                                                             blocks);
        s->len += blocks * BLOCK;
        part += blocks * BLOCK;
    }
    short_text(s, key, in + part, out + part, len - part, seal);
    s->after_short = len < ROOM;
    return true;
}

bool kfe_stream_seal(kfe_stream *s, const kfe_aead_key *key, const uint8_t *in, uint8_t *out,
                     size_t len)
{
    return text(s, key, in, out, len, true);
}

bool kfe_stream_open(kfe_stream *s, const kfe_aead_key *key, const uint8_t *in, uint8_t *out,
                     size_t len)
{
    return text(s, key, in, out, len, false);
}

void kfe_stream_tag(kfe_stream *s, const kfe_aead_key *key, uint8_t tag[16])
{
    pad(s);
    put_two(s->pending + s->n_pending, s->aad_len * 8, s->len * 8);
    s->n_pending += BLOCK;
    hash_pending(s, key);
    if (!s->has_mask)
        make_ahead(s, key, 0, 1);
    two mask, hash;
    memcpy(&mask, s->mask, BLOCK);
    memcpy(&hash, s->at.ghash, BLOCK);
    mask ^= hash;
    memcpy(tag, &mask, BLOCK);
}
