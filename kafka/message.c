/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/message.h"

#include <string.h>

#include "kafka/headers.h"
#include "kafka/resp.h"
#include "kafka/status.h"
#include <kfe/kafka.h>

static rd_kafka_headers_t *headers_of(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *list = NULL;
    return rd_kafka_message_headers(message, &list) ? NULL : list;
}

kfe_error kfe_message_count_headers(const rd_kafka_message_t *message, size_t *n)
{
    rd_kafka_headers_t *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_message_headers(message, &list);
    *n = 0;
    if (err == RD_KAFKA_RESP_ERR__NOENT)
        return KFE_OK;
    if (err)
        return kfe_fail(KFE_E_AUTH, "the record's headers are malformed");
    *n = kfe_headers_count(list);
    return KFE_OK;
}

void kfe_message_view(const rd_kafka_message_t *message, kfe_header *headers, kfe_record *out)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_headers_t *list = headers_of(message);
    kfe_headers_view(list, headers);
    *out = (kfe_record){
        .topic = {(const uint8_t *)topic, strlen(topic)},
        .key = {message->key, message->key != NULL ? message->key_len : 0},
        .value = {message->payload, message->payload != NULL ? message->len : 0},
        .headers = headers,
        .n_headers = kfe_headers_count(list),
        .partition = message->partition,
        /* What the engine does not come to is not opened. */
        .error = KFE_E_ARGUMENT,
    };
}

/* A deterministic key is shorter than its stored form and comes from elsewhere. */
static void apply_bytes(void *at, size_t *len, kfe_bytes opened)
{
    if (opened.data != at && opened.len <= *len && at != NULL && opened.data != NULL) {
        memcpy(at, opened.data, opened.len);
        kfe_wipe((void *)(uintptr_t)opened.data, opened.len);
    }
    *len = opened.len;
}

static bool fits(const void *at, size_t len, kfe_bytes opened)
{
    return (at == NULL) == (opened.data == NULL) && opened.len <= len;
}

/* True when `opened` is what is left of `stored` without its `kfe` headers, in the same memory. */
static bool only_kfe_removed(const kfe_header *stored, size_t n_stored, const kfe_record *opened)
{
    size_t at = 0;
    for (size_t i = 0; i < n_stored; i++) {
        if (kfe_headers_is_kfe(stored[i].name))
            continue;
        if (at == opened->n_headers || opened->headers[at].name.data != stored[i].name.data ||
            opened->headers[at].value.data != stored[i].value.data)
            return false;
        at++;
    }
    return at == opened->n_headers;
}

/* Whether a group was left sealed shows by its fields. */
static bool left_sealed(kfe_bytes envelope, const kfe_record *opened)
{
    if ((opened->key_status == KFE_FIELD_SEALED && kfe_status_covers(envelope, KFE_KEY)) ||
        (opened->value_status == KFE_FIELD_SEALED && kfe_status_covers(envelope, KFE_VALUE)))
        return true;
    for (size_t i = 0; i < opened->n_headers; i++) {
        if (opened->headers[i].status == KFE_FIELD_SEALED && kfe_status_covers(envelope, (int)i))
            return true;
    }
    return false;
}

static bool any_sealed(const kfe_record *opened)
{
    bool sealed =
        opened->key_status == KFE_FIELD_SEALED || opened->value_status == KFE_FIELD_SEALED;
    for (size_t i = 0; i < opened->n_headers && !sealed; i++)
        sealed = opened->headers[i].status == KFE_FIELD_SEALED;
    return sealed;
}

/* The envelopes of groups that were not opened, then the application's headers. */
static kfe_error rebuild(const kfe_header *stored, size_t n_stored, const kfe_record *opened,
                         rd_kafka_headers_t *list)
{
    kfe_error err = KFE_OK;
    bool sealed = any_sealed(opened);
    for (size_t i = 0; i < n_stored && sealed && !err; i++) {
        if (kfe_headers_is_kfe(stored[i].name) && left_sealed(stored[i].value, opened))
            err = kfe_headers_add(list, &stored[i]);
    }
    for (size_t i = 0; i < opened->n_headers && !err; i++)
        err = kfe_headers_add(list, &opened->headers[i]);
    return err;
}

/* An empty list stays with the message: without one librdkafka would parse the stored headers
 * again. */
static kfe_error apply_headers(rd_kafka_message_t *message, const kfe_header *stored,
                               size_t n_stored, const kfe_record *opened)
{
    if (n_stored == opened->n_headers)
        return KFE_OK;
    if (!any_sealed(opened) && only_kfe_removed(stored, n_stored, opened)) {
        rd_kafka_header_remove(headers_of(message), "kfe");
        /* A name that goes on behind a NUL only looks like it. */
        if (kfe_headers_count(headers_of(message)) == opened->n_headers)
            return KFE_OK;
    }
    rd_kafka_headers_t *list = rd_kafka_headers_new(n_stored);
    kfe_error err = rebuild(stored, n_stored, opened, list);
    if (err)
        rd_kafka_headers_destroy(list);
    else
        rd_kafka_message_set_headers(message, list);
    return err;
}

kfe_error kfe_message_apply(rd_kafka_message_t *message, const kfe_header *stored, size_t n_stored,
                            const kfe_record *opened)
{
    if (!fits(message->key, message->key_len, opened->key) ||
        !fits(message->payload, message->len, opened->value))
        return kfe_fail(KFE_E_MEMORY, "an opened field does not fit its message");
    apply_bytes(message->key, &message->key_len, opened->key);
    apply_bytes(message->payload, &message->len, opened->value);
    return apply_headers(message, stored, n_stored, opened);
}

void kfe_message_refuse(rd_kafka_message_t *message, kfe_error error)
{
    const char *text = kfe_resp_text(error);
    message->err = RD_KAFKA_RESP_ERR__VALUE_DESERIALIZATION;
    message->payload = (void *)(uintptr_t)text;
    message->len = strlen(text);
    message->key = NULL;
    message->key_len = 0;
    rd_kafka_message_set_headers(message, rd_kafka_headers_new(1));
}

kfe_error kfe_message_error(const rd_kafka_message_t *message)
{
    if (message == NULL || message->err != RD_KAFKA_RESP_ERR__VALUE_DESERIALIZATION)
        return KFE_OK;
    return kfe_resp_code(message->payload);
}
