/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/block.h"

#include <stdlib.h>
#include <string.h>

void kfe_ledger_init(kfe_ledger *ledger)
{
    for (int i = 0; i < KFE_LEDGER_SHARDS; i++) {
        pthread_mutex_init(&ledger->shard[i].lock, NULL);
        ledger->shard[i].first = NULL;
    }
}

void kfe_ledger_wipe(kfe_ledger *ledger)
{
    for (int i = 0; i < KFE_LEDGER_SHARDS; i++) {
        while (ledger->shard[i].first != NULL)
            kfe_block_free(ledger->shard[i].first);
        pthread_mutex_destroy(&ledger->shard[i].lock);
    }
}

/* Producing threads and the thread that serves delivery reports seldom meet in one shard. */
static unsigned shard_of(const kfe_block *block)
{
    return (unsigned)(((uintptr_t)block >> 6) % KFE_LEDGER_SHARDS);
}

static void enter(kfe_block *block)
{
    unsigned i = shard_of(block);
    kfe_ledger *ledger = block->ledger;
    pthread_mutex_lock(&ledger->shard[i].lock);
    block->next = ledger->shard[i].first;
    if (block->next != NULL)
        block->next->previous = block;
    ledger->shard[i].first = block;
    pthread_mutex_unlock(&ledger->shard[i].lock);
}

static void leave(kfe_block *block)
{
    unsigned i = shard_of(block);
    kfe_ledger *ledger = block->ledger;
    pthread_mutex_lock(&ledger->shard[i].lock);
    if (block->next != NULL)
        block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        ledger->shard[i].first = block->next;
    pthread_mutex_unlock(&ledger->shard[i].lock);
}

/* Copies keep null and empty apart: an empty one still gets an address. */
static uint8_t *copy(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at;
}

kfe_block *kfe_block_new(kfe_ledger *ledger, kfe_producer *producer, const kfe_message *message,
                         bool reported)
{
    size_t n_key = message->key != NULL ? message->key_len : 0;
    bool copies_value =
        reported && message->payload != NULL && (message->msgflags & RD_KAFKA_MSG_F_COPY) != 0;
    size_t n_copies = n_key + (copies_value ? message->len : 0);
    kfe_block *block = malloc(sizeof(*block) + n_copies + 1);
    if (block == NULL)
        return NULL;

    memset(block, 0, sizeof(*block));
    block->ledger = ledger;
    block->producer = producer;
    block->opaque = message->opaque;
    block->n_copies = n_copies;
    uint8_t *at = (uint8_t *)(block + 1);
    if (message->key != NULL)
        block->key = (kfe_bytes){copy(at, message->key, n_key), n_key};
    if (reported) {
        block->payload =
            copies_value ? copy(at + n_key, message->payload, message->len) : message->payload;
        block->len = message->payload != NULL ? message->len : 0;
        block->frees_payload = !copies_value && (message->msgflags & RD_KAFKA_MSG_F_FREE) != 0;
        block->headers = message->headers;
    }
    enter(block);
    return block;
}

void kfe_block_discard(kfe_block *block)
{
    leave(block);
    kfe_wipe(block + 1, block->n_copies);
    free(block);
}

void kfe_block_free(kfe_block *block)
{
    if (block->frees_payload)
        free(block->payload);
    if (block->headers != NULL)
        rd_kafka_headers_destroy(block->headers);
    kfe_block_discard(block);
}
