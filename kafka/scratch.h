/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_SCRATCH_H
#define KFE_KAFKA_SCRATCH_H

/* Working memory of one kfe_seal() or kfe_open() call. It keeps its size between calls, so that
 * a steady stream allocates nothing. No memory is given back unwiped. */

#include <pthread.h>
#include <stdbool.h>

#include <kfe/record.h>

typedef struct kfe_scratch {
    struct kfe_scratch *next;
    kfe_record *records;
    kfe_header *headers;
    uint8_t *space;
    size_t n_records, n_headers, n_space; /* capacities */
} kfe_scratch;

/* Room for at least so many. KFE_E_MEMORY: it is as before. Contents do not survive. */
kfe_error kfe_scratch_arrays(kfe_scratch *scratch, size_t n_records, size_t n_headers);
kfe_error kfe_scratch_space(kfe_scratch *scratch, size_t n_space);
/* Sets the error of each of the first n records. */
void kfe_scratch_refuse(kfe_scratch *scratch, size_t n, kfe_error error);
/* Wipes of the space what the record's key has there: a deterministic key that was opened. */
/* True when it is not worth keeping. */
bool kfe_scratch_is_large(const kfe_scratch *scratch);
void kfe_scratch_wipe_key(kfe_scratch *scratch, const kfe_record *record);
void kfe_scratch_wipe(kfe_scratch *scratch); /* zeroed memory is a valid scratch */

/* Scratches that wait for the next thread. */
typedef struct {
    pthread_mutex_t lock;
    kfe_scratch *first;
} kfe_scratch_pool;

void kfe_scratch_pool_init(kfe_scratch_pool *pool);
void kfe_scratch_pool_wipe(kfe_scratch_pool *pool);
kfe_scratch *kfe_scratch_take(kfe_scratch_pool *pool); /* NULL: out of memory */
/* Very large ones are freed instead of kept. NULL is fine. */
void kfe_scratch_give(kfe_scratch_pool *pool, kfe_scratch *scratch);

#endif
