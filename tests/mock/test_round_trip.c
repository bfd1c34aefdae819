/* SPDX-License-Identifier: Apache-2.0 */
/* Does every shape of a record come back as it was, and does nothing of it travel in clear? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/support/mock.h"

static rd_kafka_headers_t *headers_of(const kfe_message *message)
{
    return message->headers != NULL ? rd_kafka_headers_copy(message->headers) : NULL;
}

static void assert_bytes(const void *got, size_t got_len, const void *want, size_t want_len)
{
    assert_int_equal(got == NULL, want == NULL);
    if (want == NULL)
        return;
    assert_int_equal(got_len, want_len);
    assert_memory_equal(got, want, want_len);
}

static void assert_headers(const rd_kafka_message_t *message, const rd_kafka_headers_t *want)
{
    rd_kafka_headers_t *got = NULL;
    size_t n_got = rd_kafka_message_headers(message, &got) ? 0 : rd_kafka_header_cnt(got);
    size_t n_want = want != NULL ? rd_kafka_header_cnt(want) : 0;
    assert_int_equal(n_got, n_want);
    for (size_t i = 0; i < n_want; i++) {
        const char *name, *want_name;
        const void *value, *want_value;
        size_t len, want_len;
        rd_kafka_header_get_all(got, i, &name, &value, &len);
        rd_kafka_header_get_all(want, i, &want_name, &want_value, &want_len);
        assert_string_equal(name, want_name);
        assert_bytes(value, len, want_value, want_len);
    }
}

static void assert_record(rd_kafka_message_t *got, const kfe_message *want,
                          const rd_kafka_headers_t *headers)
{
    if (got->err)
        fail_msg("%s: %s", rd_kafka_message_errstr(got), kfe_error_detail());
    assert_bytes(got->key, got->key_len, want->key, want->key_len);
    assert_bytes(got->payload, got->len, want->payload, want->len);
    assert_headers(got, headers);
    rd_kafka_message_destroy(got);
}

/* Sends one record and reads it again, opened; `want` keeps its own copy of the headers. */
static void round_trip(const kfe_config *config, kfe_message *message)
{
    const char *topic = mock_topic(1);
    message->topic = topic;
    message->partition = 0;
    message->msgflags = RD_KAFKA_MSG_F_COPY;
    rd_kafka_headers_t *headers = headers_of(message);
    kfe_producer *producer = mock_producer(config, NULL);
    if (kfe_produce(producer, message))
        fail_msg("%s: %s", rd_kafka_err2str(message->err), kfe_error_detail());
    mock_finish(producer);

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    assert_record(mock_next(consumer), message, headers);
    kfe_consumer_free(consumer);
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
}

typedef struct {
    const void *bytes;
    size_t len;
} shape;

static const shape shapes[] = {{NULL, 0}, {"", 0}, {"a", 1}, {"\0\xff\0binary\x80", 10}};
enum { N_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void every_shape(const kfe_config *config)
{
    for (size_t i = 0; i < N_SHAPES * N_SHAPES; i++) {
        kfe_message message = {.key = shapes[i / N_SHAPES].bytes,
                               .key_len = shapes[i / N_SHAPES].len,
                               .payload = (void *)(uintptr_t)shapes[i % N_SHAPES].bytes,
                               .len = shapes[i % N_SHAPES].len};
        round_trip(config, &message);
    }
}

static void key_and_value_of_every_shape(void **state)
{
    (void)state;
    every_shape(mock_config(NO_PAIRS));
}

static void deterministic_keys_of_every_shape(void **state)
{
    (void)state;
    every_shape(mock_config(PAIRS("encryption.encrypt.keys", "deterministic",
                                  "encryption.keymanager.deterministic.key", "orders@1")));
}

static void record_scope_of_every_shape(void **state)
{
    (void)state;
    every_shape(mock_config(PAIRS("encryption.scope", "record", "encryption.commit", "true")));
}

static rd_kafka_headers_t *mixed_headers(void)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(6);
    rd_kafka_header_add(headers, "tenant", -1, "acme", 4);
    rd_kafka_header_add(headers, "twice", -1, "one", 3);
    rd_kafka_header_add(headers, "twice", -1, "two", 3);
    rd_kafka_header_add(headers, "null", -1, NULL, 0);
    rd_kafka_header_add(headers, "empty", -1, "", 0);
    rd_kafka_header_add(headers, "", -1, "\0\x01", 2);
    return headers;
}

static void headers_of_every_shape(void **state)
{
    (void)state;
    kfe_message message = {.payload = (void *)(uintptr_t) "value", .len = 5};
    message.headers = mixed_headers();
    round_trip(mock_config(NO_PAIRS), &message);
    message.headers = rd_kafka_headers_new(1); /* an empty list is no headers */
    round_trip(mock_config(NO_PAIRS), &message);
    message.headers = mixed_headers();
    round_trip(mock_config(PAIRS("encryption.encrypt.headers", "t.*")), &message);
}

static void a_record_of_half_a_megabyte(void **state)
{
    (void)state;
    static char value[500000];
    memset(value, 'v', sizeof(value));
    kfe_message message = {.payload = value, .len = sizeof(value), .key = "k", .key_len = 1};
    round_trip(mock_config(NO_PAIRS), &message);
}

static void explicit_key_references(void **state)
{
    (void)state;
    static const kfe_key_ref orders = {"orders", 0}, payments = {"payments", 1};
    const kfe_key_ref *refs[] = {NULL, &payments, NULL, &orders, NULL, &payments};
    kfe_message message = {.payload = (void *)(uintptr_t) "value", .len = 5};
    message.headers = mixed_headers();
    message.key_ref = &payments;
    message.header_refs = refs;
    round_trip(mock_config(NO_PAIRS), &message);
}

static bool contains(const void *bytes, size_t len, const char *text)
{
    return bytes != NULL && memmem(bytes, len, text, strlen(text)) != NULL;
}

static void nothing_travels_in_clear(void **state)
{
    (void)state;
    const char *topic = mock_topic(1);
    kfe_producer *producer = mock_producer(mock_config(NO_PAIRS), NULL);
    kfe_message message = {.topic = topic,
                           .payload = (void *)(uintptr_t) "value-MARKER",
                           .len = 12,
                           .key = "key-MARKER",
                           .key_len = 10,
                           .headers = rd_kafka_headers_new(1)};
    rd_kafka_header_add(message.headers, "h", -1, "header-MARKER", -1);
    assert_int_equal(kfe_produce(producer, &message), 0);
    mock_finish(producer);

    mock_record stored = mock_read(topic, 0, 0);
    assert_int_equal(stored.key_len, 10);
    assert_int_equal(stored.len, 12);
    assert_false(contains(stored.key, stored.key_len, "MARKER"));
    assert_false(contains(stored.value, stored.len, "MARKER"));
    assert_int_equal(rd_kafka_header_cnt(stored.headers), 2);
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; i < 2; i++) {
        rd_kafka_header_get_all(stored.headers, i, &name, &value, &len);
        assert_string_equal(name, i == 0 ? "kfe" : "h");
        assert_false(contains(value, len, "MARKER"));
    }
    mock_record_free(&stored);
}

static void a_batch_keeps_its_order_and_says_who_failed(void **state)
{
    (void)state;
    enum { N = 2500, BAD = 1700 };
    const char *topic = mock_topic(1);
    const kfe_config *config = mock_config(NO_PAIRS);
    static char values[N][16];
    static kfe_message messages[N];
    for (int i = 0; i < N; i++) {
        snprintf(values[i], sizeof(values[i]), "%d", i);
        messages[i] = (kfe_message){.topic = topic,
                                    .msgflags = RD_KAFKA_MSG_F_COPY,
                                    .payload = values[i],
                                    .len = strlen(values[i])};
    }
    messages[BAD].headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(messages[BAD].headers, "kfe", -1, "mine", 4);
    messages[BAD + 1].topic = NULL;

    kfe_producer *producer = mock_producer(config, NULL);
    assert_int_equal(kfe_produce_batch(producer, messages, N), N - 2);
    assert_int_equal(messages[BAD].err, RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION);
    assert_int_equal(messages[BAD].error, KFE_E_RECORD);
    assert_int_equal(messages[BAD + 1].err, RD_KAFKA_RESP_ERR__INVALID_ARG);
    rd_kafka_headers_destroy(messages[BAD].headers); /* still ours */
    mock_finish(producer);

    kfe_consumer *consumer = mock_consumer(config, NO_PAIRS, topic, 1);
    rd_kafka_message_t *got[100];
    for (int next = 0; next < N;) {
        ssize_t n = kfe_consume_batch(consumer, WAIT_MS, got, 100);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            next += next == BAD ? 2 : 0;
            assert_int_equal(got[i]->err, 0);
            assert_bytes(got[i]->payload, got[i]->len, values[next], strlen(values[next]));
            rd_kafka_message_destroy(got[i]);
            next++;
        }
    }
    kfe_consumer_free(consumer);
}

static void a_clear_topic_passes(void **state)
{
    (void)state;
    const kfe_config *config = mock_config(PAIRS("encryption.unencrypted.topics", "topic-.*"));
    kfe_message message = {
        .payload = (void *)(uintptr_t) "open", .len = 4, .key = "", .key_len = 0};
    message.headers = mixed_headers();
    round_trip(config, &message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_and_value_of_every_shape),
        cmocka_unit_test(deterministic_keys_of_every_shape),
        cmocka_unit_test(record_scope_of_every_shape),
        cmocka_unit_test(headers_of_every_shape),
        cmocka_unit_test(a_record_of_half_a_megabyte),
        cmocka_unit_test(explicit_key_references),
        cmocka_unit_test(nothing_travels_in_clear),
        cmocka_unit_test(a_batch_keeps_its_order_and_says_who_failed),
        cmocka_unit_test(a_clear_topic_passes),
    };
    return cmocka_run_group_tests(tests, mock_start, mock_stop);
}
