/* SPDX-License-Identifier: Apache-2.0 */
/* Does a delivery report show the application its own bytes, and is everything of it freed? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

static const char text[] = "plain value";
enum { LEN = sizeof(text) - 1 };

static struct {
    unsigned reports, headers;
    rd_kafka_resp_err_t err;
    void *payload, *opaque, *conf_opaque;
    bool content_ok, detach;
    int64_t offset;
    rd_kafka_msg_status_t status;
} seen;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    seen.reports++;
    seen.err = message->err;
    seen.payload = message->payload;
    seen.opaque = message->_private;
    seen.conf_opaque = opaque;
    seen.offset = message->offset;
    seen.status = rd_kafka_message_status(message);
    seen.content_ok = message->len == LEN && memcmp(message->payload, text, LEN) == 0 &&
                      message->key_len == 3 && memcmp(message->key, "key", 3) == 0;
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t len = 0;
    seen.headers = 0;
    if (rd_kafka_message_headers(message, &headers))
        return;
    seen.headers = (unsigned)rd_kafka_header_cnt(headers);
    seen.content_ok = seen.content_ok && !rd_kafka_header_get_last(headers, "h", &value, &len) &&
                      len == 5 && memcmp(value, "plain", 5) == 0;
    if (seen.detach) {
        rd_kafka_message_detach_headers((rd_kafka_message_t *)(uintptr_t)message, &headers);
        rd_kafka_headers_destroy(headers);
    }
}

static kfe_producer *reporting_producer(const char *const *pairs)
{
    rd_kafka_conf_t *conf = mock_conf(pairs);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, &seen);
    memset(&seen, 0, sizeof(seen));
    return mock_producer(mock_config(NO_PAIRS), conf);
}

/* With a header; `flags` 0 and COPY: `payload` is ours. */
static kfe_message message_to(const char *topic, int flags, void *payload)
{
    kfe_message message = {.topic = topic,
                           .msgflags = flags,
                           .payload = payload,
                           .len = LEN,
                           .key = "key",
                           .key_len = 3,
                           .opaque = &seen.reports,
                           .headers = rd_kafka_headers_new(1)};
    rd_kafka_header_add(message.headers, "h", -1, "plain", 5);
    return message;
}

static void await_reports(kfe_producer *producer, unsigned n)
{
    for (int i = 0; seen.reports < n && i < WAIT_MS / 10; i++)
        kfe_producer_poll(producer, 10);
    assert_int_equal(seen.reports, n);
}

static void assert_seen(rd_kafka_resp_err_t err)
{
    assert_int_equal(seen.err, err);
    assert_true(seen.content_ok);
    assert_int_equal(seen.headers, 1);
    assert_ptr_equal(seen.opaque, &seen.reports);
    assert_ptr_equal(seen.conf_opaque, &seen);
}

static void each_flag(kfe_producer *producer, const char *topic, rd_kafka_resp_err_t err)
{
    char own[LEN + 1];
    memcpy(own, text, sizeof(own));

    kfe_message message = message_to(topic, RD_KAFKA_MSG_F_COPY, own);
    assert_int_equal(kfe_produce(producer, &message), 0);
    memset(own, 'x', LEN); /* a copy was made */
    await_reports(producer, 1);
    assert_seen(err);
    assert_ptr_not_equal(seen.payload, own);

    memcpy(own, text, sizeof(own));
    message = message_to(topic, 0, own);
    assert_int_equal(kfe_produce(producer, &message), 0);
    await_reports(producer, 2);
    assert_seen(err);
    assert_ptr_equal(seen.payload, own);
    assert_string_equal(own, text); /* never written to */

    char *given = strdup(text);
    message = message_to(topic, RD_KAFKA_MSG_F_FREE, given);
    assert_int_equal(kfe_produce(producer, &message), 0);
    await_reports(producer, 3);
    assert_seen(err);
    assert_ptr_equal(seen.payload, given);
}

static void reports_of_success(void **state)
{
    (void)state;
    kfe_producer *producer = reporting_producer(NO_PAIRS);
    each_flag(producer, mock_topic(4), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(seen.status, RD_KAFKA_MSG_STATUS_PERSISTED);
    assert_true(seen.offset >= 0);
    mock_finish(producer);
}

static void reports_of_failure_from_a_broker_that_is_not_there(void **state)
{
    (void)state;
    kfe_producer *producer = reporting_producer(
        PAIRS("bootstrap.servers", "127.0.0.1:1", "message.timeout.ms", "20", "log_level", "0"));
    each_flag(producer, "nowhere", RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    kfe_producer_free(producer);
}

static void reports_of_purged_messages(void **state)
{
    (void)state;
    kfe_producer *producer = reporting_producer(PAIRS("linger.ms", "60000"));
    char own[] = "plain value";
    kfe_message message = message_to(mock_topic(1), 0, own);
    assert_int_equal(kfe_produce(producer, &message), 0);
    assert_int_equal(rd_kafka_purge(kfe_producer_handle(producer), RD_KAFKA_PURGE_F_QUEUE), 0);
    await_reports(producer, 1);
    assert_seen(RD_KAFKA_RESP_ERR__PURGE_QUEUE);
    kfe_producer_free(producer);
}

static void only_errors_are_reported_when_asked_for(void **state)
{
    (void)state;
    kfe_producer *producer = reporting_producer(PAIRS("delivery.report.only.error", "true"));
    kfe_message message = message_to(mock_topic(1), RD_KAFKA_MSG_F_FREE, strdup(text));
    assert_int_equal(kfe_produce(producer, &message), 0);
    assert_int_equal(rd_kafka_flush(kfe_producer_handle(producer), WAIT_MS), 0);
    assert_int_equal(seen.reports, 0);
    /* The partition cannot be there, which is found out at once. */
    message = message_to(message.topic, RD_KAFKA_MSG_F_FREE, strdup(text));
    message.partition = 9;
    assert_int_equal(kfe_produce(producer, &message), RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
    free(message.payload);
    rd_kafka_headers_destroy(message.headers);
    kfe_producer_free(producer);
}

static void null_and_empty_are_told_apart(void **state)
{
    (void)state;
    kfe_producer *producer = reporting_producer(NO_PAIRS);
    kfe_message message = {.topic = mock_topic(1), .msgflags = RD_KAFKA_MSG_F_COPY};
    assert_int_equal(kfe_produce(producer, &message), 0);
    await_reports(producer, 1);
    assert_null(seen.payload);
    assert_int_equal(seen.headers, 0);
    assert_null(seen.opaque);
    message.payload = (void *)(uintptr_t) "";
    assert_int_equal(kfe_produce(producer, &message), 0);
    await_reports(producer, 2);
    assert_non_null(seen.payload);
    mock_finish(producer);
}

static void the_callback_may_take_the_headers(void **state)
{
    (void)state;
    kfe_producer *producer = reporting_producer(NO_PAIRS);
    seen.detach = true;
    kfe_message message = message_to(mock_topic(1), RD_KAFKA_MSG_F_FREE, strdup(text));
    assert_int_equal(kfe_produce(producer, &message), 0);
    await_reports(producer, 1);
    assert_seen(RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_finish(producer);
}

/* What is left over is freed with the producer; a leak checker has the last word. */
static void nothing_is_left_without_a_flush(void **state)
{
    (void)state;
    for (int reporting = 0; reporting < 2; reporting++) {
        const char *const *pairs = PAIRS("linger.ms", "60000");
        kfe_producer *producer = reporting ? reporting_producer(pairs)
                                           : mock_producer(mock_config(NO_PAIRS), mock_conf(pairs));
        const char *topic = mock_topic(1);
        for (int i = 0; i < 50; i++) {
            kfe_message message = message_to(topic, RD_KAFKA_MSG_F_FREE, strdup(text));
            message.partition = i % 2 == 0 ? 0 : RD_KAFKA_PARTITION_UA;
            assert_int_equal(kfe_produce(producer, &message), 0);
        }
        seen.reports = 0;
        kfe_producer_free(producer);
        assert_int_equal(seen.reports, 0);
    }
}

/* As with librdkafka, an application without delivery reports never has to poll. */
static void without_reports_nobody_needs_to_poll(void **state)
{
    (void)state;
    enum { N = 500 };
    kfe_producer *producer =
        mock_producer(mock_config(NO_PAIRS),
                      mock_conf(PAIRS("queue.buffering.max.messages", "10", "linger.ms", "0")));
    const char *topic = mock_topic(2);
    for (int i = 0; i < N; i++) {
        kfe_message message =
            message_to(topic, RD_KAFKA_MSG_F_FREE | RD_KAFKA_MSG_F_BLOCK, strdup(text));
        message.partition = RD_KAFKA_PARTITION_UA;
        assert_int_equal(kfe_produce(producer, &message), 0);
    }
    mock_finish(producer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_success),
        cmocka_unit_test(reports_of_failure_from_a_broker_that_is_not_there),
        cmocka_unit_test(reports_of_purged_messages),
        cmocka_unit_test(only_errors_are_reported_when_asked_for),
        cmocka_unit_test(null_and_empty_are_told_apart),
        cmocka_unit_test(the_callback_may_take_the_headers),
        cmocka_unit_test(nothing_is_left_without_a_flush),
        cmocka_unit_test(without_reports_nobody_needs_to_poll),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
