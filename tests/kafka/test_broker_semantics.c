/* SPDX-License-Identifier: Apache-2.0 */
/* Do consumer groups, transactions and compaction work as ever? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/kafka/rig.h"

static unsigned number(const rd_kafka_message_t *m)
{
    char text[16];
    snprintf(text, sizeof(text), "%.*s", (int)m->len, (const char *)m->payload);
    return (unsigned)strtoul(text, NULL, 10);
}

static void a_group_shares_and_goes_on(void **unused)
{
    (void)unused;
    enum { RECORDS = 600 };
    kfe_config *config = rig_config(NULL);
    const char *topic = rig_topic("group", 4, NULL);
    kfe_producer *producer = rig_producer(config, NULL);
    for (unsigned i = 0; i < RECORDS; i++) {
        char key[16], value[16];
        snprintf(key, sizeof(key), "%u", i * 7919);
        snprintf(value, sizeof(value), "%u", i);
        rig_produce(producer, topic, key, value);
    }
    rig_flush(producer);
    static unsigned seen[RECORDS];
    unsigned total = 0;
    const char *const manual[] = {"enable.auto.commit", "false", NULL};
    /* A first member reads a third and commits what it read, then leaves. */
    kfe_consumer *first = rig_consumer(config, topic, topic, manual);
    for (; total < RECORDS / 3; total++) {
        rd_kafka_message_t *m = rig_next(first);
        assert_non_null(m);
        seen[number(m)]++;
        assert_int_equal(rd_kafka_commit_message(kfe_consumer_handle(first), m, 0), 0);
        rd_kafka_message_destroy(m);
    }
    kfe_consumer_free(first);
    /* Two others share the rest. */
    kfe_consumer *two[] = {rig_consumer(config, topic, topic, manual),
                           rig_consumer(config, topic, topic, manual)};
    for (int idle = 0; total < RECORDS && idle < 600;) {
        rd_kafka_message_t *m = NULL;
        for (int i = 0; i < 2; i++) {
            m = kfe_consume(two[i], 50);
            if (m == NULL || m->err) {
                idle++;
            } else {
                seen[number(m)]++;
                assert_int_equal(rd_kafka_commit_message(kfe_consumer_handle(two[i]), m, 0), 0);
                total++;
            }
            if (m != NULL)
                rd_kafka_message_destroy(m);
        }
    }
    for (unsigned i = 0; i < RECORDS; i++)
        assert_int_equal(seen[i], 1);
    kfe_consumer_free(two[0]);
    kfe_consumer_free(two[1]);
    kfe_producer_free(producer);
    kfe_config_free(config);
}

static void ok(rd_kafka_error_t *error)
{
    if (error != NULL)
        fail_msg("%s", rd_kafka_error_string(error));
}

static void transactions_commit_and_abort(void **unused)
{
    (void)unused;
    kfe_config *config = rig_config(NULL);
    const char *topic = rig_topic("transactions", 1, NULL);
    const char *const settings[] = {"transactional.id", topic, NULL};
    kfe_producer *producer = rig_producer(config, settings);
    rd_kafka_t *rk = kfe_producer_handle(producer);
    ok(rd_kafka_init_transactions(rk, 60000));
    for (int round = 0; round < 6; round++) {
        char value[32];
        ok(rd_kafka_begin_transaction(rk));
        for (int i = 0; i < 10; i++) {
            snprintf(value, sizeof(value), "%s %d", round % 2 ? "aborted" : "committed", round);
            rig_produce(producer, topic, "k", value);
        }
        if (round % 2) {
            rig_flush(producer); /* so that there is something to abort in the log */
            ok(rd_kafka_abort_transaction(rk, 60000));
        } else {
            ok(rd_kafka_commit_transaction(rk, 60000));
        }
    }
    const char *const committed[] = {"isolation.level", "read_committed", NULL};
    kfe_consumer *consumer = rig_consumer(config, topic, topic, committed);
    for (int i = 0; i < 30; i++) {
        rd_kafka_message_t *m = rig_next(consumer);
        char value[32];
        snprintf(value, sizeof(value), "committed %d", i / 10 * 2);
        assert_non_null(m);
        assert_true(rig_is(m->payload, m->len, value));
        rd_kafka_message_destroy(m);
    }
    kfe_consumer_free(consumer);
    kfe_producer_free(producer);
    kfe_config_free(config);
}

/* Reads the topic to its end; counts records and checks that key N has value "last N", or none. */
static unsigned read_compacted(const kfe_config *config, const char *topic, unsigned *keys)
{
    static unsigned round;
    char group[80];
    snprintf(group, sizeof(group), "%s-%u", topic, round++);
    const char *const settings[] = {"enable.partition.eof", "true", NULL};
    kfe_consumer *consumer = rig_consumer(config, group, topic, settings);
    const char *latest[8] = {NULL};
    unsigned records = 0;
    for (bool end = false; !end;) {
        rd_kafka_message_t *m = kfe_consume(consumer, 1000);
        if (m == NULL)
            continue;
        end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        assert_true(end || m->err == RD_KAFKA_RESP_ERR_NO_ERROR);
        if (!end) {
            records++;
            unsigned i = (unsigned)(((const char *)m->key)[4] - '0');
            assert_true(i < 8);
            latest[i] = m->payload == NULL                         ? "tombstone"
                        : rig_is(m->payload, m->len, "last value") ? "last"
                                                                   : "older";
        }
        rd_kafka_message_destroy(m);
    }
    *keys = 0;
    for (unsigned i = 0; i < 8; i++)
        *keys += latest[i] != NULL && strcmp(latest[i], "last") == 0;
    assert_string_equal(latest[7], "older"); /* the record that rolls the segment */
    kfe_consumer_free(consumer);
    return records;
}

static void compaction_keeps_the_last_of_a_deterministic_key(void **unused)
{
    (void)unused;
    kfe_config *config = rig_config("encryption.encrypt.keys", "deterministic",
                                    "encryption.keymanager.deterministic.key", "tags@1", NULL);
    const char *const compacted[] = {"cleanup.policy",
                                     "compact",
                                     "segment.ms",
                                     "500",
                                     "min.cleanable.dirty.ratio",
                                     "0.01",
                                     "delete.retention.ms",
                                     "500",
                                     "min.compaction.lag.ms",
                                     "0",
                                     "max.compaction.lag.ms",
                                     "1000",
                                     NULL};
    const char *topic = rig_topic("compacted", 1, compacted);
    kfe_producer *producer = rig_producer(config, NULL);
    for (int round = 0; round < 20; round++)
        for (unsigned i = 0; i < 6; i++) {
            char key[8];
            snprintf(key, sizeof(key), "key %u", i);
            rig_produce(producer, topic, key, round == 19 ? "last value" : "older value");
        }
    rig_produce(producer, topic, "key 5", NULL);
    rig_flush(producer);
    /* Each further record rolls the segment; the cleaner then takes the ones before. */
    unsigned keys = 0, records = 1000;
    time_t until = time(NULL) + 60;
    while (time(NULL) < until && (records > 40 || keys != 5)) {
        struct timespec pause = {0, 600 * 1000000};
        nanosleep(&pause, NULL); /* segment.ms passes */
        rig_produce(producer, topic, "key 7", "older value");
        rig_flush(producer);
        records = read_compacted(config, topic, &keys);
    }
    print_message("%u of 121 records left, %u keys with their last value\n", records, keys);
    assert_true(records <= 40);
    assert_int_equal(keys, 5); /* key 5 was deleted */
    kfe_producer_free(producer);
    kfe_config_free(config);
}

int main(void)
{
    rig_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_shares_and_goes_on),
        cmocka_unit_test(transactions_commit_and_abort),
        cmocka_unit_test(compaction_keeps_the_last_of_a_deterministic_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
