/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MOCK_SUPPORT_MOCK_H
#define TESTS_MOCK_SUPPORT_MOCK_H

/* librdkafka's mock cluster on loopback, and clients of it. Whatever cannot be made fails the
 * test. Keys are the example provider's: "orders" is the default, "payments" is there too. */

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <kfe/kafka.h>

/* Options: name, value, name, value, ... */
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_PAIRS ((const char *const[]){NULL})

enum { WAIT_MS = 20000 }; /* for what must come; longer is a failure */

/* Group setup and teardown for cmocka. */
int mock_start(void **state);
int mock_stop(void **state);
rd_kafka_mock_cluster_t *mock_cluster(void);
const char *mock_brokers(void);

/* A topic of its own for a test; the name is static until the next call but 15. */
const char *mock_topic(int partitions);

/* With the example provider, keys "orders" and "payments", KeyManager "topic" with the default key
 * "orders"; `pairs` on top. Freed by mock_stop(). */
kfe_config *mock_config(const char *const *pairs);
/* With bootstrap.servers, and eager to learn of new topics; `pairs` on top. */
rd_kafka_conf_t *mock_conf(const char *const *pairs);

/* `conf` NULL: mock_conf(NO_PAIRS). */
kfe_producer *mock_producer(const kfe_config *config, rd_kafka_conf_t *conf);
/* A consumer that is assigned partitions 0..n-1 of the topic from the beginning. Group "tests",
 * enable.auto.commit=false (closing is quick then); `pairs` on top. */
kfe_consumer *mock_consumer(const kfe_config *config, const char *const *pairs, const char *topic,
                            int partitions);
/* Flushes and frees. */
void mock_finish(kfe_producer *producer);

/* Produces the texts in order to one partition, sealed, and waits until they are there. */
void mock_produce(const kfe_config *config, const char *topic, int32_t partition,
                  const char *const *texts);

/* Waits until librdkafka has this many messages ready for a consumer of one partition that was not
 * polled yet, so that one batch gets them all. librdkafka 2 counts a mark of its own besides. */
void mock_await_ready(kfe_consumer *consumer, size_t n);

/* The next message, or a failure after WAIT_MS. */
rd_kafka_message_t *mock_next(kfe_consumer *consumer);
/* The same; it must be a record with this value. */
void mock_expect(kfe_consumer *consumer, const char *value);
/* The same; it must be a refused record. Tells its offset. */
int64_t mock_expect_refused(kfe_consumer *consumer, kfe_error error);

/* A record as the cluster holds it, in memory of its own. */
typedef struct {
    void *key, *value; /* NULL: null */
    size_t key_len, len;
    rd_kafka_headers_t *headers; /* NULL: none */
} mock_record;

/* Reads one by a plain librdkafka consumer. */
mock_record mock_read(const char *topic, int32_t partition, int64_t offset);
void mock_record_free(mock_record *record);
/* Writes one by a plain librdkafka producer and waits until it is there. */
void mock_write(const char *topic, int32_t partition, const mock_record *record);
void mock_write_text(const char *topic, int32_t partition, const char *value);
/* Writes the record again, with one bit of its value changed. */
void mock_forge(const char *topic, int32_t partition, int64_t offset);

#endif
