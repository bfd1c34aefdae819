/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/partitioner.h"

#include <string.h>

#include "kafka/clock.h"

typedef struct {
    const char *name;
    kfe_partitioner_fn *choose;
    bool hashes_null;
} named;

static const named all[] = {
    {"random", rd_kafka_msg_partitioner_random, false},
    {"consistent", rd_kafka_msg_partitioner_consistent, true},
    {"consistent_random", rd_kafka_msg_partitioner_consistent_random, false},
    {"murmur2", rd_kafka_msg_partitioner_murmur2, true},
    {"murmur2_random", rd_kafka_msg_partitioner_murmur2_random, false},
    {"fnv1a", rd_kafka_msg_partitioner_fnv1a, true},
    {"fnv1a_random", rd_kafka_msg_partitioner_fnv1a_random, false},
};

static const named *find(const char *name)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    }
    return NULL;
}

bool kfe_partitioner_hashes_null(kfe_partitioner_fn *callback, const char *name)
{
    for (size_t i = 0; callback != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].choose == callback)
            return all[i].hashes_null;
    }
    const named *found = callback == NULL ? find(name) : NULL;
    return found != NULL && found->hashes_null;
}

kfe_error kfe_partitioner_init(kfe_partitioner *out, kfe_partitioner_fn *callback, const char *name)
{
    memset(out, 0, sizeof(*out));
    const named *found = find(name);
    if (callback == NULL && found == NULL)
        return kfe_fail(KFE_E_CONFIG, "partitioner '%s' is none that kfe knows", name);
    out->choose = callback != NULL ? callback : found->choose;
    pthread_mutex_init(&out->lock, NULL);
    return KFE_OK;
}

void kfe_partitioner_set_linger(kfe_partitioner *partitioner, int linger_ms)
{
    if (partitioner->choose == rd_kafka_msg_partitioner_consistent_random)
        partitioner->linger_ms = linger_ms;
}

void kfe_partitioner_wipe(kfe_partitioner *partitioner)
{
    pthread_mutex_destroy(&partitioner->lock);
}

/* librdkafka treats an empty key like a null one under consistent_random, but recognises that
 * partitioner by its address, which ours hides. Null keys still get librdkafka's own sticky
 * partition. Two topics that share a slot only lose some batching. */
static int32_t stick(kfe_partitioner *p, const rd_kafka_topic_t *topic, int32_t count)
{
    int64_t now = kfe_clock_ms();
    kfe_sticky *slot = &p->sticky[((uintptr_t)topic >> 6) % KFE_STICKY_SLOTS];

    pthread_mutex_lock(&p->lock);
    if (slot->topic != topic || now >= slot->until_ms || slot->partition >= count ||
        !rd_kafka_topic_partition_available(topic, slot->partition)) {
        slot->topic = topic;
        slot->until_ms = now + p->linger_ms;
        slot->partition = rd_kafka_msg_partitioner_random(topic, NULL, 0, count, NULL, NULL);
    }
    int32_t partition = slot->partition;
    pthread_mutex_unlock(&p->lock);
    return partition;
}

int32_t kfe_partitioner_run(kfe_partitioner *partitioner, const rd_kafka_topic_t *topic,
                            kfe_bytes key, int32_t count, void *topic_opaque, void *opaque)
{
    if (partitioner->linger_ms > 0 && key.len == 0)
        return stick(partitioner, topic, count);
    return partitioner->choose(topic, key.data, key.len, count, topic_opaque, opaque);
}
