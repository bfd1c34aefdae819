/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "kafka/clock.h"
#include "kafka/conf.h"
#include "kafka/hold.h"
#include "kafka/message.h"
#include "kafka/resp.h"
#include "kafka/scratch.h"
#include "kafka/setup.h"
#include <kfe/kafka.h>

enum { BATCH_RECORDS = 1024 }; /* opened in one go */

struct kfe_consumer {
    rd_kafka_t *rk;
    kfe_setup setup;
    kfe_scratch scratch;
    kfe_holds holds;
    bool stores; /* offsets are ours to store */
    bool skips;  /* encryption.consumer.on.error */
    kfe_refused_cb *refused;
    void *refused_arg;
};

/* ---- Making and freeing ------------------------------------------------------------- */

static kfe_error start(kfe_consumer *c, rd_kafka_conf_t *conf)
{
    kfe_error err = kfe_conf_consumer_install(conf, &c->stores);
    if (err)
        return err;
    char errstr[256] = "";
    c->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof(errstr));
    if (c->rk == NULL) {
        kfe_conf_consumer_restore(conf, c->stores);
        return kfe_fail(KFE_E_CONFIG, "librdkafka: %s", errstr);
    }
    rd_kafka_poll_set_consumer(c->rk);
    c->holds.rk = c->rk;
    return KFE_OK;
}

static kfe_error open_parts(kfe_consumer *c, rd_kafka_conf_t *conf, const kfe_config *config)
{
    kfe_error err = kfe_setup_init(&c->setup, config);
    if (err)
        return err;
    const char *on_error = kfe_config_get(c->setup.config, "encryption.consumer.on.error");
    c->skips = on_error != NULL && strcmp(on_error, "skip") == 0;
    if (on_error != NULL && !c->skips && strcmp(on_error, "fail") != 0)
        return kfe_fail(KFE_E_CONFIG, "encryption.consumer.on.error=%s: only fail and skip here",
                        on_error);
    return start(c, conf);
}

kfe_error kfe_consumer_new(kfe_consumer **out, rd_kafka_conf_t *conf, const kfe_config *config)
{
    if (out == NULL || conf == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_consumer_new: a NULL argument");
    *out = NULL;
    kfe_consumer *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a consumer");
    kfe_error err = open_parts(c, conf, config);
    if (err) {
        kfe_setup_wipe(&c->setup);
        free(c);
        return err;
    }
    *out = c;
    return KFE_OK;
}

void kfe_consumer_free(kfe_consumer *consumer)
{
    if (consumer == NULL)
        return;
    rd_kafka_consumer_close(consumer->rk);
    rd_kafka_destroy(consumer->rk);
    kfe_holds_wipe(&consumer->holds);
    kfe_scratch_wipe(&consumer->scratch);
    kfe_setup_wipe(&consumer->setup);
    free(consumer);
}

rd_kafka_t *kfe_consumer_handle(const kfe_consumer *consumer)
{
    return consumer->rk;
}

kfe_engine *kfe_consumer_engine(const kfe_consumer *consumer)
{
    return consumer->setup.engine;
}

void kfe_consumer_on_refused(kfe_consumer *consumer, kfe_refused_cb *refused, void *arg)
{
    consumer->refused = refused;
    consumer->refused_arg = arg;
}

rd_kafka_resp_err_t kfe_consumer_retry(kfe_consumer *consumer)
{
    return kfe_holds_resume_stopped(&consumer->holds);
}

/* ---- Opening ------------------------------------------------------------------------ */

/* Which may turn up before what lies in front of it is read again. */
static bool is_end(const rd_kafka_message_t *message)
{
    return message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && message->rkt != NULL;
}

/* Messages with `err` set are librdkafka's own and no records. */
static bool is_record(const rd_kafka_message_t *message)
{
    return message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Makes scratch->records[i] of the i-th record among the messages. */
static kfe_error view_all(kfe_scratch *scratch, rd_kafka_message_t *const *messages, size_t n,
                          size_t *n_records)
{
    size_t n_headers = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_record(messages[i]) && !kfe_message_count_headers(messages[i], &count))
            n_headers += count;
    }
    kfe_error err = kfe_scratch_arrays(scratch, n, n_headers);
    if (err)
        return err;
    kfe_header *headers = scratch->headers;
    for (size_t i = 0; i < n; i++) {
        if (!is_record(messages[i]))
            continue;
        kfe_record *record = &scratch->records[(*n_records)++];
        kfe_message_view(messages[i], headers, record);
        headers += record->n_headers;
    }
    return KFE_OK;
}

/* KFE_OK: scratch->records[i].error tells what became of each. *failed: how many have one.
 * KFE_E_MEMORY: there was no room for records at all. */
static kfe_error open_all(kfe_consumer *c, rd_kafka_message_t *const *messages, size_t n,
                          size_t *failed)
{
    kfe_scratch *scratch = &c->scratch;
    size_t count = 0;
    *failed = 0;
    kfe_error err = view_all(scratch, messages, n, &count);
    if (err || count == 0)
        return err;
    size_t space = kfe_open_space(scratch->records, count, KFE_IN_PLACE);
    err = kfe_scratch_space(scratch, space);
    if (err)
        kfe_scratch_refuse(scratch, count, err);
    else
        err = kfe_open(c->setup.engine, scratch->records, scratch->records, count, scratch->space,
                       space, KFE_IN_PLACE);
    for (size_t i = 0; err && i < count; i++)
        *failed += scratch->records[i].error != KFE_OK;
    return KFE_OK;
}

/* ---- One message's fate ------------------------------------------------------------- */

/* What is to be stored, put off while messages of one partition follow each other. */
typedef struct {
    rd_kafka_topic_t *topic;
    int32_t partition;
    int64_t offset;
} progress;

/* Refused when the partition was revoked meanwhile: then its offset is another's business. */
static void store(const kfe_consumer *c, progress *done)
{
    if (c->stores && done->topic != NULL)
        rd_kafka_offset_store(done->topic, done->partition, done->offset);
    done->topic = NULL;
}

static void advance(kfe_consumer *c, progress *done, const rd_kafka_message_t *message)
{
    kfe_holds_forget(&c->holds, message);
    if (done->topic != message->rkt || done->partition != message->partition)
        store(c, done);
    *done = (progress){message->rkt, message->partition, message->offset};
}

static void tell(const kfe_consumer *c, const rd_kafka_message_t *message, kfe_error error,
                 const char *detail)
{
    if (c->refused != NULL)
        c->refused(c->refused_arg, rd_kafka_topic_name(message->rkt), message->partition,
                   message->offset, error, detail);
}

/* Decides on a record that was opened or not; true when the application gets the message.
 * `detail` is only looked at for a failed one. */
static bool settle(kfe_consumer *c, rd_kafka_message_t *message, kfe_error error,
                   const char *detail, progress *done)
{
    kfe_fate fate = kfe_resp_fate(error);
    if (fate == KFE_FATE_DELIVER) {
        advance(c, done, message);
        return true;
    }
    bool again = false;
    bool waits =
        fate == KFE_FATE_RETRY && kfe_holds_add(&c->holds, message, true, &again) == KFE_OK;
    if (!again)
        tell(c, message, error, detail);
    if (waits)
        return false;
    if (fate == KFE_FATE_REFUSE && c->skips) {
        advance(c, done, message);
        store(c, done);
        return false;
    }
    /* Out of memory here leaves the partition paused all the same, and the error comes out. */
    if (fate != KFE_FATE_RETRY && kfe_holds_add(&c->holds, message, false, &again))
        error = KFE_E_MEMORY;
    kfe_message_refuse(message, error);
    return true;
}

/* Settles all in order; what follows a held record of its partition is dropped, as it comes again.
 * Returns how many are left, at the front. `no_room`: there are no records. The line of this
 * thread's last error is only certain to be about a record that failed alone. */
static size_t settle_all(kfe_consumer *c, rd_kafka_message_t **messages, size_t n,
                         kfe_error no_room, size_t failed)
{
    const kfe_header *stored = c->scratch.headers;
    const kfe_record *record = c->scratch.records;
    progress done = {0};
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *message = messages[i];
        if (!is_record(message)) {
            if (is_end(message) && kfe_holds_has(&c->holds, message))
                rd_kafka_message_destroy(message);
            else
                messages[kept++] = message;
            continue;
        }
        size_t n_stored = 0;
        kfe_error parse_err = kfe_message_count_headers(message, &n_stored);
        kfe_error error = no_room ? no_room : parse_err ? parse_err : record->error;
        bool keep = false;
        if (!kfe_holds_has(&c->holds, message)) {
            if (!error)
                error = kfe_message_apply(message, stored, n_stored, record);
            const char *detail = failed > 1 ? kfe_resp_detail(error) : kfe_error_detail();
            keep = settle(c, message, error, detail, &done);
        }
        if (!no_room) {
            kfe_scratch_wipe_key(&c->scratch, record);
            stored += n_stored;
            record++;
        }
        if (keep)
            messages[kept++] = message;
        else
            rd_kafka_message_destroy(message);
    }
    store(c, &done);
    return kept;
}

/* ---- Consuming ---------------------------------------------------------------------- */

static size_t open_batch(kfe_consumer *c, rd_kafka_message_t **messages, size_t n)
{
    for (size_t i = 0; i < n && c->holds.first != NULL; i++) {
        if (is_record(messages[i]) || is_end(messages[i]))
            kfe_holds_resumed(&c->holds, messages[i]);
    }
    size_t failed = 0;
    kfe_error err = open_all(c, messages, n, &failed);
    size_t kept = settle_all(c, messages, n, err, failed);
    if (kfe_scratch_is_large(&c->scratch))
        kfe_scratch_wipe(&c->scratch); /* one batch of a hostile broker is not paid for ever */
    return kept;
}

/* One by one: the batch calls of librdkafka 2.0 may hand out messages from before a seek or a
 * rebalance. */
static size_t poll_batch(kfe_consumer *c, int64_t wait_ms, rd_kafka_message_t **out, size_t n)
{
    size_t count = 0;
    while (count < n) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(c->rk, count == 0 ? (int)wait_ms : 0);
        if (message == NULL)
            break;
        out[count++] = message;
    }
    return count;
}

/* Sleeps no longer than until a held partition is to be tried again. */
static int64_t wait_for(int64_t left_ms, int64_t next_ms)
{
    int64_t wait_ms = next_ms >= 0 && next_ms < left_ms ? next_ms : left_ms;
    return wait_ms > INT32_MAX ? INT32_MAX : wait_ms;
}

ssize_t kfe_consume_batch(kfe_consumer *consumer, int timeout_ms, rd_kafka_message_t **out,
                          size_t n)
{
    if (consumer == NULL || out == NULL || n == 0)
        return -1;
    n = n < BATCH_RECORDS ? n : BATCH_RECORDS;
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : kfe_clock_ms() + timeout_ms;
    int64_t left = timeout_ms < 0 ? INT64_MAX : timeout_ms;
    size_t count = 0;
    do {
        int64_t next = kfe_holds_resume_due(&consumer->holds);
        count = poll_batch(consumer, wait_for(left, next), out, n);
        if (count > 0)
            count = open_batch(consumer, out, count);
        if (count == 0 && timeout_ms != 0)
            left = deadline == INT64_MAX ? INT64_MAX : deadline - kfe_clock_ms();
    } while (count == 0 && timeout_ms != 0 && left > 0);
    return (ssize_t)count;
}

rd_kafka_message_t *kfe_consume(kfe_consumer *consumer, int timeout_ms)
{
    rd_kafka_message_t *message = NULL;
    return kfe_consume_batch(consumer, timeout_ms, &message, 1) == 1 ? message : NULL;
}
