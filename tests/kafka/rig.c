/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kafka/rig.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *broker, *keystore;
static atomic_uint delivered, failed;

void rig_init(void)
{
    broker = getenv("KFE_BROKER");
    if (broker == NULL) {
        printf("skipped: no KFE_BROKER (run by tests/kafka/broker.sh)\n");
        exit(77);
    }
    const kit_key keys[] = {{"orders", 1, {1}, NULL}, {"tags", 1, {2}, NULL}};
    keystore = kit_keystore("keys.json", keys, 2);
}

const char *rig_broker(void)
{
    return broker;
}

kfe_config *rig_config(const char *name, ...)
{
    kfe_config *config =
        kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                   keystore, "encryption.keymanager.class", "topic",
                   "encryption.keymanager.default.key", "orders", NULL);
    va_list args;
    va_start(args, name);
    kit_set_list(config, name, args);
    va_end(args);
    return config;
}

static rd_kafka_conf_t *conf_new(const char *const *settings)
{
    char errstr[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const common[] = {"bootstrap.servers", broker, NULL};
    for (const char *const *s = common; *s != NULL; s += 2)
        assert_int_equal(rd_kafka_conf_set(conf, s[0], s[1], errstr, sizeof(errstr)), 0);
    for (const char *const *s = settings; s != NULL && *s != NULL; s += 2)
        if (rd_kafka_conf_set(conf, s[0], s[1], errstr, sizeof(errstr)) != RD_KAFKA_CONF_OK)
            fail_msg("%s: %s", s[0], errstr);
    return conf;
}

static void create(rd_kafka_t *rk, rd_kafka_NewTopic_t *topic)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), 0);
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    assert_int_equal(n, 1);
    if (rd_kafka_topic_result_error(results[0]) != 0)
        fail_msg("create topic: %s", rd_kafka_topic_result_error_string(results[0]));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
}

const char *rig_topic(const char *name, int partitions, const char *const *settings)
{
    static char names[16][64];
    static unsigned used;
    char errstr[256], *full = names[used++ % 16];
    snprintf(full, sizeof(names[0]), "%s-%d-%u", name, (int)getpid(), used);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf_new(NULL), errstr, sizeof(errstr));
    assert_non_null(rk);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(full, partitions, 1, errstr, sizeof(errstr));
    for (const char *const *s = settings; s != NULL && *s != NULL; s += 2)
        rd_kafka_NewTopic_set_config(topic, s[0], s[1]);
    create(rk, topic);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_destroy(rk);
    return full;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    atomic_fetch_add(message->err ? &failed : &delivered, 1);
}

unsigned rig_delivered(void)
{
    return atomic_load(&delivered);
}

unsigned rig_failed(void)
{
    return atomic_load(&failed);
}

kfe_producer *rig_producer(const kfe_config *config, const char *const *settings)
{
    rd_kafka_conf_t *conf = conf_new(settings);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    kfe_producer *producer = NULL;
    if (kfe_producer_new(&producer, conf, config) != KFE_OK)
        fail_msg("kfe_producer_new: %s", kfe_error_detail());
    atomic_store(&delivered, 0);
    atomic_store(&failed, 0);
    return producer;
}

kfe_consumer *rig_consumer(const kfe_config *config, const char *group, const char *topic,
                           const char *const *settings)
{
    rd_kafka_conf_t *conf = conf_new(settings);
    char errstr[256];
    rd_kafka_conf_set(conf, "group.id", group, errstr, sizeof(errstr));
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", errstr, sizeof(errstr));
    kfe_consumer *consumer = NULL;
    if (kfe_consumer_new(&consumer, conf, config) != KFE_OK)
        fail_msg("kfe_consumer_new: %s", kfe_error_detail());
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    assert_int_equal(rd_kafka_subscribe(kfe_consumer_handle(consumer), list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

void rig_produce(kfe_producer *producer, const char *topic, const char *key, const char *value)
{
    kfe_message m = {.topic = topic,
                     .partition = RD_KAFKA_PARTITION_UA,
                     .msgflags = RD_KAFKA_MSG_F_COPY,
                     .payload = (void *)(uintptr_t)value,
                     .len = value != NULL ? strlen(value) : 0,
                     .key = key,
                     .key_len = key != NULL ? strlen(key) : 0};
    while (kfe_produce(producer, &m) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        kfe_producer_poll(producer, 100);
    if (m.err)
        fail_msg("produce: %s: %s", rd_kafka_err2str(m.err), kfe_error_detail());
    kfe_producer_poll(producer, 0);
}

void rig_flush(kfe_producer *producer)
{
    assert_int_equal(rd_kafka_flush(kfe_producer_handle(producer), 60000), 0);
}

rd_kafka_message_t *rig_next(kfe_consumer *consumer)
{
    for (int i = 0; i < 300; i++) {
        rd_kafka_message_t *m = kfe_consume(consumer, 100);
        if (m == NULL)
            continue;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return m;
        if (m->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            fail_msg("consume: %s", rd_kafka_message_errstr(m));
        rd_kafka_message_destroy(m);
    }
    return NULL;
}

bool rig_is(const void *bytes, size_t len, const char *text)
{
    if (text == NULL || bytes == NULL)
        return text == NULL && bytes == NULL;
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

int64_t rig_end(rd_kafka_t *rk, const char *topic, int32_t partition)
{
    int64_t low = 0, high = 0;
    assert_int_equal(rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, 30000), 0);
    return high;
}
