/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/scratch.h"

#include <stdlib.h>
#include <string.h>

#include <kfe/config.h>

enum {
    KEEP_MAX = 16 << 20,     /* bytes of space that a waiting scratch may hold */
    KEEP_HEADERS = 64 * 1024 /* and headers */
};

static void release(void *block, size_t n)
{
    if (block != NULL)
        kfe_wipe(block, n);
    free(block);
}

static kfe_error grow(void **block, size_t *have, size_t want, size_t size)
{
    if (want <= *have)
        return KFE_OK;
    size_t count = want > 2 * *have ? want : 2 * *have;
    void *larger = count > SIZE_MAX / size ? NULL : malloc(count * size);
    if (larger == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a batch of records");
    release(*block, *have * size);
    *block = larger;
    *have = count;
    return KFE_OK;
}

kfe_error kfe_scratch_arrays(kfe_scratch *scratch, size_t n_records, size_t n_headers)
{
    kfe_error err =
        grow((void **)&scratch->records, &scratch->n_records, n_records, sizeof(*scratch->records));
    if (err)
        return err;
    return grow((void **)&scratch->headers, &scratch->n_headers, n_headers,
                sizeof(*scratch->headers));
}

kfe_error kfe_scratch_space(kfe_scratch *scratch, size_t n_space)
{
    return grow((void **)&scratch->space, &scratch->n_space, n_space, 1);
}

void kfe_scratch_refuse(kfe_scratch *scratch, size_t n, kfe_error error)
{
    for (size_t i = 0; i < n; i++)
        scratch->records[i].error = error;
}

void kfe_scratch_wipe_key(kfe_scratch *scratch, const kfe_record *record)
{
    size_t at = (uintptr_t)record->key.data - (uintptr_t)scratch->space;
    if (record->key.data != NULL && at < scratch->n_space)
        kfe_wipe(scratch->space + at, record->key.len);
}

void kfe_scratch_wipe(kfe_scratch *scratch)
{
    release(scratch->records, scratch->n_records * sizeof(*scratch->records));
    release(scratch->headers, scratch->n_headers * sizeof(*scratch->headers));
    release(scratch->space, scratch->n_space);
    memset(scratch, 0, sizeof(*scratch));
}

bool kfe_scratch_is_large(const kfe_scratch *scratch)
{
    return scratch->n_space > KEEP_MAX || scratch->n_headers > KEEP_HEADERS;
}

void kfe_scratch_pool_init(kfe_scratch_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pool->first = NULL;
}

void kfe_scratch_pool_wipe(kfe_scratch_pool *pool)
{
    while (pool->first != NULL) {
        kfe_scratch *scratch = pool->first;
        pool->first = scratch->next;
        kfe_scratch_wipe(scratch);
        free(scratch);
    }
    pthread_mutex_destroy(&pool->lock);
}

kfe_scratch *kfe_scratch_take(kfe_scratch_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    kfe_scratch *scratch = pool->first;
    if (scratch != NULL)
        pool->first = scratch->next;
    pthread_mutex_unlock(&pool->lock);
    return scratch != NULL ? scratch : calloc(1, sizeof(*scratch));
}

void kfe_scratch_give(kfe_scratch_pool *pool, kfe_scratch *scratch)
{
    if (scratch == NULL)
        return;
    if (kfe_scratch_is_large(scratch)) {
        kfe_scratch_wipe(scratch);
        free(scratch);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    scratch->next = pool->first;
    pool->first = scratch;
    pthread_mutex_unlock(&pool->lock);
}
