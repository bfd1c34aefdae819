/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_CONF_H
#define KFE_KAFKA_CONF_H

/* What is read from an application's rd_kafka_conf_t, and what is changed in it underneath.
 * librdkafka gives callbacks back as "%p" text. Changes are undone by the _restore functions when
 * no client comes of the conf: it is still the application's then. */

#include <stdbool.h>

#include "kafka/partitioner.h"

typedef void kfe_delivery_fn(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);

typedef struct {
    kfe_delivery_fn *delivery; /* the application's dr_msg_cb, or NULL */
    bool only_error;           /* delivery.report.only.error */
    kfe_partitioner_fn *partitioner_cb;
    char partitioner[32]; /* the property; meant when partitioner_cb is NULL */
    char linger[16];      /* sticky.partitioning.linger.ms as it was, where we change it */
} kfe_conf_producer;

/* KFE_E_CONFIG for what cannot go with sealing: the old dr_cb, delivery reports as events, and
 * compression, unless allowed. Changes nothing. */
kfe_error kfe_conf_producer_read(rd_kafka_conf_t *conf, bool allow_compression,
                                 kfe_conf_producer *out);
/* Installs our callbacks; `delivery` only where the application has one: without, librdkafka makes
 * no reports and the application need not poll, and that is to stay so. */
kfe_error kfe_conf_producer_install(rd_kafka_conf_t *conf, const kfe_conf_producer *was,
                                    kfe_delivery_fn *delivery, kfe_partitioner_fn *partitioner);
void kfe_conf_producer_restore(rd_kafka_conf_t *conf, const kfe_conf_producer *was);

/* sticky.partitioning.linger.ms of a running client: its default follows from linger.ms and is set
 * when the client is made. */
int kfe_conf_linger_ms(const rd_kafka_conf_t *conf);

/* Turns enable.auto.offset.store off and tells whether it was on: we store offsets then. */
kfe_error kfe_conf_consumer_install(rd_kafka_conf_t *conf, bool *stores);
void kfe_conf_consumer_restore(rd_kafka_conf_t *conf, bool stores);

#endif
