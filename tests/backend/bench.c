/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backend/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARRAYS = 2, SMALL = ARRAYS + 5 * LAB_BATCH_MAX, LARGE = 2 * LAB_BATCH_MAX, BESIDE = 64 };

/* Cells of one size with a page that cannot be touched before, between and behind them. */
typedef struct {
    uint8_t *base;
    size_t cell, page, n, used;
} pool;

/* A buffer taken from a cell. */
typedef struct {
    uint8_t *at, *cell, *end;
    size_t len;
} place;

struct lab_bench {
    uint64_t state;
    pool small, large;
    place places[SMALL + LARGE];
    size_t n_places;
    kfe_aead_batch batch;
    kfe_aead_op *ops; /* the batch's */
};

static _Thread_local char fault[160];

static uint32_t below(lab_bench *bench, uint32_t n)
{
    uint64_t z = bench->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

static bool pool_init(pool *p, size_t size, size_t n)
{
    p->page = (size_t)sysconf(_SC_PAGESIZE);
    p->cell = (size + p->page - 1) / p->page * p->page;
    p->n = n;
    size_t stride = p->cell + p->page;
    p->base = mmap(NULL, n * stride + p->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->base == MAP_FAILED)
        return false;
    for (size_t i = 0; i < n; i++)
        if (mprotect(p->base + p->page + i * stride, p->cell, PROT_READ | PROT_WRITE) != 0)
            return false;
    return true;
}

lab_bench *lab_bench_new(uint64_t seed)
{
    lab_bench *bench = calloc(1, sizeof(*bench));
    if (bench == NULL || !pool_init(&bench->small, sizeof(kfe_aead_op) * LAB_BATCH_MAX, SMALL) ||
        !pool_init(&bench->large, LAB_LEN_MAX, LARGE)) {
        fprintf(stderr, "no memory for a bench\n");
        exit(1);
    }
    bench->state = seed;
    return bench;
}

void lab_bench_free(lab_bench *bench)
{
    pool *pools[] = {&bench->small, &bench->large};
    for (int i = 0; i < 2; i++)
        munmap(pools[i]->base, pools[i]->n * (pools[i]->cell + pools[i]->page) + pools[i]->page);
    free(bench);
}

/* `align`: the buffer may only begin at a multiple of it. The bytes beside it are set, to be looked
 * at by beside_is_intact(). */
static void *take(lab_bench *bench, pool *p, size_t len, size_t align)
{
    uint8_t *cell = p->base + p->page + p->used++ * (p->cell + p->page);
    size_t at[] = {0, p->cell - len, 1 + below(bench, BESIDE)};
    size_t offset = at[below(bench, 3)];
    if (offset % align != 0 || offset + len > p->cell)
        offset = at[1];
    place *s = &bench->places[bench->n_places++];
    *s = (place){cell + offset, cell, cell + p->cell, len};
    size_t before = offset < BESIDE ? offset : BESIDE;
    size_t behind = p->cell - offset - len < BESIDE ? p->cell - offset - len : BESIDE;
    memset(s->at - before, 0xa5, before);
    memset(s->at + len, 0xa5, behind);
    return s->at;
}

static bool beside_is_intact(const lab_bench *bench)
{
    for (size_t i = 0; i < bench->n_places; i++) {
        const place *s = &bench->places[i];
        const uint8_t *from = s->at - s->cell < BESIDE ? s->cell : s->at - BESIDE;
        const uint8_t *behind = s->at + s->len;
        const uint8_t *to = s->end - behind < BESIDE ? s->end : behind + BESIDE;
        for (const uint8_t *byte = from; byte < to; byte++)
            if ((byte < s->at || byte >= behind) && *byte != 0xa5)
                return false;
    }
    return true;
}

static void *copy(lab_bench *bench, pool *p, const void *from, size_t len)
{
    if (len == 0 && below(bench, 2))
        return NULL;
    uint8_t *to = take(bench, p, len, 1);
    if (len > 0 && from != NULL)
        memcpy(to, from, len);
    else
        memset(to, 0xee, len);
    return to;
}

/* Only a backend that hashes the prefix's bytes again gets to see them. */
static kfe_gcm_prefix *absorb(lab_bench *bench, const lab_message *m)
{
    if (!lab_backend->from_state) {
        kfe_prefix *prefix = take(bench, &bench->small, sizeof(*prefix), _Alignof(kfe_prefix));
        memset(prefix, 0xee, sizeof(*prefix));
        prefix->bytes = copy(bench, &bench->small, m->aad, m->prefix_len);
        prefix->absorbed.len = m->prefix_len;
        return &prefix->absorbed;
    }
    kfe_gcm_prefix *prefix = take(bench, &bench->small, sizeof(*prefix), _Alignof(kfe_gcm_prefix));
    *prefix = (kfe_gcm_prefix){.len = m->prefix_len};
    const uint8_t *bytes = copy(bench, &bench->small, m->aad, m->prefix_len);
    lab_backend->hash(m->key->key, prefix->ghash, bytes, m->prefix_len / 16);
    return prefix;
}

/* Messages of one key with the same beginning share its state, as a record's fields do. */
static const kfe_gcm_prefix *prefix_of(lab_bench *bench, const lab_message *m, size_t i)
{
    if (m[i].prefix_len == 0 && below(bench, 2))
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
        return copy(bench, &bench->small, from, m->aad_len);
    uint32_t len = (m->aad_len + 15) / 16 * 16;
    uint8_t *to = take(bench, &bench->small, len, 1);
    memset(to, 0, len);
    return memcpy(to, from, m->aad_len);
}

static void *array(lab_bench *bench, size_t n, size_t size)
{
    return take(bench, &bench->small, n * size, 8);
}

static void lay_out(lab_bench *bench, const lab_message *m, size_t n, bool sealing)
{
    bench->small.used = bench->large.used = bench->n_places = 0;
    kfe_aead_batch *b = &bench->batch;
    bench->ops = array(bench, n, sizeof(*bench->ops));
    *b = (kfe_aead_batch){.ops = bench->ops, .n = n, .padded = below(bench, 2)};
    b->failed = array(bench, (n + 63) / 64, sizeof(*b->failed));
    memset(b->failed, 0xff, (n + 63) / 64 * sizeof(*b->failed));
    for (size_t i = 0; i < n; i++) {
        kfe_aead_op *op = &bench->ops[i];
        op->key = m[i].key->key;
        op->nonce = copy(bench, &bench->small, m[i].nonce, 12);
        op->prefix = prefix_of(bench, m, i);
        op->aad_len = m[i].aad_len;
        op->aad = aad_of(bench, &m[i]);
        op->len = m[i].len;
        op->out = copy(bench, &bench->large, sealing ? m[i].plain : m[i].sealed, m[i].len);
        op->in = op->out;
        if (below(bench, 2))
            op->out = copy(bench, &bench->large, NULL, m[i].len);
        op->tag = copy(bench, &bench->small, sealing ? NULL : m[i].tag, 16);
    }
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
             "message %zu of %zu (suite %u, prefix %u, AAD %u, text %u, %s): %s", i, bench->batch.n,
             m[i].key->suite, m[i].prefix_len, m[i].aad_len, m[i].len,
             bench->ops[i].in == bench->ops[i].out ? "in place" : "out of place", what);
    return fault;
}

const char *lab_seal(lab_bench *bench, const lab_message *m, size_t n)
{
    const kfe_aead_batch *b = &bench->batch;
    lay_out(bench, m, n, true);
    if (lab_backend->seal(b) != KFE_OK)
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
    return beside_is_intact(bench) ? NULL : "sealing wrote beside a buffer";
}

static const char *check_opened(const lab_bench *bench, const lab_message *m, size_t i)
{
    const kfe_aead_batch *b = &bench->batch;
    const kfe_aead_op *op = &b->ops[i];
    bool refused = (b->failed[i / 64] >> (i % 64) & 1) != 0;
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
    if (lab_backend->open(b) != KFE_OK)
        return kfe_error_detail();
    for (size_t i = 0; i < n; i++) {
        const char *found = check_opened(bench, m, i);
        if (found != NULL)
            return found;
    }
    if (n % 64 != 0 && b->failed[n / 64] >> (n % 64) != 0)
        return "a bit of no message is set in the mask";
    return beside_is_intact(bench) ? NULL : "opening wrote beside a buffer";
}

void lab_both(lab_bench *bench, const lab_message *m, size_t n)
{
    const char *found = lab_seal(bench, m, n);
    if (found == NULL)
        found = lab_open(bench, m, n);
    if (found != NULL)
        fail_msg("%s", found);
}
