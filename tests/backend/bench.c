/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backend/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend/cells.h"

enum { SMALL = 2 + 7 * LAB_BATCH_MAX, LARGE = 2 + 2 * LAB_BATCH_MAX };

struct lab_bench {
    cells *cells;
    kfe_aead_batch batch;
    kfe_aead_op *ops;      /* the batch's */
    bool any_forged, asks; /* <kfe/gcm.h> is asked which ones are */
};

static _Thread_local char fault[200];

lab_bench *lab_bench_new(uint64_t seed)
{
    lab_bench *bench = calloc(1, sizeof(*bench));
    if (bench == NULL) {
        fprintf(stderr, "no memory for a bench\n");
        exit(1);
    }
    bench->cells = cells_new(seed, SMALL, LARGE, LAB_LEN_MAX);
    return bench;
}

void lab_bench_free(lab_bench *bench)
{
    cells_free(bench->cells);
    free(bench);
}

/* ---- Laying out ------------------------------------------------------------------------------ */

static kfe_gcm_prefix *absorb(lab_bench *bench, const lab_message *m)
{
    const kfe_backend *backend = m->key->key->backend;
    uint8_t *bytes = cells_copy(bench->cells, m->aad, m->prefix_len);
    if (!lab_public && !backend->from_state) {
        /* Only a backend that hashes the prefix's bytes again gets to see them. */
        kfe_prefix *prefix = cells_take(bench->cells, sizeof(*prefix), _Alignof(kfe_prefix));
        memset(prefix, 0xee, sizeof(*prefix));
        prefix->bytes = bytes;
        prefix->absorbed.len = m->prefix_len;
        return &prefix->absorbed;
    }
    kfe_gcm_prefix *prefix = cells_take(bench->cells, sizeof(*prefix), _Alignof(kfe_gcm_prefix));
    *prefix = (kfe_gcm_prefix){.len = m->prefix_len};
    if (!lab_public)
        backend->hash(m->key->key, prefix->ghash, bytes, m->prefix_len / 16);
    else if (kfe_gcm_absorb(m->key->key, bytes, m->prefix_len, prefix) != KFE_OK)
        memset(prefix, 0xff, sizeof(*prefix));
    return prefix;
}

/* Messages of one key with the same beginning share its state, as a record's fields do. */
static const kfe_gcm_prefix *prefix_of(lab_bench *bench, const lab_message *m, size_t i)
{
    if (m[i].prefix_len == 0 && cells_below(bench->cells, 2))
        return NULL;
    const kfe_gcm_prefix *before = i > 0 ? bench->ops[i - 1].prefix : NULL;
    if (before != NULL && m[i].key == m[i - 1].key && m[i].prefix_len == m[i - 1].prefix_len &&
        memcmp(m[i].aad, m[i - 1].aad, m[i].prefix_len) == 0)
        return before;
    return absorb(bench, &m[i]);
}

/* With zeros behind it in a padded batch. */
static const uint8_t *aad_of(lab_bench *bench, const lab_message *m)
{
    const uint8_t *from = m->aad + m->prefix_len;
    if (!bench->batch.padded || m->aad_len == 0)
        return cells_copy(bench->cells, from, m->aad_len);
    uint32_t len = (m->aad_len + 15) / 16 * 16;
    uint8_t *to = cells_take(bench->cells, len, 1);
    memset(to, 0, len);
    return memcpy(to, from, m->aad_len);
}

static void lay_out(lab_bench *bench, const lab_message *m, size_t n, bool sealing)
{
    kfe_aead_batch *b = &bench->batch;
    cells_clear(bench->cells);
    bench->ops = cells_take(bench->cells, n * sizeof(*bench->ops), 8);
    *b = (kfe_aead_batch){.ops = bench->ops, .n = n, .padded = cells_below(bench->cells, 2)};
    b->failed = cells_take(bench->cells, (n + 63) / 64 * sizeof(*b->failed), 8);
    memset(b->failed, 0xff, (n + 63) / 64 * sizeof(*b->failed));
    bench->any_forged = false;
    bench->asks = !lab_public || cells_below(bench->cells, 4) != 0;
    for (size_t i = 0; i < n; i++) {
        kfe_aead_op *op = &bench->ops[i];
        op->key = m[i].key->key;
        op->nonce = cells_copy(bench->cells, m[i].nonce, 12);
        op->prefix = prefix_of(bench, m, i);
        op->aad_len = m[i].aad_len;
        op->aad = aad_of(bench, &m[i]);
        op->len = m[i].len;
        op->out = cells_copy(bench->cells, sealing ? m[i].plain : m[i].sealed, m[i].len);
        op->in = op->out;
        if (cells_below(bench->cells, 2))
            op->out = cells_copy(bench->cells, NULL, m[i].len);
        op->tag = cells_copy(bench->cells, sealing ? NULL : m[i].tag, 16);
        bench->any_forged |= m[i].forged;
    }
}

/* ---- Running and comparing ------------------------------------------------------------------- */

static bool run_seal(lab_bench *bench)
{
    if (lab_public)
        return kfe_gcm_seal(bench->ops, bench->batch.n) == KFE_OK;
    return lab_backend->seal(&bench->batch) == KFE_OK;
}

static bool run_open(lab_bench *bench)
{
    kfe_aead_batch *b = &bench->batch;
    if (lab_public)
        return kfe_gcm_open(b->ops, b->n, bench->asks ? b->failed : NULL) ==
               (bench->any_forged ? KFE_E_AUTH : KFE_OK);
    return lab_backend->open(b) == KFE_OK;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
    return len == 0 || memcmp(a, b, len) == 0;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static const char *wrong(const lab_bench *bench, const lab_message *m, size_t i, const char *what)
{
    snprintf(fault, sizeof(fault),
             "message %zu of %zu (%s, suite %u, prefix %u, AAD %u, text %u, %s): %s", i,
             bench->batch.n, m[i].key->key->backend->name, m[i].key->suite, m[i].prefix_len,
             m[i].aad_len, m[i].len,
             bench->ops[i].in == bench->ops[i].out ? "in place" : "out of place", what);
    return fault;
}

const char *lab_seal(lab_bench *bench, const lab_message *m, size_t n)
{
    const kfe_aead_batch *b = &bench->batch;
    lay_out(bench, m, n, true);
    if (!run_seal(bench))
        return kfe_error_detail();
    for (size_t i = 0; i < n; i++) {
        const kfe_aead_op *op = &b->ops[i];
        if (!same(op->out, m[i].sealed, m[i].len))
            return wrong(bench, m, i, "another sealed text");
        if (!same(op->tag, m[i].tag, 16))
            return wrong(bench, m, i, "another tag");
        if (op->in != op->out && !same(op->in, m[i].plain, m[i].len))
            return wrong(bench, m, i, "its input was written to");
    }
    return cells_intact(bench->cells) ? NULL : "sealing wrote beside a buffer";
}

static const char *check_opened(const lab_bench *bench, const lab_message *m, size_t i)
{
    const kfe_aead_batch *b = &bench->batch;
    const kfe_aead_op *op = &b->ops[i];
    bool refused = bench->asks ? (b->failed[i / 64] >> (i % 64) & 1) != 0 : m[i].forged;
    if (refused && !m[i].forged)
        return wrong(bench, m, i, "refused");
    if (!refused && m[i].forged)
        return wrong(bench, m, i, "forged, and opened");
    if (refused ? !all_zero(op->out, m[i].len) : !same(op->out, m[i].plain, m[i].len))
        return wrong(bench, m, i, refused ? "forged, its text not zero" : "another text");
    if (!same(op->tag, m[i].tag, 16))
        return wrong(bench, m, i, "its tag was written to");
    if (op->in != op->out && !same(op->in, m[i].sealed, m[i].len))
        return wrong(bench, m, i, "its input was written to");
    return NULL;
}

const char *lab_open(lab_bench *bench, const lab_message *m, size_t n)
{
    const kfe_aead_batch *b = &bench->batch;
    lay_out(bench, m, n, false);
    if (!run_open(bench))
        return bench->any_forged ? "another error than KFE_E_AUTH" : kfe_error_detail();
    for (size_t i = 0; i < n; i++) {
        const char *found = check_opened(bench, m, i);
        if (found != NULL)
            return found;
    }
    if (bench->asks && n % 64 != 0 && b->failed[n / 64] >> (n % 64) != 0)
        return "a bit of no message is set in the mask";
    return cells_intact(bench->cells) ? NULL : "opening wrote beside a buffer";
}

void lab_both(lab_bench *bench, const lab_message *m, size_t n)
{
    const char *found = n > 0 ? lab_seal(bench, m, n) : NULL;
    if (found == NULL && n > 0)
        found = lab_open(bench, m, n);
    if (found != NULL)
        fail_msg("%s", found);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

lab_piece lab_piece_new(lab_bench *bench, const uint8_t *bytes, size_t len, bool in_place)
{
    cells_clear(bench->cells);
    lab_piece piece = {.in = cells_copy(bench->cells, bytes, len), .len = len};
    piece.out = piece.in;
    if (!in_place)
        piece.out = cells_copy(bench->cells, NULL, len);
    return piece;
}

const char *lab_piece_wrong(const lab_bench *bench, const lab_piece *piece, const uint8_t *in,
                            const uint8_t *out)
{
    if (!same(piece->out, out, piece->len))
        return "another text";
    if (piece->in != piece->out && !same(piece->in, in, piece->len))
        return "its input was written to";
    return cells_intact(bench->cells) ? NULL : "something was written beside a buffer";
}
