/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/work.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 32 * 1024, KEPT_MAX = 4 << 20, KEPT_SESSIONS = 64 };

kfe_work *kfe_work_new(void)
{
    return calloc(1, sizeof(kfe_work));
}

static void free_batch(kfe_work *w)
{
    free(w->ops);
    free(w->nonce);
    free(w->failed);
    w->ops = NULL;
    w->nonce = NULL;
    w->failed = NULL;
    w->room = 0;
}

static void free_chunks(kfe_chunk **chunks)
{
    while (*chunks != NULL) {
        kfe_chunk *chunk = *chunks;
        *chunks = chunk->next;
        kfe_wipe(chunk->bytes, chunk->used);
        free(chunk);
    }
}

void kfe_work_free(kfe_work *work)
{
    if (work == NULL)
        return;
    free_chunks(&work->call);
    free_chunks(&work->kept);
    free_batch(work);
    free(work->prefixes); /* wiped after each call */
    free(work->in_use);
    free(work);
}

/* Several chunks mean that one was too small: the next call gets one of their sum. What a huge
 * record took is not kept. */
static void reset_chunks(kfe_chunk **chunks)
{
    if (*chunks == NULL)
        return;
    if ((*chunks)->next == NULL && (*chunks)->size <= KEPT_MAX) {
        kfe_wipe((*chunks)->bytes, (*chunks)->used);
        (*chunks)->used = 0;
        return;
    }
    size_t size = 0;
    for (kfe_chunk *chunk = *chunks; chunk != NULL; chunk = chunk->next)
        size += chunk->size;
    free_chunks(chunks);
    if (size > KEPT_MAX)
        return;
    *chunks = malloc(sizeof(kfe_chunk) + size);
    if (*chunks != NULL)
        **chunks = (kfe_chunk){NULL, size, 0};
}

static void *take(kfe_chunk **chunks, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    kfe_chunk *chunk = *chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        chunk = malloc(sizeof(*chunk) + room);
        if (chunk == NULL)
            return NULL;
        *chunk = (kfe_chunk){*chunks, room, 0};
        *chunks = chunk;
    }
    void *taken = chunk->bytes + chunk->used;
    chunk->used += size;
    return memset(taken, 0, size);
}

void *kfe_work_take(kfe_work *work, size_t size)
{
    return take(&work->call, size);
}

void *kfe_work_keep(kfe_work *work, size_t size)
{
    return take(&work->kept, size);
}

void kfe_work_forget(kfe_work *work, const kfe_state *state)
{
    /* A parent's sessions are left alone: their lock may be held by nobody who lives here. */
    for (size_t i = 0; work->state == state && i < work->n_in_use; i++)
        if (work->in_use[i].session != NULL)
            kfe_session_put(work->state, work->in_use[i].session);
    work->n_in_use = 0;
    work->plans = NULL;
    work->n_plans = 0;
    reset_chunks(&work->kept);
    work->spoilt = false;
    work->state = NULL;
}

/* True while a look at the shared state would find these very sessions, and have nothing to do. */
static bool fresh(const kfe_work *work, const kfe_state *state)
{
    if (work->state != state || work->epoch != atomic_load(&state->epoch) ||
        kfe_now_ms() >= work->until)
        return false;
    for (size_t i = 0; i < work->n_in_use; i++) {
        const kfe_counter *counter = work->in_use[i].session->counter;
        if (counter != NULL &&
            kfe_counter_past(counter, state->settings->max_fields, state->settings->max_bytes))
            return false;
    }
    return true;
}

void kfe_work_begin(kfe_work *work, kfe_state *state)
{
    if (work->state != NULL && fresh(work, state))
        return;
    kfe_work_forget(work, state);
    work->state = state;
    work->epoch = atomic_load(&state->epoch);
    work->until = kfe_now_ms() + KFE_KEPT_MS;
}

/* Plans that are too many to be found again would only be walked past by each call to come. */
static bool worth_keeping(const kfe_work *work)
{
    return !work->spoilt && work->n_in_use <= KEPT_SESSIONS && work->n_plans <= KFE_PLANS_BACK &&
           work->kept != NULL && work->kept->next == NULL;
}

void kfe_work_end(kfe_work *work)
{
    for (size_t i = 0; i < work->n_in_use; i++) {
        work->in_use[i].use = (kfe_use){0, 0, 0};
        work->in_use[i].error = KFE_OK;
    }
    work->n = 0;
    memset(work->class_at, 0, work->class_end * sizeof(*work->class_at));
    work->class_end = 0;
    work->first = KFE_OK;
    if (work->n_prefixes > 0)
        kfe_wipe(work->prefixes, work->n_prefixes * sizeof(*work->prefixes));
    work->n_prefixes = 0;
    reset_chunks(&work->call);
    if (!worth_keeping(work))
        kfe_work_forget(work, work->state);
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
    free_batch(w);
    n = (n + 63) & ~(size_t)63;
    w->ops = aligned_alloc(64, n * sizeof(*w->ops));
    w->nonce = aligned_alloc(64, n * sizeof(*w->nonce));
    w->failed = calloc(n / 64, sizeof(*w->failed));
    if (w->ops == NULL || w->nonce == NULL || w->failed == NULL) {
        free_batch(w);
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    }
    w->room = n;
    return KFE_OK;
}

kfe_error kfe_work_room(kfe_work *w, size_t messages, size_t prefixes)
{
    kfe_error err = messages > w->room ? make_room(w, messages) : KFE_OK;
    if (!err && prefixes > w->prefix_room) {
        free(w->prefixes);
        w->prefix_room = 0;
        w->prefixes = malloc(prefixes * sizeof(*w->prefixes));
        if (w->prefixes == NULL)
            return kfe_fail(KFE_E_MEMORY, "out of memory");
        w->prefix_room = prefixes;
    }
    w->n_prefixes = err ? 0 : prefixes;
    return err;
}

void kfe_work_arrange(kfe_work *work)
{
    uint32_t at = 0;
    for (unsigned class = 0; class < work->class_end; class ++) {
        uint32_t count = work->class_at[class];
        work->class_at[class] = at;
        at += count;
    }
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
