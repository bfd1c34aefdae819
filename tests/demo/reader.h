/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_DEMO_READER_H
#define KFE_DEMO_READER_H

/* A thread that consumes a topic while it is produced: counts the records and sums up their
 * hashes. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <kfe/kafka.h>

typedef struct {
    /* Set before the start. */
    kfe_consumer *sealed; /* or, without encryption: */
    rd_kafka_t *plain;
    uint64_t expected;
    /* Valid after the join. */
    uint64_t count, hash, refused;
    char why[256]; /* the first refusal or error */
    pthread_t thread;
} demo_reader;

/* Assigns all partitions and starts the thread, which ends when `expected` records have come,
 * at the first error, or when nothing has come for 15 s. */
bool demo_reader_start(demo_reader *reader, const char *topic, int partitions);
void demo_reader_join(demo_reader *reader);

#endif
