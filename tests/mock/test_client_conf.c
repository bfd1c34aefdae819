/* SPDX-License-Identifier: Apache-2.0 */
/* Is what cannot go with sealing refused, and is the application's conf its own afterwards? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)message;
    (void)opaque;
}

static void on_old_delivery(rd_kafka_t *rk, void *payload, size_t len, rd_kafka_resp_err_t err,
                            void *opaque, void *message_opaque)
{
    (void)rk;
    (void)payload;
    (void)len;
    (void)err;
    (void)opaque;
    (void)message_opaque;
}

static int32_t first(const rd_kafka_topic_t *topic, const void *key, size_t len, int32_t count,
                     void *topic_opaque, void *opaque)
{
    (void)topic;
    (void)key;
    (void)len;
    (void)count;
    (void)topic_opaque;
    (void)opaque;
    return 0;
}

static void assert_value(const rd_kafka_conf_t *conf, const char *name, const char *want)
{
    char got[128] = "";
    size_t len = sizeof(got);
    rd_kafka_conf_res_t result = rd_kafka_conf_get(conf, name, got, &len);
    if (want == NULL) {
        assert_int_not_equal(result, RD_KAFKA_CONF_OK);
        return;
    }
    assert_int_equal(result, RD_KAFKA_CONF_OK);
    assert_string_equal(got, want);
}

static void refuse_producer(rd_kafka_conf_t *conf, const kfe_config *config, const char *detail)
{
    kfe_producer *producer = NULL;
    assert_int_equal(kfe_producer_new(&producer, conf, config), KFE_E_CONFIG);
    assert_null(producer);
    if (strstr(kfe_error_detail(), detail) == NULL)
        fail_msg("'%s' does not speak of '%s'", kfe_error_detail(), detail);
}

static void compression_is_refused(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    static const char *const names[] = {"compression.codec", "compression.type"};
    for (int i = 0; i < 2; i++) {
        rd_kafka_conf_t *conf = mock_conf(PAIRS(names[i], "lz4"));
        refuse_producer(conf, config, "compression");
        rd_kafka_conf_destroy(conf);
    }
    rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
    rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
    assert_int_equal(rd_kafka_topic_conf_set(topic_conf, "compression.codec", "gzip", NULL, 0), 0);
    rd_kafka_conf_set_default_topic_conf(conf, topic_conf);
    refuse_producer(conf, config, "compression");
    rd_kafka_conf_destroy(conf);
}

static void compression_is_taken_when_allowed(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(PAIRS("encryption.allow.compression", "true"));
    kfe_producer *producer = mock_producer(config, mock_conf(PAIRS("compression.type", "gzip")));
    kfe_message message = {
        .topic = mock_topic(1), .payload = (void *)(uintptr_t) "value", .len = 5};
    assert_int_equal(kfe_produce(producer, &message), 0);
    mock_finish(producer);
    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, message.topic, 1);
    rd_kafka_message_t *got = mock_next(consumer);
    assert_int_equal(got->err, 0);
    assert_memory_equal(got->payload, "value", 5);
    rd_kafka_message_destroy(got);
    kfe_consumer_free(consumer);
}

static void other_kinds_of_delivery_reports_are_refused(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
    rd_kafka_conf_set_dr_cb(conf, on_old_delivery);
    refuse_producer(conf, config, "dr_cb");
    rd_kafka_conf_destroy(conf);
    conf = mock_conf(NO_PAIRS);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    refuse_producer(conf, config, "events");
    rd_kafka_conf_destroy(conf);
}

/* librdkafka itself refuses this one, after ours was put into the conf. */
static rd_kafka_conf_t *impossible_conf(void)
{
    return mock_conf(PAIRS("partitioner", "murmur2", "delivery.report.only.error", "true",
                           "message.timeout.ms", "10", "linger.ms", "5000", "transactional.id", "t",
                           "transaction.timeout.ms", "1000"));
}

static void a_refused_conf_is_as_it_was(void **state)
{
    (void)state;
    char delivery[32], partitioner[32];
    snprintf(delivery, sizeof(delivery), "%p", (void *)(uintptr_t)on_delivery);
    snprintf(partitioner, sizeof(partitioner), "%p", (void *)(uintptr_t)first);
    rd_kafka_conf_t *conf = impossible_conf();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    refuse_producer(conf, mock_config(NO_PAIRS), "librdkafka");
    assert_value(conf, "dr_msg_cb", delivery);
    assert_value(conf, "partitioner_cb", NULL);
    assert_value(conf, "delivery.report.only.error", "true");
    assert_value(conf, "sticky.partitioning.linger.ms", "10");
    rd_kafka_topic_conf_set_partitioner_cb(rd_kafka_conf_get_default_topic_conf(conf), first);
    refuse_producer(conf, mock_config(NO_PAIRS), "librdkafka");
    assert_value(conf, "partitioner_cb", partitioner);
    rd_kafka_conf_destroy(conf);
}

/* Without delivery reports an interceptor stays in the conf: it must do nothing elsewhere. */
static void a_refused_conf_can_be_used_again(void **state)
{
    (void)state;
    rd_kafka_conf_t *conf = impossible_conf();
    refuse_producer(conf, mock_config(NO_PAIRS), "librdkafka");
    refuse_producer(conf, mock_config(NO_PAIRS), "librdkafka");
    assert_int_equal(rd_kafka_conf_set(conf, "transaction.timeout.ms", "60000", NULL, 0), 0);
    assert_int_equal(rd_kafka_conf_set(conf, "message.timeout.ms", "50000", NULL, 0), 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    assert_non_null(rk);
    static int opaque; /* no block: must not be taken for one */
    assert_int_equal(rd_kafka_init_transactions(rk, WAIT_MS) == NULL, 1);
    assert_int_equal(rd_kafka_begin_transaction(rk) == NULL, 1);
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(mock_topic(1)), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t) "v", 1),
                                       RD_KAFKA_V_OPAQUE(&opaque), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
    rd_kafka_destroy(rk);
}

static void a_consumers_conf_is_as_it_was(void **state)
{
    (void)state;
    kfe_consumer *consumer = NULL;
    rd_kafka_conf_t *conf =
        mock_conf(PAIRS("session.timeout.ms", "10000", "max.poll.interval.ms", "1000"));
    assert_int_equal(kfe_consumer_new(&consumer, conf, mock_config(NO_PAIRS)), KFE_E_CONFIG);
    assert_null(consumer);
    assert_value(conf, "enable.auto.offset.store", "true");
    rd_kafka_conf_destroy(conf);
}

static void an_engine_that_cannot_be_made(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
    refuse_producer(conf, config, "encryption.keyprovider.class");
    kfe_consumer *consumer = NULL;
    assert_int_equal(kfe_consumer_new(&consumer, conf, config), KFE_E_CONFIG);
    rd_kafka_conf_destroy(conf);
    kfe_config_free(config);
}

/* ---- Files -------------------------------------------------------------------------- */

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void kfe_config_names_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/kfe-test-XXXXXX", text[1024];
    const kfe_config *like = mock_config(NO_PAIRS);
    snprintf(text, sizeof(text),
             "# keys\nencryption.keyprovider.class=%s\n"
             "encryption.keyprovider.example.keys=orders\n"
             "encryption.keymanager.class=topic\nencryption.keymanager.default.key=orders\n",
             kfe_config_get(like, "encryption.keyprovider.class"));
    write_file(path, text);
    rd_kafka_conf_t *conf = mock_conf(NO_PAIRS);
    unsetenv("KFE_CONFIG");
    refuse_producer(conf, NULL, "KFE_CONFIG");
    rd_kafka_conf_destroy(conf);

    setenv("KFE_CONFIG", path, 1);
    kfe_producer *producer = mock_producer(NULL, NULL);
    kfe_message message = {
        .topic = mock_topic(1), .payload = (void *)(uintptr_t) "value", .len = 5};
    assert_int_equal(kfe_produce(producer, &message), 0);
    mock_finish(producer);
    kfe_consumer *consumer = mock_consumer(NULL, NO_PAIRS, message.topic, 1);
    rd_kafka_message_t *got = mock_next(consumer);
    assert_int_equal(got->err, 0);
    rd_kafka_message_destroy(got);
    kfe_consumer_free(consumer);
    unsetenv("KFE_CONFIG");
    unlink(path);
}

static void one_file_has_options_of_both_kinds(void **state)
{
    (void)state;
    char path[] = "/tmp/kfe-test-XXXXXX", wrong[] = "/tmp/kfe-test-XXXXXX";
    kfe_config *config = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    write_file(path, "client.id = both\nencryption.commit=true\n");
    assert_int_equal(kfe_kafka_load(conf, config, path), KFE_OK);
    assert_value(conf, "client.id", "both");
    assert_string_equal(kfe_config_get(config, "encryption.commit"), "true");

    write_file(wrong, "no.such.option=1\n");
    assert_int_equal(kfe_kafka_load(conf, config, wrong), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "no.such.option"));
    assert_int_equal(kfe_kafka_load(conf, NULL, path), KFE_E_ARGUMENT);

    assert_int_equal(kfe_kafka_set(conf, config, "client.id", "set"), KFE_OK);
    assert_value(conf, "client.id", "set");
    assert_int_equal(kfe_kafka_set(conf, config, "encryption.scope", "record"), KFE_OK);
    assert_string_equal(kfe_config_get(config, "encryption.scope"), "record");
    assert_int_equal(kfe_kafka_set(conf, config, "linger.ms", "many"), KFE_E_CONFIG);
    assert_int_equal(kfe_kafka_set(conf, config, "encryption.scoop", "record"), KFE_E_CONFIG);
    assert_int_equal(kfe_kafka_set(NULL, config, "client.id", "x"), KFE_E_ARGUMENT);
    rd_kafka_conf_destroy(conf);
    kfe_config_free(config);
    unlink(path);
    unlink(wrong);
}

static void null_arguments(void **state)
{
    (void)state;
    kfe_producer *producer = NULL;
    kfe_consumer *consumer = NULL;
    assert_int_equal(kfe_producer_new(&producer, NULL, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_consumer_new(&consumer, NULL, NULL), KFE_E_ARGUMENT);
    kfe_producer_free(NULL);
    kfe_consumer_free(NULL);
    assert_int_equal(kfe_message_error(NULL), KFE_OK);
    assert_false(kfe_message_is_sealed(NULL, KFE_VALUE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compression_is_refused),
        cmocka_unit_test(compression_is_taken_when_allowed),
        cmocka_unit_test(other_kinds_of_delivery_reports_are_refused),
        cmocka_unit_test(a_refused_conf_is_as_it_was),
        cmocka_unit_test(a_refused_conf_can_be_used_again),
        cmocka_unit_test(a_consumers_conf_is_as_it_was),
        cmocka_unit_test(an_engine_that_cannot_be_made),
        cmocka_unit_test(kfe_config_names_a_file),
        cmocka_unit_test(one_file_has_options_of_both_kinds),
        cmocka_unit_test(null_arguments),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
