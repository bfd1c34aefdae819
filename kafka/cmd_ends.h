/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_ENDS_H
#define KFE_CMD_ENDS_H

/* The partitions that a run reads, and which of them it has read to the end. */

#include <librdkafka/rdkafka.h>

#include "kafka/cmd_options.h"

typedef struct {
    rd_kafka_topic_partition_list_t *partitions;
    bool *ended; /* one for each of them */
    int left;    /* not ended yet */
} kfe_cmd_ends;

/* What a consumer must be told before it is made: callbacks for errors, and to report the end of
 * a partition. */
kfe_error kfe_cmd_ends_prepare(const kfe_cmd_options *options);

/* Asks for the topic's partitions and assigns them to `rk`, or only options->partition, all from
 * options->offset. KFE_E_IO: no broker answers, no such topic, no such partition. Wipe it in any
 * case. */
kfe_error kfe_cmd_ends_init(kfe_cmd_ends *ends, rd_kafka_t *rk, const kfe_cmd_options *options);

/* Notes what an error message says. True when it is the end of a partition, or passes by itself;
 * false when the run cannot go on: has said why. */
bool kfe_cmd_ends_note(kfe_cmd_ends *ends, const rd_kafka_message_t *message);

/* True when the run is over: a signal, options->count records shown, or all ends reached where
 * options->exit_at_end asks for it. */
bool kfe_cmd_ends_done(const kfe_cmd_ends *ends, const kfe_cmd_options *options, uint64_t shown);

void kfe_cmd_ends_wipe(kfe_cmd_ends *ends);

#endif
