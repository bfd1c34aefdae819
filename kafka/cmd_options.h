/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_OPTIONS_H
#define KFE_CMD_OPTIONS_H

/* The options of a verb, as librdkafka's own tools spell them. */

#include <kfe/kafka.h>

#include "kafka/cmd.h"

typedef struct {
    const char **items; /* views on argv */
    size_t n;
} kfe_cmd_list;

struct kfe_cmd_options {
    const kfe_cmd_verb *verb;
    bool help;
    char **args; /* what is no option; a view on argv */
    int n_args;

    const char *brokers, *topic; /* NULL: not given */
    int32_t partition;           /* RD_KAFKA_PARTITION_UA: not given */
    int64_t offset;              /* where to start; RD_KAFKA_OFFSET_BEGINNING when not given */
    uint64_t count;              /* records; 0: no limit */
    bool exit_at_end, yes, stats;
    const char *kind, *kek; /* NULL: not given */
    kfe_cmd_list files, settings;

    rd_kafka_conf_t *conf; /* by kfe_cmd_options_load(); set NULL once a client has taken it */
    kfe_config *config;
};

/* Reads argv (argv[0] is the verb's name). False: has said what is wrong. Wipe it in any case. */
bool kfe_cmd_options_init(kfe_cmd_options *out, const kfe_cmd_verb *verb, int argc, char **argv);

/* Makes `conf` and `config`: our defaults, then the files (the one that KFE_CONFIG names when
 * there is no -F), then each -X, then -b. A later one wins. A secret that no option points to is
 * asked on the terminal. False: has said what is wrong. */
bool kfe_cmd_options_load(kfe_cmd_options *options);

/* True when bootstrap.servers is set and a topic is given; else says what is missing. */
bool kfe_cmd_options_need_topic(const kfe_cmd_options *options);
bool kfe_cmd_options_have_brokers(const kfe_cmd_options *options);

void kfe_cmd_options_wipe(kfe_cmd_options *options);

#endif
