/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

/* Messages to be sealed and opened, and what OpenSSL makes of them.
 *
 * A workload of varied lengths has many different batches, so that no branch predictor learns their
 * order. They share the memory of their texts: the same random bytes are plaintext to be sealed and
 * sealed text to be opened, for which each message has its own tag. */

#include "bench/peer.h"

enum { SPANS_MAX = 7, KEYS_MAX = 64 };

/* Lengths from lo to hi, all as likely. */
typedef struct {
    uint32_t lo, hi;
} span;

typedef struct {
    const char *label;
    span spans[SPANS_MAX]; /* up to the first with hi 0 */
    bool in_turn;          /* message i takes the next span; else one by chance */
    size_t n;              /* messages in a batch, up to BATCH_MAX */
    uint32_t aad_len;      /* up to AAD_MAX */
    size_t n_keys;         /* a power of 2, up to KEYS_MAX: in turn */
} shape;

typedef struct {
    shape shape;
    size_t sets;       /* different batches */
    slice *slices;     /* sets * n */
    size_t text_bytes; /* of the longest set */
    uint8_t raw[KEYS_MAX][32];
    size_t key_len;

    /* What batches are made of, and where it lies now: one block with room to move about. */
    uint8_t *block, *in, *out, *aad;
    size_t block_bytes;
    slice *text;
    uint8_t (*nonce)[NONCE], (*made)[TAG], (*given)[TAG];
    uint8_t (*tags)[TAG]; /* those to be given */
    uint64_t state;
} workload;

/* Ends the program where memory lacks. key_len: 16, 24 or 32. */
void workload_init(workload *w, const shape *kind, size_t key_len);
void workload_free(workload *w);

/* Moves everything to new addresses: another page for each array, input and output apart by half a
 * page modulo a page. */
void workload_move(workload *w);

/* Batch number `set`, with `keys` for its keys. */
batch workload_seal(const workload *w, size_t set, void *const *keys);
batch workload_open(const workload *w, size_t set, void *const *keys);

/* The messages' mean of blocks of text, the last one rounded up. */
double workload_blocks(const workload *w);

/* Runs every batch and compares each byte with OpenSSL's; then changes one tag, which must be
 * refused, and no other. NULL, or what is wrong. */
const char *workload_check(workload *w, const peer *p);

#endif
