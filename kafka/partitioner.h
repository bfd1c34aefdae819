/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_PARTITIONER_H
#define KFE_KAFKA_PARTITIONER_H

/* The application's partitioner, run on the plaintext key. librdkafka calls a partitioner with
 * the key it holds, which is sealed; and late, when the topic's metadata has arrived. */

#include <pthread.h>
#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include <kfe/record.h>

typedef int32_t kfe_partitioner_fn(const rd_kafka_topic_t *topic, const void *key, size_t len,
                                   int32_t count, void *topic_opaque, void *opaque);

enum { KFE_STICKY_SLOTS = 64 };

typedef struct {
    const rd_kafka_topic_t *topic;
    int32_t partition;
    int64_t until_ms;
} kfe_sticky;

typedef struct {
    kfe_partitioner_fn *choose; /* librdkafka's public one, or the application's */
    int linger_ms;              /* of the sticky partition for empty keys; 0: not sticky */
    pthread_mutex_t lock;
    kfe_sticky sticky[KFE_STICKY_SLOTS];
} kfe_partitioner;

/* `callback`: the application's own, or NULL: the one called `name`. KFE_E_CONFIG: unknown name. */
kfe_error kfe_partitioner_init(kfe_partitioner *out, kfe_partitioner_fn *callback,
                               const char *name);
/* sticky.partitioning.linger.ms, before the first run; 0 until then. */
void kfe_partitioner_set_linger(kfe_partitioner *partitioner, int linger_ms);
void kfe_partitioner_wipe(kfe_partitioner *partitioner);

/* True for consistent, murmur2 and fnv1a, by name or as the callback: a null key is hashed, never
 * sticky or random. */
bool kfe_partitioner_hashes_null(kfe_partitioner_fn *callback, const char *name);

/* To be called within a librdkafka partitioner callback, with what that was given. Thread-safe. */
int32_t kfe_partitioner_run(kfe_partitioner *partitioner, const rd_kafka_topic_t *topic,
                            kfe_bytes key, int32_t count, void *topic_opaque, void *opaque);

#endif
