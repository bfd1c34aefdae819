/* SPDX-License-Identifier: Apache-2.0 */
/* Does a real broker store what we seal, and never what was sealed? */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kafka/rig.h"

enum { RECORDS = 5000 };

static const char marker[] = "PLAINTEXT-MARKER";
static unsigned files, hits;

static int search(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type != FTW_F)
        return 0;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0; /* a segment that the broker just removed */
    char *bytes = malloc((size_t)st->st_size + 1);
    size_t len = fread(bytes, 1, (size_t)st->st_size, f);
    hits += memmem(bytes, len, marker, strlen(marker)) != NULL;
    files++;
    free(bytes);
    fclose(f);
    return 0;
}

static unsigned files_with_marker(void)
{
    const char *data = getenv("KFE_BROKER_DATA");
    assert_non_null(data);
    files = hits = 0;
    assert_int_equal(nftw(data, search, 16, FTW_PHYS), 0);
    assert_true(files > 10);
    return hits;
}

static void produce_marked(kfe_producer *producer, const char *topic, unsigned i)
{
    char key[64], value[128];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "trace", -1, marker, -1);
    rd_kafka_header_add(headers, "none", -1, NULL, 0);
    kfe_message m = {.topic = topic,
                     .partition = RD_KAFKA_PARTITION_UA,
                     .msgflags = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK,
                     .payload = value,
                     .len = (size_t)snprintf(value, sizeof(value), "value %s %u", marker, i),
                     .key = key,
                     .key_len = (size_t)snprintf(key, sizeof(key), "key %s %u", marker, i),
                     .headers = headers};
    if (kfe_produce(producer, &m) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("produce: %s", rd_kafka_err2str(m.err));
    kfe_producer_poll(producer, 0);
}

/* Returns the record's number. */
static unsigned check_marked(const rd_kafka_message_t *m)
{
    char key[64], value[128];
    unsigned i = 0;
    snprintf(key, sizeof(key), "%.*s", (int)m->key_len, (const char *)m->key);
    assert_int_equal(sscanf(key, "key PLAINTEXT-MARKER %u", &i), 1);
    snprintf(key, sizeof(key), "key %s %u", marker, i);
    snprintf(value, sizeof(value), "value %s %u", marker, i);
    assert_true(rig_is(m->key, m->key_len, key));
    assert_true(rig_is(m->payload, m->len, value));
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *bytes = NULL;
    size_t len = 0;
    assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
    assert_int_equal(rd_kafka_header_cnt(headers), 2);
    assert_int_equal(rd_kafka_header_get_all(headers, 0, &name, &bytes, &len), 0);
    assert_true(rig_is(bytes, len, marker));
    assert_int_equal(rd_kafka_header_get_all(headers, 1, &name, &bytes, &len), 0);
    assert_null(bytes);
    return i;
}

static void stored_sealed_and_opened_again(void **unused)
{
    (void)unused;
    static const char *const scopes[] = {"field", "record"};
    for (int s = 0; s < 2; s++) {
        kfe_config *config = rig_config("encryption.scope", scopes[s], NULL);
        const char *topic = rig_topic("records", 3, NULL);
        kfe_producer *producer = rig_producer(config, NULL);
        for (unsigned i = 0; i < RECORDS; i++)
            produce_marked(producer, topic, i);
        rig_flush(producer);
        assert_int_equal(rig_delivered(), RECORDS);
        kfe_consumer *consumer = rig_consumer(config, topic, topic, NULL);
        static unsigned seen[RECORDS];
        memset(seen, 0, sizeof(seen));
        for (unsigned i = 0; i < RECORDS; i++) {
            rd_kafka_message_t *m = rig_next(consumer);
            assert_non_null(m);
            assert_int_equal(seen[check_marked(m)]++, 0);
            rd_kafka_message_destroy(m);
        }
        kfe_consumer_free(consumer);
        kfe_producer_free(producer);
        kfe_config_free(config);
    }
    assert_int_equal(files_with_marker(), 0);
}

/* The search must be able to find something. */
static void a_clear_topic_is_found_in_the_files(void **unused)
{
    (void)unused;
    kfe_config *config = rig_config("encryption.unencrypted.topics", "clear-.*", NULL);
    const char *topic = rig_topic("clear", 1, NULL);
    kfe_producer *producer = rig_producer(config, NULL);
    produce_marked(producer, topic, 1);
    rig_flush(producer);
    assert_int_equal(files_with_marker(), 1);
    kfe_consumer *consumer = rig_consumer(config, topic, topic, NULL);
    rd_kafka_message_t *m = rig_next(consumer);
    assert_non_null(m);
    check_marked(m);
    rd_kafka_message_destroy(m);
    kfe_consumer_free(consumer);
    kfe_producer_free(producer);
    kfe_config_free(config);
}

int main(void)
{
    rig_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(stored_sealed_and_opened_again),
                                       cmocka_unit_test(a_clear_topic_is_found_in_the_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
