/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_RESP_H
#define KFE_KAFKA_RESP_H

/* Where librdkafka's codes and ours are translated into each other. */

#include <librdkafka/rdkafka.h>

#include <kfe/error.h>

/* The line that a refused message shows as its error: static storage, one per code, never NULL. */
const char *kfe_resp_text(kfe_error error);
/* The same without the code's name in front. */
const char *kfe_resp_detail(kfe_error error);

/* The code whose line this very pointer is; KFE_OK for any other pointer. */
kfe_error kfe_resp_code(const void *text);

/* rd_kafka_conf_set(); KFE_E_CONFIG with librdkafka's word as the detail. */
kfe_error kfe_resp_set(rd_kafka_conf_t *conf, const char *name, const char *value);

/* How kfe_open()'s verdict is to be taken by a consumer. */
typedef enum {
    KFE_FATE_DELIVER,
    KFE_FATE_RETRY,  /* says nothing about the record, may pass: pause and try again */
    KFE_FATE_STOP,   /* says nothing about the record, will not pass by itself: never skipped */
    KFE_FATE_REFUSE, /* the record itself, or its key: encryption.consumer.on.error decides */
} kfe_fate;

kfe_fate kfe_resp_fate(kfe_error error);

#endif
