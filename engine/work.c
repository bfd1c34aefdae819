/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/work.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 32 * 1024, KEPT_MAX = 4 << 20 };

kfe_work *kfe_work_new(void)
{
    return calloc(1, sizeof(kfe_work));
}

static void free_batch(kfe_work *w)
{
    free(w->ops);
    free(w->nonce);
    free(w->record);
    free(w->failed);
    w->ops = NULL;
    w->nonce = NULL;
    w->record = NULL;
    w->failed = NULL;
    w->room = 0;
}

static void free_chunks(kfe_work *work)
{
    while (work->chunks != NULL) {
        kfe_chunk *chunk = work->chunks;
        work->chunks = chunk->next;
        kfe_wipe(chunk->bytes, chunk->used);
        free(chunk);
    }
}

void kfe_work_free(kfe_work *work)
{
    if (work == NULL)
        return;
    free_chunks(work);
    free_batch(work);
    free(work->in_use);
    free(work);
}

/* Several chunks mean that one was too small: the next call gets one of their sum. What a huge
 * record took is not kept. */
static void reset_chunks(kfe_work *work)
{
    if (work->chunks == NULL)
        return;
    if (work->chunks->next == NULL && work->chunks->size <= KEPT_MAX) {
        kfe_wipe(work->chunks->bytes, work->chunks->used);
        work->chunks->used = 0;
        return;
    }
    size_t size = 0;
    for (kfe_chunk *chunk = work->chunks; chunk != NULL; chunk = chunk->next)
        size += chunk->size;
    free_chunks(work);
    if (size > KEPT_MAX)
        return;
    work->chunks = malloc(sizeof(kfe_chunk) + size);
    if (work->chunks != NULL)
        *work->chunks = (kfe_chunk){NULL, size, 0};
}

void kfe_work_reset(kfe_work *work, kfe_state *state)
{
    for (size_t i = 0; i < work->n_in_use; i++)
        if (work->in_use[i].session != NULL)
            kfe_session_put(state, work->in_use[i].session);
    work->n_in_use = 0;
    work->n = 0;
    memset(work->class_at, 0, work->class_end * sizeof(*work->class_at));
    work->class_end = 0;
    work->first = KFE_OK;
    reset_chunks(work);
}

void *kfe_work_take(kfe_work *work, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    kfe_chunk *chunk = work->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        chunk = malloc(sizeof(*chunk) + room);
        if (chunk == NULL)
            return NULL;
        *chunk = (kfe_chunk){work->chunks, room, 0};
        work->chunks = chunk;
    }
    void *taken = chunk->bytes + chunk->used;
    chunk->used += size;
    return memset(taken, 0, size);
}

kfe_in_use *kfe_work_session(kfe_work *work)
{
    if (work->n_in_use == work->in_use_room) {
        size_t room = work->in_use_room * 2 + 8;
        kfe_in_use *more = realloc(work->in_use, room * sizeof(*more));
        if (more == NULL)
            return NULL;
        work->in_use = more;
        work->in_use_room = room;
    }
    return memset(&work->in_use[work->n_in_use++], 0, sizeof(kfe_in_use));
}

void kfe_work_announce(kfe_work *work, uint16_t ordinal, size_t n)
{
    unsigned class = kfe_work_class(ordinal);
    work->class_at[class] += (uint32_t)n;
    work->n += n;
    if (class >= work->class_end)
        work->class_end = class + 1;
}

static kfe_error make_room(kfe_work *w, size_t n)
{
    if (n <= w->room)
        return KFE_OK;
    free_batch(w);
    n = (n + 63) & ~(size_t)63;
    w->ops = aligned_alloc(64, n * sizeof(*w->ops));
    w->nonce = aligned_alloc(64, n * sizeof(*w->nonce));
    w->record = calloc(n, sizeof(*w->record));
    w->failed = calloc(n / 64, sizeof(*w->failed));
    if (w->ops == NULL || w->nonce == NULL || w->record == NULL || w->failed == NULL) {
        free_batch(w);
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    }
    w->room = n;
    return KFE_OK;
}

kfe_error kfe_work_arrange(kfe_work *work)
{
    kfe_error err = make_room(work, work->n);
    uint32_t at = 0;
    for (unsigned class = 0; !err && class < work->class_end; class ++) {
        uint32_t count = work->class_at[class];
        work->class_at[class] = at;
        at += count;
    }
    return err;
}

size_t kfe_work_places(kfe_work *work, uint16_t ordinal, size_t n)
{
    unsigned class = kfe_work_class(ordinal);
    size_t at = work->class_at[class];
    work->class_at[class] += (uint32_t)n;
    return at;
}

kfe_error kfe_work_fail(kfe_work *work, kfe_record *out, kfe_error error)
{
    out->error = error;
    if (work->first == KFE_OK) {
        work->first = error;
        strncpy(work->detail, kfe_error_detail(), sizeof(work->detail) - 1);
    }
    return error;
}
