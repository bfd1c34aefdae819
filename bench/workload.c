/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/oracle.h"
#include "bench/timer.h"

/* Different messages in a workload of varied lengths. Zen 4's predictor still knows 4,096 by heart
 * and half of 8,192; their tags and places must stay in the cache. */
enum { DIFFERENT = 16384, ENOUGH = 64, PAGE = 4096, GAP = 16 };

static void *allot(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p == NULL) {
        fprintf(stderr, "kfe-bench: no memory\n");
        exit(1);
    }
    return p;
}

static void fill(uint8_t *to, size_t len, uint64_t *state)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)random_next(state);
}

static bool varied(const shape *s)
{
    for (size_t i = 0; i < SPANS_MAX; i++)
        if (s->spans[i].lo != s->spans[i].hi)
            return true;
    return false;
}

static uint32_t spans_of(const shape *s)
{
    uint32_t n = 0;
    while (n < SPANS_MAX && s->spans[n].hi != 0)
        n++;
    return n;
}

static void choose_some(workload *w, slice *at)
{
    const shape *s = &w->shape;
    uint32_t n_spans = spans_of(s);
    for (size_t i = 0; i < s->n; i++) {
        span of = s->spans[s->in_turn ? i % n_spans : random_below(&w->state, n_spans)];
        at[i].len = of.lo + random_below(&w->state, of.hi - of.lo + 1);
    }
}

/* The same lengths in another order, so that no batch is faster for being shorter. */
static void shuffle(workload *w, slice *at)
{
    size_t step = w->shape.in_turn ? spans_of(&w->shape) : 1;
    for (size_t i = 0; i < w->shape.n; i++) {
        size_t j = random_below(&w->state, (uint32_t)(i / step) + 1) * step + i % step;
        uint32_t len = at[i].len;
        at[i].len = at[j].len;
        at[j].len = len;
    }
}

static void choose_lengths(workload *w)
{
    size_t n = w->shape.n;
    for (size_t set = 0; set < w->sets; set++) {
        slice *at = w->slices + set * n;
        if (set == 0 || n < ENOUGH) {
            choose_some(w, at);
        } else {
            memcpy(at, w->slices, n * sizeof(*at));
            shuffle(w, at);
        }
        uint32_t offset = 0;
        for (size_t i = 0; i < n; i++) {
            at[i].offset = offset;
            offset += at[i].len;
        }
        w->text_bytes = offset > w->text_bytes ? offset : w->text_bytes;
    }
}

static oracle_call call_of(const workload *w, size_t i)
{
    const shape *s = &w->shape;
    return (oracle_call){w->raw[i & (s->n_keys - 1)], w->key_len, w->nonce[i],
                         w->aad + i * s->aad_len, s->aad_len};
}

static void make_tags(workload *w)
{
    size_t n = w->shape.n;
    for (size_t i = 0; i < w->sets * n; i++) {
        oracle_call call = call_of(w, i % n);
        const slice *s = &w->text[i];
        oracle_unseal(&call, w->in + s->offset, s->len, w->out, w->tags[i]);
    }
    memcpy(w->given, w->tags, w->sets * n * TAG);
}

static size_t pages(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

void workload_init(workload *w, const shape *kind, size_t key_len)
{
    *w = (workload){.shape = *kind, .key_len = key_len, .state = 1};
    size_t n = kind->n;
    w->sets = varied(kind) ? (DIFFERENT + n - 1) / n : 1;
    w->slices = allot(w->sets * n, sizeof(slice));
    w->tags = allot(w->sets * n, TAG);
    choose_lengths(w);
    fill(w->raw[0], sizeof(w->raw), &w->state);

    size_t each[] = {w->text_bytes, w->text_bytes,     n * kind->aad_len,          n * NONCE,
                     n * TAG,       w->sets * n * TAG, w->sets * n * sizeof(slice)};
    for (size_t i = 0; i < sizeof(each) / sizeof(*each); i++)
        w->block_bytes += pages(each[i]) + (GAP + 1) * PAGE;
    w->block = aligned_alloc(PAGE, w->block_bytes);
    if (w->block == NULL) {
        fprintf(stderr, "kfe-bench: no memory\n");
        exit(1);
    }
    fill(w->block, w->block_bytes, &w->state);
    workload_move(w);
    make_tags(w);
}

void workload_free(workload *w)
{
    free(w->slices);
    free(w->tags);
    free(w->block);
}

/* The next array: some pages behind the last one. */
static uint8_t *place(workload *w, size_t *used, size_t bytes)
{
    uint8_t *at = w->block + *used + random_below(&w->state, GAP) * PAGE;
    *used += pages(bytes) + (GAP + 1) * PAGE;
    return at;
}

void workload_move(workload *w)
{
    size_t n = w->shape.n, used = 0;
    workload old = *w;
    w->in = place(w, &used, w->text_bytes);
    w->out = place(w, &used, w->text_bytes) + PAGE / 2;
    w->aad = place(w, &used, n * w->shape.aad_len);
    w->nonce = (uint8_t(*)[NONCE])place(w, &used, n * NONCE);
    w->made = (uint8_t(*)[TAG])place(w, &used, n * TAG);
    w->given = (uint8_t(*)[TAG])place(w, &used, w->sets * n * TAG);
    w->text = (slice *)(void *)place(w, &used, w->sets * n * sizeof(slice));
    if (old.in != NULL) {
        memmove(w->in, old.in, w->text_bytes);
        memmove(w->aad, old.aad, n * w->shape.aad_len);
        memmove(w->nonce, old.nonce, n * NONCE);
    }
    memcpy(w->given, w->tags, w->sets * n * TAG);
    memcpy(w->text, w->slices, w->sets * n * sizeof(slice));
}

batch workload_seal(const workload *w, size_t set, void *const *keys)
{
    const shape *s = &w->shape;
    return (batch){.text = w->text + set * s->n,
                   .n = s->n,
                   .in = w->in,
                   .out = w->out,
                   .nonce = w->nonce,
                   .tag = w->made,
                   .aad = w->aad,
                   .aad_len = s->aad_len,
                   .key = keys,
                   .key_mask = s->n_keys - 1};
}

batch workload_open(const workload *w, size_t set, void *const *keys)
{
    batch b = workload_seal(w, set, keys);
    b.tag = w->given + set * w->shape.n;
    return b;
}

double workload_blocks(const workload *w)
{
    double blocks = 0;
    for (size_t i = 0; i < w->sets * w->shape.n; i++)
        blocks += (w->slices[i].len + 15) / 16;
    return blocks / (double)(w->sets * w->shape.n);
}

static const char *wrong(const peer *p, const workload *w, size_t i, const char *what)
{
    static char text[160];
    snprintf(text, sizeof(text), "%s, %s, message %zu: %s", p->name, w->shape.label, i, what);
    return text;
}

static const char *check_sealed(const workload *w, const peer *p, void *const *keys,
                                uint8_t *expected)
{
    for (size_t set = 0; set < w->sets; set++) {
        batch b = workload_seal(w, set, keys);
        memset(b.out, 0, w->text_bytes);
        memset(b.tag, 0, b.n * TAG);
        p->seal(&b);
        for (size_t i = 0; i < b.n; i++) {
            oracle_call call = call_of(w, i);
            uint8_t tag[TAG];
            oracle_seal(&call, b.in + b.text[i].offset, b.text[i].len, expected, tag);
            if (memcmp(expected, b.out + b.text[i].offset, b.text[i].len) != 0)
                return wrong(p, w, i, "the sealed text is not OpenSSL's");
            if (memcmp(tag, b.tag[i], TAG) != 0)
                return wrong(p, w, i, "the tag is not OpenSSL's");
        }
    }
    return NULL;
}

static const char *check_opened(const workload *w, const peer *p, void *const *keys,
                                uint8_t *expected)
{
    for (size_t set = 0; set < w->sets; set++) {
        batch b = workload_open(w, set, keys);
        memset(b.out, 0, w->text_bytes);
        if (p->open(&b) != 0)
            return wrong(p, w, 0, "an honest batch is refused");
        for (size_t i = 0; i < b.n; i++) {
            oracle_call call = call_of(w, i);
            uint8_t tag[TAG];
            oracle_seal(&call, b.in + b.text[i].offset, b.text[i].len, expected, tag);
            if (memcmp(expected, b.out + b.text[i].offset, b.text[i].len) != 0)
                return wrong(p, w, i, "the opened text is not OpenSSL's");
        }
    }
    return NULL;
}

static const char *check_refused(workload *w, const peer *p, void *const *keys)
{
    size_t i = random_below(&w->state, (uint32_t)w->shape.n);
    batch b = workload_open(w, w->sets - 1, keys);
    uint8_t *byte = &b.tag[i][random_below(&w->state, TAG)];
    *byte ^= 0x10;
    size_t refused = p->open(&b);
    *byte ^= 0x10;
    return refused == 1 ? NULL : wrong(p, w, i, "a changed tag, and not one message refused");
}

const char *workload_check(workload *w, const peer *p)
{
    void *keys[KEYS_MAX] = {0};
    uint8_t *expected = allot(w->text_bytes, 1);
    const char *found = NULL;
    for (size_t i = 0; i < w->shape.n_keys && found == NULL; i++) {
        keys[i] = p->key_new(p, w->raw[i], w->key_len);
        found = keys[i] == NULL ? wrong(p, w, 0, "no key can be made") : NULL;
    }
    if (found == NULL)
        found = check_sealed(w, p, keys, expected);
    if (found == NULL)
        found = check_opened(w, p, keys, expected);
    if (found == NULL)
        found = check_refused(w, p, keys);
    for (size_t i = 0; i < w->shape.n_keys; i++)
        if (keys[i] != NULL)
            p->key_free(keys[i]);
    free(expected);
    return found;
}
