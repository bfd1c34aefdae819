/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BACKEND_LAB_H
#define TESTS_BACKEND_LAB_H

/* The backend under test, messages with what must come of them, and a bench that runs them as one
 * batch, with every buffer and every array in a cell of its own between pages that cannot be
 * touched (cells.h). */

#include "tests/support/kit.h"

#include <stdbool.h>

#include "engine/backend.h"
#include "engine/envelope.h"
#include "engine/openssl/crypto.h"

enum {
    LAB_SUITES = 4,
    LAB_BATCH_MAX = 1100, /* more than a kernel sorts together */
    LAB_LEN_MAX = 71000,
    LAB_PREFIX_MAX = 128, /* of random messages */
    LAB_AAD_MAX = 96,
};

extern const kfe_backend *lab_backend;
extern const unsigned lab_suites[LAB_SUITES]; /* all there are */
extern bool lab_public; /* messages go in by <kfe/gcm.h>; false: by the backend's own functions */

/* Takes the backend's name from argv[1] and seeds the kit. Ends the program with 77, saying why,
 * where that backend is not in this build or cannot run on this CPU; with 1 for a wrong use. */
void lab_begin(int argc, char **argv);
void lab_end(void);

bool lab_does(unsigned suite); /* the backend, that suite */
unsigned lab_some_suite(void); /* one of those, by chance */
unsigned lab_some_gcm(void);   /* one of AES-GCM's */

/* KFE_CASES, or how many there are without it: what a campaign raises. */
size_t lab_cases(size_t usual);

void lab_bytes(void *out, size_t len); /* random ones */

/* ---- Keys and messages ---------------------------------------------------------------------- */

typedef struct {
    unsigned suite;
    uint8_t bytes[32];
    kfe_aead_key *key;
    bool is_public; /* made by <kfe/gcm.h> */
} lab_key;

void lab_key_init(lab_key *key, unsigned suite, const uint8_t bytes[32]); /* NULL: random */
/* A random one on another backend, by <kfe/gcm.h>. */
void lab_key_on(lab_key *key, unsigned suite, const char *backend);
void lab_key_wipe(lab_key *key);

/* `aad` has the prefix's bytes, then the rest: prefix_len + aad_len in all. One block of the heap
 * holds all three texts; lab_drop() frees it. */
typedef struct {
    const lab_key *key;
    uint8_t nonce[12], tag[16];
    uint32_t prefix_len, aad_len, len;
    uint8_t *aad, *plain, *sealed;
    bool forged; /* opening must refuse it */
} lab_message;

/* Room for texts of these lengths, with nothing in it. */
void lab_room(lab_message *m, uint32_t prefix_len, uint32_t aad_len, uint32_t len);
void lab_drop(lab_message *m);

/* Random bytes of these lengths under `key`, and what OpenSSL, asked directly, makes of them. */
void lab_random(lab_message *m, const lab_key *key, const uint32_t lens[3]);

/* Changes one bit of a message's tag, text, AAD or nonce, by chance; back by a second call. */
typedef struct {
    uint8_t *byte, mask;
} lab_flip;
lab_flip lab_forge(lab_message *m);
void lab_flip_again(lab_message *m, lab_flip flip);

/* AES-GCM or ChaCha20-Poly1305 by EVP in the plainest way: fills `sealed` and `tag`. */
void lab_oracle(lab_message *m);

/* The parts of AES-GCM: a block of AES by EVP; GHASH, bit by bit as SP 800-38D writes it. */
void lab_oracle_block(const lab_key *key, const uint8_t in[16], uint8_t out[16]);
void lab_oracle_ghash(const lab_key *key, uint8_t state[16], const uint8_t *data, size_t blocks);

/* ---- The bench: one per thread -------------------------------------------------------------- */

typedef struct lab_bench lab_bench;

lab_bench *lab_bench_new(uint64_t seed);
void lab_bench_free(lab_bench *bench);

/* Run n messages in one call and compare everything. NULL, or what was wrong: this thread's until
 * its next call. */
const char *lab_seal(lab_bench *bench, const lab_message *m, size_t n);
const char *lab_open(lab_bench *bench, const lab_message *m, size_t n);

/* Both, on the test's own thread: a fault fails the test. */
void lab_both(lab_bench *bench, const lab_message *m, size_t n);

/* Buffers for one call of another kind; `out` is `in` when that is asked for. Until the next. */
typedef struct {
    uint8_t *in, *out;
    size_t len;
} lab_piece;
lab_piece lab_piece_new(lab_bench *bench, const uint8_t *bytes, size_t len, bool in_place);
/* NULL when `out` holds those bytes, and `in` and all beside them is as it was. */
const char *lab_piece_wrong(const lab_bench *bench, const lab_piece *piece, const uint8_t *in,
                            const uint8_t *out);

#endif
