/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/conf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/resp.h"

/* False when the option is not set, or unknown to this librdkafka. */
static bool read_text(const rd_kafka_conf_t *conf, const char *name, char *out, size_t cap)
{
    size_t len = cap;
    out[0] = '\0';
    return rd_kafka_conf_get(conf, name, out, &len) == RD_KAFKA_CONF_OK && out[0] != '\0';
}

static uintptr_t read_pointer(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32];
    void *pointer = NULL;
    if (!read_text(conf, name, text, sizeof(text)) || sscanf(text, "%p", &pointer) != 1)
        return 0;
    return (uintptr_t)pointer;
}

static bool read_flag(const rd_kafka_conf_t *conf, const char *name)
{
    char text[8];
    return read_text(conf, name, text, sizeof(text)) && strcmp(text, "true") == 0;
}

/* Topic objects can be made with the default topic conf only, so there are two places. */
static bool compresses(rd_kafka_conf_t *conf)
{
    char codec[32];
    if (read_text(conf, "compression.codec", codec, sizeof(codec)) && strcmp(codec, "none") != 0)
        return true;
    rd_kafka_topic_conf_t *topic = rd_kafka_conf_get_default_topic_conf(conf);
    size_t len = sizeof(codec);
    return topic != NULL &&
           rd_kafka_topic_conf_get(topic, "compression.codec", codec, &len) == RD_KAFKA_CONF_OK &&
           strcmp(codec, "none") != 0 && strcmp(codec, "inherit") != 0;
}

kfe_error kfe_conf_producer_read(rd_kafka_conf_t *conf, bool allow_compression,
                                 kfe_conf_producer *out)
{
    memset(out, 0, sizeof(*out));
    if (read_pointer(conf, "dr_cb") != 0)
        return kfe_fail(KFE_E_CONFIG, "the old dr_cb is set: use dr_msg_cb");
    char events[16];
    if (read_text(conf, "enabled_events", events, sizeof(events)) &&
        (strtol(events, NULL, 10) & RD_KAFKA_EVENT_DR) != 0)
        return kfe_fail(KFE_E_CONFIG, "delivery reports as events are set: use dr_msg_cb");
    if (!allow_compression && compresses(conf))
        return kfe_fail(KFE_E_CONFIG,
                        "compression lets lengths tell of content: set "
                        "compression.type=none, or encryption.allow.compression=true");

    out->delivery = (kfe_delivery_fn *)read_pointer(conf, "dr_msg_cb");
    out->only_error = read_flag(conf, "delivery.report.only.error");
    out->partitioner_cb = (kfe_partitioner_fn *)read_pointer(conf, "partitioner_cb");
    if (!read_text(conf, "partitioner", out->partitioner, sizeof(out->partitioner)))
        strncpy(out->partitioner, "consistent_random", sizeof(out->partitioner) - 1);
    if (kfe_partitioner_hashes_null(out->partitioner_cb, out->partitioner))
        read_text(conf, "sticky.partitioning.linger.ms", out->linger, sizeof(out->linger));
    return KFE_OK;
}

static kfe_error install_partitioner(rd_kafka_conf_t *conf, kfe_partitioner_fn *partitioner)
{
    rd_kafka_topic_conf_t *topic = rd_kafka_conf_get_default_topic_conf(conf);
    if (topic == NULL) {
        topic = rd_kafka_topic_conf_new();
        if (topic == NULL)
            return kfe_fail(KFE_E_MEMORY, "no memory for a topic configuration");
        rd_kafka_conf_set_default_topic_conf(conf, topic);
    }
    rd_kafka_topic_conf_set_partitioner_cb(topic, partitioner);
    return KFE_OK;
}

/* librdkafka sends null keys to the sticky partition unless its own consistent, murmur2 or fnv1a
 * is the partitioner, which it knows by address. Behind our callback only a linger of 0 keeps
 * these three hashing null keys. */
kfe_error kfe_conf_producer_install(rd_kafka_conf_t *conf, const kfe_conf_producer *was,
                                    kfe_delivery_fn *delivery, kfe_partitioner_fn *partitioner)
{
    kfe_error err = install_partitioner(conf, partitioner);
    if (!err && was->linger[0] != '\0')
        err = kfe_resp_set(conf, "sticky.partitioning.linger.ms", "0");
    if (!err && was->delivery != NULL) {
        rd_kafka_conf_set_dr_msg_cb(conf, delivery);
        /* Every record's bookkeeping comes back through a report; we filter. */
        err = kfe_resp_set(conf, "delivery.report.only.error", "false");
    }
    if (err)
        kfe_conf_producer_restore(conf, was);
    return err;
}

/* These values were read from this very conf, so they are accepted. */
void kfe_conf_producer_restore(rd_kafka_conf_t *conf, const kfe_conf_producer *was)
{
    rd_kafka_topic_conf_t *topic = rd_kafka_conf_get_default_topic_conf(conf);
    if (topic != NULL)
        rd_kafka_topic_conf_set_partitioner_cb(topic, was->partitioner_cb);
    rd_kafka_conf_set_dr_msg_cb(conf, was->delivery);
    if (was->linger[0] != '\0')
        rd_kafka_conf_set(conf, "sticky.partitioning.linger.ms", was->linger, NULL, 0);
    rd_kafka_conf_set(conf, "delivery.report.only.error", was->only_error ? "true" : "false", NULL,
                      0);
}

int kfe_conf_linger_ms(const rd_kafka_conf_t *conf)
{
    char text[16];
    return read_text(conf, "sticky.partitioning.linger.ms", text, sizeof(text))
               ? (int)strtol(text, NULL, 10)
               : 0;
}

kfe_error kfe_conf_consumer_install(rd_kafka_conf_t *conf, bool *stores)
{
    *stores = read_flag(conf, "enable.auto.offset.store");
    return kfe_resp_set(conf, "enable.auto.offset.store", "false");
}

void kfe_conf_consumer_restore(rd_kafka_conf_t *conf, bool stores)
{
    rd_kafka_conf_set(conf, "enable.auto.offset.store", stores ? "true" : "false", NULL, 0);
}
