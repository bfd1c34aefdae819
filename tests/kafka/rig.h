/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KAFKA_RIG_H
#define TESTS_KAFKA_RIG_H

/* A real broker's other side: topics, producers and consumers of one engine configuration. The
 * broker is the one that KFE_BROKER names (tests/kafka/broker.sh); without it a test is skipped.
 */

#include <kfe/kafka.h>

#include "tests/support/kit.h"

/* Exit 77 without a broker. Makes the key file with keys `orders` and `tags`. */
void rig_init(void);
const char *rig_broker(void);

/* The configuration under test: name, value, ..., NULL on top of file keys and default key
 * `orders`. */
kfe_config *rig_config(const char *name, ...);

/* Creates a topic with a name of its own; `settings`: name, value, ..., NULL. Returns the name,
 * which lives until the next but 15 calls. */
const char *rig_topic(const char *name, int partitions, const char *const *settings);

/* librdkafka settings: name, value, ..., NULL. */
kfe_producer *rig_producer(const kfe_config *config, const char *const *settings);
kfe_consumer *rig_consumer(const kfe_config *config, const char *group, const char *topic,
                           const char *const *settings);

/* One record; the test fails when it is not taken. `value` NULL: a tombstone. */
void rig_produce(kfe_producer *producer, const char *topic, const char *key, const char *value);
/* Waits until everything is delivered. */
void rig_flush(kfe_producer *producer);
/* Delivery reports so far. */
unsigned rig_delivered(void);
unsigned rig_failed(void);

/* The next record, waiting half a minute at most; NULL then. Fails on an error message. */
rd_kafka_message_t *rig_next(kfe_consumer *consumer);
bool rig_is(const void *bytes, size_t len, const char *text);

/* The high watermark of a partition. */
int64_t rig_end(rd_kafka_t *rk, const char *topic, int32_t partition);

#endif
