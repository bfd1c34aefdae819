/* SPDX-License-Identifier: Apache-2.0 */

/* Shows one record as the broker keeps it, through librdkafka alone.
 *
 *     demo_peek BROKERS TOPIC PARTITION OFFSET */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

enum { SHOWN = 20, WAIT_MS = 10000 };

static void show(const char *what, const void *data, size_t len)
{
    const unsigned char *p = data;
    printf("    %-14s", what);
    if (data == NULL) {
        puts("null");
        return;
    }
    for (size_t i = 0; i < len && i < SHOWN; i++)
        printf("%02x ", p[i]);
    printf("%s(%zu bytes)\n", len > SHOWN ? ".. " : "", len);
}

static void show_headers(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        char what[64];
        snprintf(what, sizeof(what), "header %s", name);
        show(what, value, len);
    }
}

static int peek(rd_kafka_t *rk, const char *topic, int partition, long long offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, WAIT_MS);
    int failed = m == NULL || m->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!failed) {
        show("key", m->key, m->key_len);
        show("value", m->payload, m->len);
        show_headers(m);
    }
    if (m != NULL)
        rd_kafka_message_destroy(m);
    return failed;
}

int main(int argc, char **argv)
{
    char why[256];
    if (argc != 5) {
        fputs("demo_peek BROKERS TOPIC PARTITION OFFSET\n", stderr);
        return 1;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof(why));
    rd_kafka_conf_set(conf, "group.id", "peek", why, sizeof(why));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (rk == NULL) {
        fprintf(stderr, "demo_peek: %s\n", why);
        return 1;
    }
    rd_kafka_poll_set_consumer(rk);
    int failed = peek(rk, argv[2], (int)strtol(argv[3], NULL, 10), strtoll(argv[4], NULL, 10));
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return failed;
}
