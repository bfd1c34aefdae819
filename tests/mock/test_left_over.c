/* SPDX-License-Identifier: Apache-2.0 */
/* A record that was opened but not handed out: is its key left in memory? */
#include "tests/secret/hunt.h"

#include <string.h>
#include <sys/random.h>

#include "engine/secret.h"

#include "tests/mock/support/mock.h"

enum { KEY_LEN = 64 };

/* The hunt makes its masks by the engine's own, which libkfe does not export. */
kfe_error kfe_random(void *out, size_t len)
{
    return getrandom(out, len, 0) == (ssize_t)len ? KFE_OK : KFE_E_RANDOM;
}

static hunt_secret *secret;
static hunt_find finds[HUNT_FINDS_MAX];

static void assert_gone(const char *when)
{
    size_t n = hunt(&secret, 1, finds);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++)
        hunt_report(&finds[i]);
    if (n > 0)
        fail_msg("%zu finds %s", n, when);
}

static void make_secret(void *arg)
{
    (void)arg;
    uint8_t key[KEY_LEN];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * i * 7 + 113 + i);
    hunt_set(secret, key, sizeof(key));
    kfe_wipe(key, sizeof(key));
}

static void produce(const kfe_config *config, const char *topic)
{
    uint8_t key[KEY_LEN];
    kfe_producer *producer = mock_producer(config, NULL);
    hunt_get(secret, key);
    kfe_message message = {.topic = topic,
                           .msgflags = RD_KAFKA_MSG_F_COPY,
                           .payload = (void *)(uintptr_t) "v",
                           .len = 1,
                           .key = key,
                           .key_len = sizeof(key)};
    assert_int_equal(kfe_produce(producer, &message), 0);
    kfe_wipe(key, sizeof(key));
    mock_finish(producer);
}

static void a_deterministic_key(void **state)
{
    (void)state;
    secret = hunt_new("key");
    hunt_child(make_secret, NULL);
    const kfe_config *config =
        mock_config(PAIRS("encryption.encrypt.keys", "deterministic",
                          "encryption.keymanager.deterministic.key", "orders@1"));
    const char *topic = mock_topic(1);
    mock_write_text(topic, 0, "in clear");
    produce(config, topic);
    assert_gone("after producing");

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    mock_await_ready(consumer, 2);
    rd_kafka_message_t *got[4];
    assert_int_equal(kfe_consume_batch(consumer, WAIT_MS, got, 4), 1);
    assert_int_equal(kfe_message_error(got[0]), KFE_E_UNENCRYPTED);
    rd_kafka_message_destroy(got[0]);
    assert_gone("after the batch");

    /* It is there to be found, once it is handed out. */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 1;
    assert_null(rd_kafka_seek_partitions(kfe_consumer_handle(consumer), list, WAIT_MS));
    assert_int_equal(rd_kafka_resume_partitions(kfe_consumer_handle(consumer), list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *message = mock_next(consumer);
    assert_int_equal(message->key_len, KEY_LEN);
    assert_int_equal(hunt(&secret, 1, finds), 1);
    kfe_wipe(message->key, message->key_len);
    rd_kafka_message_destroy(message);
    assert_gone("after the message");
    kfe_consumer_free(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_deterministic_key)};
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
