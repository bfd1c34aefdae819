/* SPDX-License-Identifier: Apache-2.0 */
/* Is exactly that stored which was delivered or skipped? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

/* What would be committed for partition 0 now. */
static int64_t committed(kfe_consumer *consumer, const char *topic)
{
    rd_kafka_t *rk = kfe_consumer_handle(consumer);
    rd_kafka_commit(rk, NULL, 0); /* stored offsets; NO_OFFSET when there are none */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0);
    assert_int_equal(rd_kafka_committed(rk, list, WAIT_MS), 0);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return offset;
}

static const char *topic_with_a_forged_third(const kfe_config *config)
{
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one", "two"));
    mock_forge(topic, 0, 0);
    mock_produce(config, topic, 0, PAIRS("four"));
    return topic;
}

static void delivered_records_are_stored(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = topic_with_a_forged_third(config);
    kfe_consumer *consumer = mock_consumer(config, PAIRS("group.id", "a"), topic, 1);
    assert_int_equal(committed(consumer, topic), RD_KAFKA_OFFSET_INVALID);
    mock_expect(consumer, "one");
    assert_int_equal(committed(consumer, topic), 1);
    mock_expect(consumer, "two");
    assert_int_equal(committed(consumer, topic), 2);
    assert_int_equal(mock_expect_refused(consumer, KFE_E_AUTH), 2);
    assert_int_equal(committed(consumer, topic), 2); /* not the refused one */
    assert_null(kfe_consume(consumer, 100));
    assert_int_equal(committed(consumer, topic), 2);
    kfe_consumer_free(consumer);
}

static void skipped_records_are_stored(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(PAIRS("encryption.consumer.on.error", "skip"));
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one"));
    mock_forge(topic, 0, 0);
    kfe_consumer *consumer = mock_consumer(config, PAIRS("group.id", "b"), topic, 1);
    mock_expect(consumer, "one");
    assert_null(kfe_consume(consumer, 300));
    assert_int_equal(committed(consumer, topic), 2);
    kfe_consumer_free(consumer);
}

static void a_batch_stores_up_to_the_refused_one(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = topic_with_a_forged_third(config);
    kfe_consumer *consumer = mock_consumer(config, PAIRS("group.id", "c"), topic, 1);
    rd_kafka_message_t *got[8];
    ssize_t total = 0;
    while (total < 3) {
        ssize_t n = kfe_consume_batch(consumer, WAIT_MS, got, 8);
        assert_true(n > 0);
        total += n;
        while (n > 0)
            rd_kafka_message_destroy(got[--n]);
    }
    assert_int_equal(total, 3);
    assert_int_equal(committed(consumer, topic), 2);
    kfe_consumer_free(consumer);
}

static void an_application_that_stores_itself(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = mock_topic(1);
    mock_produce(config, topic, 0, PAIRS("one", "two"));
    kfe_consumer *consumer = mock_consumer(
        config, PAIRS("group.id", "d", "enable.auto.offset.store", "false"), topic, 1);
    mock_expect(consumer, "one");
    mock_expect(consumer, "two");
    assert_int_equal(committed(consumer, topic), RD_KAFKA_OFFSET_INVALID);
    kfe_consumer_free(consumer);
}

/* With a real group, and commits at close: the next member goes on where this one was. */
static void a_group_goes_on_where_it_was(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(NO_PAIRS);
    const char *topic = topic_with_a_forged_third(config);
    for (int member = 0; member < 2; member++) {
        kfe_consumer *consumer = NULL;
        rd_kafka_conf_t *conf = mock_conf(
            PAIRS("group.id", "e", "auto.offset.reset", "earliest", "session.timeout.ms", "6000"));
        assert_int_equal(kfe_consumer_new(&consumer, conf, config), KFE_OK);
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
        assert_int_equal(rd_kafka_subscribe(kfe_consumer_handle(consumer), list), 0);
        rd_kafka_topic_partition_list_destroy(list);
        if (member == 0) {
            mock_expect(consumer, "one");
            mock_expect(consumer, "two");
        }
        assert_int_equal(mock_expect_refused(consumer, KFE_E_AUTH), 2);
        kfe_consumer_free(consumer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_records_are_stored),
        cmocka_unit_test(skipped_records_are_stored),
        cmocka_unit_test(a_batch_stores_up_to_the_refused_one),
        cmocka_unit_test(an_application_that_stores_itself),
        cmocka_unit_test(a_group_goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
