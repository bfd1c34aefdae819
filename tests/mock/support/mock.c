/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/mock/support/mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/example_provider.h"

enum { CONFIGS_MAX = 256, TOPICS_MAX = 16 };

static rd_kafka_t *owner;
static rd_kafka_mock_cluster_t *cluster;
static kfe_config *configs[CONFIGS_MAX];
static size_t n_configs;
static char topics[TOPICS_MAX][32];
static unsigned n_topics;

int mock_start(void **state)
{
    (void)state;
    kfe_example_reset();
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it has no brokers of its own */
    owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    cluster = owner != NULL ? rd_kafka_mock_cluster_new(owner, 1) : NULL;
    return cluster != NULL ? 0 : -1;
}

int mock_stop(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
    while (n_configs > 0)
        kfe_config_free(configs[--n_configs]);
    return 0;
}

rd_kafka_mock_cluster_t *mock_cluster(void)
{
    return cluster;
}

const char *mock_brokers(void)
{
    return rd_kafka_mock_cluster_bootstraps(cluster);
}

const char *mock_topic(int partitions)
{
    char *name = topics[n_topics % TOPICS_MAX];
    snprintf(name, sizeof(topics[0]), "topic-%u", n_topics++);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, name, partitions, 1), 0);
    return name;
}

static void set(kfe_config *config, const char *name, const char *value)
{
    if (kfe_config_set(config, name, value))
        fail_msg("%s: %s", name, kfe_error_detail());
}

kfe_config *mock_config(const char *const *pairs)
{
    kfe_config *config = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    set(config, "encryption.keyprovider.class", EXAMPLE_PROVIDER ":kfe_example_provider");
    set(config, "encryption.keyprovider.example.keys", "orders,payments");
    set(config, "encryption.keymanager.class", "topic");
    set(config, "encryption.keymanager.default.key", "orders");
    for (; *pairs != NULL; pairs += 2)
        set(config, pairs[0], pairs[1]);
    assert_true(n_configs < CONFIGS_MAX);
    configs[n_configs++] = config;
    return config;
}

static void set_all(rd_kafka_conf_t *conf, const char *const *pairs)
{
    char errstr[256];
    for (; *pairs != NULL; pairs += 2) {
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], errstr, sizeof(errstr)))
            fail_msg("%s", errstr);
    }
}

rd_kafka_conf_t *mock_conf(const char *const *pairs)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set_all(conf, PAIRS("bootstrap.servers", mock_brokers(),
                        "topic.metadata.refresh.fast.interval.ms", "10"));
    set_all(conf, pairs);
    return conf;
}

kfe_producer *mock_producer(const kfe_config *config, rd_kafka_conf_t *conf)
{
    kfe_producer *producer = NULL;
    if (kfe_producer_new(&producer, conf != NULL ? conf : mock_conf(NO_PAIRS), config))
        fail_msg("producer: %s", kfe_error_detail());
    return producer;
}

static void assign(rd_kafka_t *rk, const char *topic, int partitions, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = offset;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

static rd_kafka_conf_t *consumer_conf(const char *const *pairs)
{
    rd_kafka_conf_t *conf =
        mock_conf(PAIRS("group.id", "tests", "auto.offset.reset", "earliest", "fetch.wait.max.ms",
                        "5", "enable.auto.commit", "false"));
    set_all(conf, pairs);
    return conf;
}

kfe_consumer *mock_consumer(const kfe_config *config, const char *const *pairs, const char *topic,
                            int partitions)
{
    kfe_consumer *consumer = NULL;
    if (kfe_consumer_new(&consumer, consumer_conf(pairs), config))
        fail_msg("consumer: %s", kfe_error_detail());
    assign(kfe_consumer_handle(consumer), topic, partitions, 0);
    return consumer;
}

void mock_finish(kfe_producer *producer)
{
    assert_int_equal(rd_kafka_flush(kfe_producer_handle(producer), WAIT_MS), 0);
    kfe_producer_free(producer);
}

void mock_await_ready(kfe_consumer *consumer, size_t n)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(kfe_consumer_handle(consumer));
    int settled = 0;
    for (int i = 0; rd_kafka_queue_length(queue) <= n && settled < 500 && i < WAIT_MS; i++) {
        settled = rd_kafka_queue_length(queue) == n ? settled + 1 : 0;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(rd_kafka_queue_length(queue) >= n);
    rd_kafka_queue_destroy(queue);
}

rd_kafka_message_t *mock_next(kfe_consumer *consumer)
{
    rd_kafka_message_t *message = kfe_consume(consumer, WAIT_MS);
    if (message == NULL)
        fail_msg("no message came");
    return message;
}

void mock_produce(const kfe_config *config, const char *topic, int32_t partition,
                  const char *const *texts)
{
    kfe_producer *producer = mock_producer(config, NULL);
    for (; *texts != NULL; texts++) {
        kfe_message message = {.topic = topic,
                               .partition = partition,
                               .msgflags = RD_KAFKA_MSG_F_COPY,
                               .payload = (void *)(uintptr_t)*texts,
                               .len = strlen(*texts)};
        if (kfe_produce(producer, &message))
            fail_msg("%s: %s", rd_kafka_err2str(message.err), kfe_error_detail());
    }
    mock_finish(producer);
}

void mock_expect(kfe_consumer *consumer, const char *value)
{
    rd_kafka_message_t *message = mock_next(consumer);
    if (message->err)
        fail_msg("expected '%s', got: %s", value, rd_kafka_message_errstr(message));
    assert_int_equal(message->len, strlen(value));
    assert_memory_equal(message->payload, value, message->len);
    assert_int_equal(kfe_message_error(message), KFE_OK);
    rd_kafka_message_destroy(message);
}

int64_t mock_expect_refused(kfe_consumer *consumer, kfe_error error)
{
    rd_kafka_message_t *message = mock_next(consumer);
    assert_int_equal(message->err, RD_KAFKA_RESP_ERR__VALUE_DESERIALIZATION);
    assert_int_equal(kfe_message_error(message), error);
    const char *text = rd_kafka_message_errstr(message), *name = kfe_error_name(error);
    assert_memory_equal(text, name, strlen(name));
    assert_null(message->key);
    rd_kafka_headers_t *headers = NULL;
    assert_true(rd_kafka_message_headers(message, &headers) || rd_kafka_header_cnt(headers) == 0);
    int64_t offset = message->offset;
    rd_kafka_message_destroy(message);
    return offset;
}

/* ---- Records as stored ------------------------------------------------------------ */

static void *copy(const void *bytes, size_t len)
{
    if (bytes == NULL)
        return NULL;
    void *block = malloc(len + 1);
    assert_non_null(block);
    memcpy(block, bytes, len);
    return block;
}

mock_record mock_read(const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, consumer_conf(NO_PAIRS), NULL, 0);
    assert_non_null(rk);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);

    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS);
    assert_non_null(message);
    assert_int_equal(message->err, 0);
    assert_int_equal(message->offset, offset);
    mock_record record = {.key = copy(message->key, message->key_len),
                          .value = copy(message->payload, message->len),
                          .key_len = message->key_len,
                          .len = message->len};
    rd_kafka_message_detach_headers(message, &record.headers);
    rd_kafka_message_destroy(message);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return record;
}

void mock_record_free(mock_record *record)
{
    free(record->key);
    free(record->value);
    if (record->headers != NULL)
        rd_kafka_headers_destroy(record->headers);
}

static void on_written(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    assert_int_equal(message->err, 0);
}

void mock_write(const char *topic, int32_t partition, const mock_record *record)
{
    rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
    rd_kafka_conf_set_dr_msg_cb(conf, on_written);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    assert_non_null(rk);
    rd_kafka_headers_t *headers =
        record->headers != NULL ? rd_kafka_headers_copy(record->headers) : NULL;
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_KEY(record->key, record->key_len),
                                       RD_KAFKA_V_VALUE(record->value, record->len),
                                       RD_KAFKA_V_HEADERS(headers),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
    rd_kafka_destroy(rk);
}

void mock_write_text(const char *topic, int32_t partition, const char *value)
{
    mock_record record = {.value = (void *)(uintptr_t)value, .len = strlen(value)};
    mock_write(topic, partition, &record);
}

void mock_forge(const char *topic, int32_t partition, int64_t offset)
{
    mock_record record = mock_read(topic, partition, offset);
    ((uint8_t *)record.value)[0] ^= 1;
    mock_write(topic, partition, &record);
    mock_record_free(&record);
}
