/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/cmd_ends.h"

enum { METADATA_MS = 10000 };

kfe_error kfe_cmd_ends_prepare(const kfe_cmd_options *options)
{
    rd_kafka_conf_set_error_cb(options->conf, kfe_cmd_on_error);
    return kfe_kafka_set(options->conf, options->config, "enable.partition.eof", "true");
}

static kfe_error add_partitions(kfe_cmd_ends *ends, const struct rd_kafka_metadata_topic *topic,
                                const kfe_cmd_options *o)
{
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kfe_fail(KFE_E_IO, "topic %s: %s", o->topic, rd_kafka_err2str(topic->err));
    for (int i = 0; i < topic->partition_cnt; i++) {
        int32_t id = topic->partitions[i].id;
        if (o->partition != RD_KAFKA_PARTITION_UA && id != o->partition)
            continue;
        rd_kafka_topic_partition_list_add(ends->partitions, o->topic, id)->offset = o->offset;
    }
    if (ends->partitions->cnt > 0)
        return KFE_OK;
    if (o->partition == RD_KAFKA_PARTITION_UA)
        return kfe_fail(KFE_E_IO, "topic %s has no partitions", o->topic);
    return kfe_fail(KFE_E_IO, "topic %s has no partition %" PRId32, o->topic, o->partition);
}

static kfe_error find_partitions(kfe_cmd_ends *ends, rd_kafka_t *rk, const kfe_cmd_options *o)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, o->topic, NULL);
    if (topic == NULL)
        return kfe_fail(KFE_E_IO, "topic %s: %s", o->topic,
                        rd_kafka_err2str(rd_kafka_last_error()));
    const struct rd_kafka_metadata *data = NULL;
    rd_kafka_resp_err_t answer = rd_kafka_metadata(rk, 0, topic, &data, METADATA_MS);
    rd_kafka_topic_destroy(topic);
    if (answer != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kfe_fail(KFE_E_IO, "no broker tells about topic %s: %s", o->topic,
                        rd_kafka_err2str(answer));
    kfe_error err = data->topic_cnt == 1
                        ? add_partitions(ends, &data->topics[0], o)
                        : kfe_fail(KFE_E_IO, "no broker tells about topic %s", o->topic);
    rd_kafka_metadata_destroy(data);
    return err;
}

kfe_error kfe_cmd_ends_init(kfe_cmd_ends *ends, rd_kafka_t *rk, const kfe_cmd_options *options)
{
    memset(ends, 0, sizeof(*ends));
    ends->partitions = rd_kafka_topic_partition_list_new(1);
    kfe_error err = find_partitions(ends, rk, options);
    if (err)
        return err;
    ends->left = ends->partitions->cnt;
    ends->ended = calloc((size_t)ends->left, sizeof(*ends->ended));
    if (ends->ended == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    rd_kafka_resp_err_t answer = rd_kafka_assign(rk, ends->partitions);
    if (answer != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kfe_fail(KFE_E_IO, "cannot read topic %s: %s", options->topic,
                        rd_kafka_err2str(answer));
    return KFE_OK;
}

static void note_end(kfe_cmd_ends *ends, int32_t partition)
{
    for (int i = 0; i < ends->partitions->cnt; i++) {
        if (ends->partitions->elems[i].partition != partition || ends->ended[i])
            continue;
        ends->ended[i] = true;
        ends->left--;
    }
}

bool kfe_cmd_ends_note(kfe_cmd_ends *ends, const rd_kafka_message_t *message)
{
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        note_end(ends, message->partition);
        return true;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        return true; /* librdkafka goes on by itself */
    default:
        kfe_cmd_say("%s: %s", rd_kafka_err2name(message->err), rd_kafka_message_errstr(message));
        return false;
    }
}

bool kfe_cmd_ends_done(const kfe_cmd_ends *ends, const kfe_cmd_options *options, uint64_t shown)
{
    return kfe_cmd_stopped() || (options->exit_at_end && ends->left == 0) ||
           (options->count > 0 && shown == options->count);
}

void kfe_cmd_ends_wipe(kfe_cmd_ends *ends)
{
    if (ends->partitions != NULL)
        rd_kafka_topic_partition_list_destroy(ends->partitions);
    free(ends->ended);
    memset(ends, 0, sizeof(*ends));
}
