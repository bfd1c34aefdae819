/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_BLOCK_H
#define KFE_KAFKA_BLOCK_H

/* What is remembered of a record while librdkafka holds its sealed form: one piece of memory,
 * the message's opaque. Plaintext in it is wiped when it goes.
 *
 * A ledger knows every block that is out, so that those of messages which librdkafka drops
 * without a word (rd_kafka_destroy() before all is delivered) are found again. */

#include <pthread.h>

#include <kfe/kafka.h>

typedef struct kfe_block kfe_block;

enum { KFE_LEDGER_SHARDS = 16 };

typedef struct {
    struct {
        pthread_mutex_t lock;
        kfe_block *first;
    } shard[KFE_LEDGER_SHARDS];
} kfe_ledger;

void kfe_ledger_init(kfe_ledger *ledger);
/* Frees every block that is still out, and what it owns of the application's. */
void kfe_ledger_wipe(kfe_ledger *ledger);

struct kfe_block {
    kfe_block *next, *previous;
    kfe_ledger *ledger;
    kfe_producer *producer;
    void *opaque;  /* the application's */
    kfe_bytes key; /* plaintext copy */
    void *payload; /* what a delivery report shows: the application's own, or a copy */
    size_t len;
    bool frees_payload; /* RD_KAFKA_MSG_F_FREE */
    rd_kafka_headers_t *headers;
    size_t n_copies; /* bytes behind this struct */
};

/* Remembers `message`; `reported`: also what its delivery report has to show, which is owned from
 * here on (RD_KAFKA_MSG_F_FREE's payload and the headers). NULL: out of memory. */
kfe_block *kfe_block_new(kfe_ledger *ledger, kfe_producer *producer, const kfe_message *message,
                         bool reported);
/* Frees it and what it owns. */
void kfe_block_free(kfe_block *block);
/* Frees it, and leaves payload and headers to the application: the message was not taken. */
void kfe_block_discard(kfe_block *block);

#endif
