/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tests/demo/order.h"
#include "tests/demo/reader.h"

enum { BATCH = 512, WAIT_MS = 50, PATIENCE = 15000 / WAIT_MS };

static void on_refused(void *arg, const char *topic, int32_t partition, int64_t offset,
                       kfe_error error, const char *detail)
{
    demo_reader *reader = arg;
    if (reader->refused++ == 0)
        snprintf(reader->why, sizeof(reader->why), "%s [%d] @%lld: %s: %s", topic, (int)partition,
                 (long long)offset, kfe_error_name(error), detail);
}

static bool take(demo_reader *reader, rd_kafka_message_t *m)
{
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (reader->why[0] == '\0')
            snprintf(reader->why, sizeof(reader->why), "%s", rd_kafka_message_errstr(m));
        return false;
    }
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_message_headers(m, &headers);
    reader->hash += demo_order_hash(m->key, m->key_len, m->payload, m->len, headers);
    reader->count++;
    return true;
}

static ssize_t next_batch(demo_reader *reader, rd_kafka_queue_t *queue, rd_kafka_message_t **out)
{
    if (reader->sealed != NULL)
        return kfe_consume_batch(reader->sealed, WAIT_MS, out, BATCH);
    return rd_kafka_consume_batch_queue(queue, WAIT_MS, out, BATCH);
}

static void *read_all(void *arg)
{
    demo_reader *reader = arg;
    rd_kafka_message_t *messages[BATCH];
    rd_kafka_queue_t *queue =
        reader->sealed == NULL ? rd_kafka_queue_get_consumer(reader->plain) : NULL;
    bool fine = true;
    for (int quiet = 0; fine && reader->count < reader->expected && quiet < PATIENCE; quiet++) {
        ssize_t n = next_batch(reader, queue, messages);
        for (ssize_t i = 0; i < n; i++) {
            fine = fine && take(reader, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
        if (n > 0)
            quiet = 0;
    }
    if (queue != NULL)
        rd_kafka_queue_destroy(queue);
    return NULL;
}

bool demo_reader_start(demo_reader *reader, const char *topic, int partitions)
{
    rd_kafka_t *rk = reader->plain;
    if (reader->sealed != NULL) {
        kfe_consumer_on_refused(reader->sealed, on_refused, reader);
        rk = kfe_consumer_handle(reader->sealed);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t err = rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR &&
           pthread_create(&reader->thread, NULL, read_all, reader) == 0;
}

void demo_reader_join(demo_reader *reader)
{
    pthread_join(reader->thread, NULL);
}
