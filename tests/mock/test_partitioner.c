/* SPDX-License-Identifier: Apache-2.0 */
/* Does a sealed record go to the partition that plain librdkafka picks for its plaintext key? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

enum { N_KEYS = 12000, PARTITIONS = 7, KEY_MAX = 24 };

typedef struct {
    char bytes[KEY_MAX];
    size_t len;
    bool null;
} test_key;

static test_key keys[N_KEYS];

/* A fixed sequence: a failure can be repeated. */
static void make_keys(void)
{
    uint32_t seed = 317;
    for (size_t i = 0; i < N_KEYS; i++) {
        test_key *key = &keys[i];
        key->null = i % 17 == 3;
        key->len = i % 13 == 5 || key->null ? 0 : 1 + i % KEY_MAX;
        for (size_t j = 0; j < key->len; j++) {
            seed = seed * 1664525 + 1013904223;
            key->bytes[j] = (char)(seed >> 24);
        }
    }
}

static int group_start(void **state)
{
    make_keys();
    return mock_start(state);
}

/* Where each key went: the opaque of message i points to its place. */
typedef int32_t where[N_KEYS];
static where plain, sealed;
static unsigned reports;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    assert_int_equal(message->err, 0);
    if (message->_private == NULL)
        return;
    *(int32_t *)message->_private = message->partition;
    reports++;
}

static rd_kafka_conf_t *conf_for(const char *partitioner, const char *sticky_ms)
{
    rd_kafka_conf_t *conf = mock_conf(PAIRS(
        "partitioner", partitioner, "sticky.partitioning.linger.ms", sticky_ms, "linger.ms", "1"));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return conf;
}

/* Not before each partition is known to have a leader does a sticky partition stay. */
static void learn_topic(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    assert_int_equal(rd_kafka_metadata(rk, 0, rkt, &metadata, WAIT_MS), 0);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(p), RD_KAFKA_V_END),
            0);
    assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
}

static void produce_plain(const char *topic, rd_kafka_conf_t *conf, bool known)
{
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    assert_non_null(rk);
    if (known)
        learn_topic(rk, topic);
    for (size_t i = 0; i < N_KEYS; i++)
        assert_int_equal(
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
                              RD_KAFKA_V_KEY(keys[i].null ? NULL : keys[i].bytes, keys[i].len),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t) "v", 1),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_OPAQUE(&plain[i]), RD_KAFKA_V_END),
            0);
    rd_kafka_mock_broker_set_rtt(mock_cluster(), -1, 0);
    assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
    rd_kafka_destroy(rk);
}

static void produce_sealed(const char *topic, rd_kafka_conf_t *conf, const kfe_config *config,
                           bool known)
{
    static kfe_message messages[N_KEYS];
    kfe_producer *producer = mock_producer(config, conf);
    if (known)
        learn_topic(kfe_producer_handle(producer), topic);
    for (size_t i = 0; i < N_KEYS; i++)
        messages[i] = (kfe_message){.topic = topic,
                                    .partition = RD_KAFKA_PARTITION_UA,
                                    .msgflags = RD_KAFKA_MSG_F_COPY,
                                    .payload = (void *)(uintptr_t) "v",
                                    .len = 1,
                                    .key = keys[i].null ? NULL : keys[i].bytes,
                                    .key_len = keys[i].len,
                                    .opaque = &sealed[i]};
    assert_int_equal(kfe_produce_batch(producer, messages, N_KEYS), N_KEYS);
    rd_kafka_mock_broker_set_rtt(mock_cluster(), -1, 0);
    mock_finish(producer);
}

/* Answers come late, so that everything is produced before the topic's metadata is there. */
static void delay_metadata(bool known)
{
    if (!known)
        assert_int_equal(rd_kafka_mock_broker_set_rtt(mock_cluster(), -1, 1000), 0);
}

/* librdkafka's rule: whether the partition follows from the key, with a sticky linger > 0. */
static bool is_hashed(const char *partitioner, const test_key *key)
{
    if (key->len > 0)
        return strcmp(partitioner, "random") != 0;
    if (strcmp(partitioner, "consistent") == 0 || strcmp(partitioner, "murmur2") == 0 ||
        strcmp(partitioner, "fnv1a") == 0)
        return true;
    return !key->null &&
           (strcmp(partitioner, "murmur2_random") == 0 || strcmp(partitioner, "fnv1a_random") == 0);
}

static void compare(const char *partitioner, const kfe_config *config, bool known)
{
    reports = 0;
    const char *topic = mock_topic(PARTITIONS);
    delay_metadata(known);
    produce_plain(topic, conf_for(partitioner, "10"), known);
    topic = mock_topic(PARTITIONS);
    delay_metadata(known);
    produce_sealed(topic, conf_for(partitioner, "10"), config, known);
    assert_int_equal(reports, 2 * N_KEYS);
    size_t hashed = 0;
    for (size_t i = 0; i < N_KEYS; i++) {
        assert_in_range(sealed[i], 0, PARTITIONS - 1);
        if (!is_hashed(partitioner, &keys[i]))
            continue;
        hashed++;
        if (plain[i] != sealed[i])
            fail_msg("%s, key %zu of %zu bytes: %d, should be %d", partitioner, i, keys[i].len,
                     (int)sealed[i], (int)plain[i]);
    }
    print_message("%s, metadata %s: %d records, %zu of them placed by their key: all where plain "
                  "librdkafka puts them\n",
                  partitioner, known ? "known" : "not there yet", N_KEYS, hashed);
}

static void each_partitioner(bool known)
{
    static const char *const names[] = {
        "consistent_random", "murmur2_random", "fnv1a_random", "consistent",
        "murmur2",           "fnv1a",          "random"};
    const kfe_config *config = mock_config(NO_PAIRS);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        compare(names[i], config, known);
}

static void when_metadata_is_known(void **state)
{
    (void)state;
    each_partitioner(true);
}

static void before_metadata_is_known(void **state)
{
    (void)state;
    each_partitioner(false);
}

static void with_deterministic_keys(void **state)
{
    (void)state;
    compare("murmur2_random",
            mock_config(PAIRS("encryption.encrypt.keys", "deterministic",
                              "encryption.keymanager.deterministic.key", "orders@1")),
            true);
}

/* How many partitions the chosen kind of keyless record went to. */
static unsigned spread(const where found, bool null)
{
    unsigned mask = 0, count = 0;
    for (size_t i = 0; i < N_KEYS; i++) {
        if (keys[i].len == 0 && keys[i].null == null)
            mask |= 1U << found[i];
    }
    for (; mask != 0; mask &= mask - 1)
        count++;
    return count;
}

static void produce_both(const char *partitioner, const char *sticky_ms)
{
    produce_plain(mock_topic(PARTITIONS), conf_for(partitioner, sticky_ms), true);
    produce_sealed(mock_topic(PARTITIONS), conf_for(partitioner, sticky_ms), mock_config(NO_PAIRS),
                   true);
}

static void keyless_records_stick_together(void **state)
{
    (void)state;
    produce_both("consistent_random", "60000");
    assert_int_equal(spread(plain, true), 1);
    assert_int_equal(spread(plain, false), 1);
    assert_int_equal(spread(sealed, true), 1);
    assert_int_equal(spread(sealed, false), 1);
    produce_both("murmur2_random", "60000");
    assert_int_equal(spread(plain, true), 1);
    assert_int_equal(spread(sealed, true), 1);
}

static void keyless_records_are_spread_without_a_linger(void **state)
{
    (void)state;
    produce_both("consistent_random", "0");
    assert_int_equal(spread(plain, true), PARTITIONS);
    assert_int_equal(spread(plain, false), PARTITIONS);
    assert_int_equal(spread(sealed, true), PARTITIONS);
    assert_int_equal(spread(sealed, false), PARTITIONS);
}

/* librdkafka's default follows from linger.ms, unless it is set. */
static void the_default_linger_is_librdkafkas(void **state)
{
    (void)state;
    static const char *const lingers[] = {"0", "30000"};
    for (int i = 0; i < 2; i++) {
        rd_kafka_conf_t *confs[2];
        for (int j = 0; j < 2; j++) {
            confs[j] = mock_conf(PAIRS("linger.ms", lingers[i]));
            rd_kafka_conf_set_dr_msg_cb(confs[j], on_delivery);
        }
        produce_plain(mock_topic(PARTITIONS), confs[0], true);
        produce_sealed(mock_topic(PARTITIONS), confs[1], mock_config(NO_PAIRS), true);
        assert_int_equal(spread(plain, false), i == 0 ? PARTITIONS : 1);
        assert_int_equal(spread(sealed, false), i == 0 ? PARTITIONS : 1);
        assert_int_equal(spread(sealed, true), i == 0 ? PARTITIONS : 1);
    }
}

/* ---- The application's own ---------------------------------------------------------- */

typedef int32_t partitioner_cb(const rd_kafka_topic_t *topic, const void *key, size_t len,
                               int32_t count, void *topic_opaque, void *opaque);

static int topic_tag;

static int32_t by_length(const rd_kafka_topic_t *topic, const void *key, size_t len, int32_t count,
                         void *topic_opaque, void *opaque)
{
    (void)topic;
    assert_ptr_equal(topic_opaque, &topic_tag);
    size_t i = (size_t)((int32_t *)opaque - sealed);
    assert_int_equal(len, keys[i].len);
    assert_int_equal(key == NULL, keys[i].null);
    if (len > 0)
        assert_memory_equal(key, keys[i].bytes, len);
    return (int32_t)(len % (size_t)count);
}

static void the_applications_own_partitioner(void **state)
{
    (void)state;
    rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
    rd_kafka_topic_conf_set_partitioner_cb(topic_conf, by_length);
    rd_kafka_topic_conf_set_opaque(topic_conf, &topic_tag);
    rd_kafka_conf_t *conf = mock_conf(PAIRS("sticky.partitioning.linger.ms", "0"));
    rd_kafka_conf_set_default_topic_conf(conf, topic_conf);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    produce_sealed(mock_topic(PARTITIONS), conf, mock_config(NO_PAIRS), true);
    for (size_t i = 0; i < N_KEYS; i++)
        assert_int_equal(sealed[i], keys[i].len % PARTITIONS);
}

static rd_kafka_conf_t *conf_with(partitioner_cb *partitioner)
{
    rd_kafka_conf_t *conf = mock_conf(PAIRS("sticky.partitioning.linger.ms", "10"));
    rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
    rd_kafka_topic_conf_set_partitioner_cb(topic_conf, partitioner);
    rd_kafka_conf_set_default_topic_conf(conf, topic_conf);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return conf;
}

/* librdkafka knows its own hashing partitioners also as callbacks: null keys are hashed then. */
static void librdkafkas_own_as_a_callback(void **state)
{
    (void)state;
    partitioner_cb *const all[] = {rd_kafka_msg_partitioner_consistent,
                                   rd_kafka_msg_partitioner_murmur2,
                                   rd_kafka_msg_partitioner_fnv1a};
    for (size_t p = 0; p < 3; p++) {
        produce_plain(mock_topic(PARTITIONS), conf_with(all[p]), true);
        produce_sealed(mock_topic(PARTITIONS), conf_with(all[p]), mock_config(NO_PAIRS), true);
        assert_memory_equal(plain, sealed, sizeof(plain));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_metadata_is_known),
        cmocka_unit_test(before_metadata_is_known),
        cmocka_unit_test(with_deterministic_keys),
        cmocka_unit_test(keyless_records_stick_together),
        cmocka_unit_test(keyless_records_are_spread_without_a_linger),
        cmocka_unit_test(the_default_linger_is_librdkafkas),
        cmocka_unit_test(the_applications_own_partitioner),
        cmocka_unit_test(librdkafkas_own_as_a_callback),
    };
    return cmocka_run_group_tests(tests, group_start, mock_stop);
}
