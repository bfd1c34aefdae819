/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "kafka/block.h"
#include "kafka/conf.h"
#include "kafka/headers.h"
#include "kafka/scratch.h"
#include "kafka/setup.h"

enum {
    BATCH_RECORDS = 1024,  /* sealed in one go */
    BATCH_BYTES = 4 << 20, /* likewise; one record may be larger */
};

struct kfe_producer {
    rd_kafka_t *rk;
    kfe_setup setup;
    kfe_conf_producer conf;
    kfe_partitioner partitioner;
    kfe_scratch_pool pool;
    kfe_ledger ledger;
};

/* The block of the rd_kafka_producev() call that this thread is in. librdkafka acknowledges a
 * message that it then refuses, before the call returns: that block is not released twice. */
static _Thread_local const kfe_block *enqueuing;

/* ---- Callbacks from librdkafka ------------------------------------------------------ */

static int32_t on_partition(const rd_kafka_topic_t *topic, const void *key, size_t len,
                            int32_t count, void *topic_opaque, void *opaque)
{
    const kfe_block *block = opaque;
    if (block == NULL) /* not by kfe_produce() */
        return rd_kafka_msg_partitioner_consistent_random(topic, key, len, count, topic_opaque,
                                                          opaque);
    return kfe_partitioner_run(&block->producer->partitioner, topic, block->key, count,
                               topic_opaque, block->opaque);
}

/* The message functions of librdkafka take the struct for the head of a larger one, so a copy of it
 * would not do: it shows the plaintext for the time of the call. Lengths count in librdkafka's
 * queues, so they must be what they were afterwards. */
static void report(kfe_delivery_fn *delivery, rd_kafka_t *rk, rd_kafka_message_t *message,
                   kfe_block *block, void *opaque)
{
    rd_kafka_message_t was = *message;
    message->payload = block->payload;
    message->len = block->len;
    message->key = (void *)(uintptr_t)block->key.data;
    message->key_len = block->key.len;
    message->_private = block->opaque;
    rd_kafka_message_set_headers(message, block->headers);
    block->headers = NULL;

    delivery(rk, message, opaque);

    message->payload = was.payload;
    message->len = was.len;
    message->key = was.key;
    message->key_len = was.key_len;
    message->_private = was._private;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    kfe_block *block = message->_private;
    if (block == NULL)
        return;
    const kfe_conf_producer *conf = &block->producer->conf;
    if (message->err || !conf->only_error)
        report(conf->delivery, rk, (rd_kafka_message_t *)(uintptr_t)message, block, opaque);
    kfe_block_free(block);
}

/* Without delivery reports this is the last that is heard of a message. */
static rd_kafka_resp_err_t on_acknowledgement(rd_kafka_t *rk, rd_kafka_message_t *message,
                                              void *opaque)
{
    (void)rk;
    (void)opaque;
    kfe_block *block = message->_private;
    if (block != NULL && block != enqueuing)
        kfe_block_free(block);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Whatever else the application produces on the handle has an opaque that is no block. */
static rd_kafka_resp_err_t on_send(rd_kafka_t *rk, rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->_private != enqueuing)
        message->_private = NULL;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The producer that this thread is making. An interceptor cannot be taken off a conf again; on a
 * client that is not ours it does nothing. */
static _Thread_local const kfe_producer *starting;

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
                                  char *errstr, size_t errstr_size)
{
    (void)conf;
    (void)opaque;
    (void)errstr;
    (void)errstr_size;
    if (starting == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    bool reports = starting->conf.delivery != NULL;
    starting = NULL;
    rd_kafka_resp_err_t err = rd_kafka_interceptor_add_on_send(rk, "kfe-producer", on_send, NULL);
    if (err || reports)
        return err;
    return rd_kafka_interceptor_add_on_acknowledgement(rk, "kfe-producer", on_acknowledgement,
                                                       NULL);
}

/* ---- Making and freeing ------------------------------------------------------------- */

/* A conf that was here before has it already. */
static kfe_error add_on_new(rd_kafka_conf_t *conf)
{
    rd_kafka_resp_err_t err =
        rd_kafka_conf_interceptor_add_on_new(conf, "kfe-producer", on_new, NULL);
    if (err && err != RD_KAFKA_RESP_ERR__CONFLICT)
        return kfe_fail(KFE_E_CONFIG, "librdkafka: %s", rd_kafka_err2str(err));
    return KFE_OK;
}

static kfe_error start(kfe_producer *p, rd_kafka_conf_t *conf)
{
    kfe_error err = add_on_new(conf);
    if (!err)
        err = kfe_conf_producer_install(conf, &p->conf, on_delivery, on_partition);
    if (err)
        return err;
    char errstr[256] = "";
    starting = p;
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    starting = NULL;
    if (p->rk == NULL) {
        kfe_conf_producer_restore(conf, &p->conf);
        return kfe_fail(KFE_E_CONFIG, "librdkafka: %s", errstr);
    }
    kfe_partitioner_set_linger(&p->partitioner, kfe_conf_linger_ms(rd_kafka_conf(p->rk)));
    return KFE_OK;
}

static kfe_error open_parts(kfe_producer *p, rd_kafka_conf_t *conf, const kfe_config *config)
{
    kfe_error err = kfe_setup_init(&p->setup, config);
    if (err)
        return err;
    bool compression = kfe_config_flag(p->setup.config, "encryption.allow.compression");
    err = kfe_conf_producer_read(conf, compression, &p->conf);
    if (!err)
        err = kfe_partitioner_init(&p->partitioner, p->conf.partitioner_cb, p->conf.partitioner);
    if (err)
        return err;
    err = start(p, conf);
    if (err)
        kfe_partitioner_wipe(&p->partitioner);
    return err;
}

kfe_error kfe_producer_new(kfe_producer **out, rd_kafka_conf_t *conf, const kfe_config *config)
{
    if (out == NULL || conf == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_producer_new: a NULL argument");
    *out = NULL;
    kfe_producer *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a producer");
    kfe_error err = open_parts(p, conf, config);
    if (err) {
        kfe_setup_wipe(&p->setup);
        free(p);
        return err;
    }
    kfe_scratch_pool_init(&p->pool);
    kfe_ledger_init(&p->ledger);
    *out = p;
    return KFE_OK;
}

void kfe_producer_free(kfe_producer *producer)
{
    if (producer == NULL)
        return;
    rd_kafka_destroy(producer->rk);
    kfe_ledger_wipe(&producer->ledger);
    kfe_scratch_pool_wipe(&producer->pool);
    kfe_partitioner_wipe(&producer->partitioner);
    kfe_setup_wipe(&producer->setup);
    free(producer);
}

rd_kafka_t *kfe_producer_handle(const kfe_producer *producer)
{
    return producer->rk;
}

kfe_engine *kfe_producer_engine(const kfe_producer *producer)
{
    return producer->setup.engine;
}

int kfe_producer_poll(kfe_producer *producer, int timeout_ms)
{
    return rd_kafka_poll(producer->rk, timeout_ms);
}

/* ---- Producing ---------------------------------------------------------------------- */

/* The message is taken, and no report will ask for what the application handed over. */
static void release(const kfe_message *message)
{
    if ((message->msgflags & RD_KAFKA_MSG_F_FREE) != 0 &&
        (message->msgflags & RD_KAFKA_MSG_F_COPY) == 0)
        free(message->payload);
    if (message->headers != NULL)
        rd_kafka_headers_destroy(message->headers);
}

static rd_kafka_resp_err_t cannot_seal(kfe_message *message, kfe_error error)
{
    message->error = error;
    return RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION;
}

/* librdkafka copies key and value, so it never refers to our memory nor to the application's. */
static rd_kafka_resp_err_t hand_over(kfe_producer *p, const kfe_message *message,
                                     const kfe_record *sealed, kfe_block *block,
                                     rd_kafka_headers_t *headers)
{
    enqueuing = block;
    rd_kafka_resp_err_t err = rd_kafka_producev(
        p->rk, RD_KAFKA_V_TOPIC(message->topic), RD_KAFKA_V_PARTITION(message->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | (message->msgflags & RD_KAFKA_MSG_F_BLOCK)),
        RD_KAFKA_V_KEY(sealed->key.data, sealed->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)sealed->value.data, sealed->value.len),
        RD_KAFKA_V_TIMESTAMP(message->timestamp), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(block), RD_KAFKA_V_END);
    enqueuing = NULL;
    return err;
}

/* The block belongs to whoever serves the delivery report from the moment that librdkafka has
 * the message: it is not looked at after that. */
static rd_kafka_resp_err_t enqueue(kfe_producer *p, kfe_message *message, const kfe_record *sealed)
{
    rd_kafka_headers_t *headers = NULL;
    kfe_error error = kfe_headers_new(sealed->headers, sealed->n_headers, &headers);
    if (error)
        return cannot_seal(message, error);

    bool reports = p->conf.delivery != NULL;
    kfe_block *block = NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (reports || message->partition == RD_KAFKA_PARTITION_UA) {
        block = kfe_block_new(&p->ledger, p, message, reports);
        if (block == NULL)
            err = cannot_seal(message, kfe_fail(KFE_E_MEMORY, "no memory for a message"));
    }
    if (!err)
        err = hand_over(p, message, sealed, block, headers);
    if (!err) {
        if (!reports)
            release(message);
        return err;
    }
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
    if (block != NULL)
        kfe_block_discard(block);
    return err;
}

static bool too_long(const kfe_message *message)
{
    return (message->payload != NULL && message->len > KFE_LEN_MAX) ||
           (message->key != NULL && message->key_len > KFE_LEN_MAX);
}

/* How many of the next messages go into one kfe_seal(): at least one. Messages that are no record
 * end a batch. */
static size_t batch_size(const kfe_message *messages, size_t n)
{
    size_t bytes = 0, count = 0;
    while (count < n && count < BATCH_RECORDS && messages[count].topic != NULL &&
           !too_long(&messages[count])) {
        bytes += messages[count].len + messages[count].key_len;
        if (count > 0 && bytes > BATCH_BYTES)
            break;
        count++;
    }
    return count;
}

static void view(const kfe_message *message, kfe_header *headers, kfe_record *out)
{
    kfe_headers_view(message->headers, headers);
    size_t n_headers = kfe_headers_count(message->headers);
    for (size_t i = 0; message->header_refs != NULL && i < n_headers; i++)
        headers[i].key_ref = message->header_refs[i];
    *out = (kfe_record){
        .topic = {(const uint8_t *)message->topic, strlen(message->topic)},
        .key = {message->key, message->key != NULL ? message->key_len : 0},
        .value = {message->payload, message->payload != NULL ? message->len : 0},
        .headers = headers,
        .n_headers = n_headers,
        .partition = message->partition < 0 ? -1 : message->partition,
        .key_ref = message->key_ref,
        /* What the engine does not come to is not sealed. */
        .error = KFE_E_ARGUMENT,
    };
}

/* KFE_OK: scratch->records[i] is sealed, or has an error. KFE_E_MEMORY: there are no records. */
static kfe_error seal(kfe_producer *p, kfe_scratch *scratch, const kfe_message *messages, size_t n)
{
    size_t n_headers = 0;
    for (size_t i = 0; i < n; i++)
        n_headers += kfe_headers_count(messages[i].headers);
    kfe_error err = kfe_scratch_arrays(scratch, n, n_headers);
    if (err)
        return err;

    kfe_header *headers = scratch->headers;
    for (size_t i = 0; i < n; i++) {
        view(&messages[i], headers, &scratch->records[i]);
        headers += scratch->records[i].n_headers;
    }
    size_t space = kfe_seal_space(scratch->records, n, 0);
    err = kfe_scratch_space(scratch, space);
    if (!err)
        err = kfe_seal(p->setup.engine, scratch->records, scratch->records, n, scratch->space,
                       space, 0);
    else
        kfe_scratch_refuse(scratch, n, err);
    return KFE_OK;
}

/* Returns how many were enqueued. As with rd_kafka_produce_batch(), a full queue is the end for all
 * that follow: a later record must not overtake. */
static size_t produce_batch(kfe_producer *p, kfe_message *messages, size_t n, bool *full)
{
    kfe_scratch *scratch = kfe_scratch_take(&p->pool);
    kfe_error err = scratch != NULL ? seal(p, scratch, messages, n)
                                    : kfe_fail(KFE_E_MEMORY, "no memory for a batch of records");
    size_t enqueued = 0;
    for (size_t i = 0; i < n; i++) {
        kfe_message *message = &messages[i];
        kfe_error error = err ? err : scratch->records[i].error;
        if (error)
            message->err = cannot_seal(message, error);
        else if (*full)
            message->err = RD_KAFKA_RESP_ERR__QUEUE_FULL;
        else
            message->err = enqueue(p, message, &scratch->records[i]);
        enqueued += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        *full = *full || message->err == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    }
    kfe_scratch_give(&p->pool, scratch);
    return enqueued;
}

size_t kfe_produce_batch(kfe_producer *producer, kfe_message *messages, size_t n)
{
    size_t enqueued = 0;
    bool full = false;
    for (size_t i = 0; i < n; i++) {
        messages[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        messages[i].error = KFE_OK;
    }
    for (size_t done = 0; done < n;) {
        size_t count = full ? 0 : batch_size(messages + done, n - done);
        if (count > 0) {
            enqueued += produce_batch(producer, messages + done, count, &full);
            done += count;
        } else {
            kfe_message *message = &messages[done++];
            message->err = message->topic == NULL ? RD_KAFKA_RESP_ERR__INVALID_ARG
                           : too_long(message)    ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                                                  : RD_KAFKA_RESP_ERR__QUEUE_FULL;
        }
    }
    return enqueued;
}

rd_kafka_resp_err_t kfe_produce(kfe_producer *producer, kfe_message *message)
{
    kfe_produce_batch(producer, message, 1);
    return message->err;
}
