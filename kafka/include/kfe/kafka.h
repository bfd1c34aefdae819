/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_H
#define KFE_KAFKA_H

/* Producers and consumers that seal and open, on librdkafka's own handles. Everything
 * that is not about records (transactions, groups, commits, metadata) is done on
 * kfe_*_handle() by librdkafka's own calls.
 *
 * Threads: a producer may be used by any number of threads; a consumer by one at a time. */

#include <librdkafka/rdkafka.h>

#include <kfe/kfe.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Producer ---------------------------------------------------------------------- */

/* Produce by kfe_produce() and kfe_produce_batch() only: what rd_kafka_produce*() is given on the
 * handle leaves in clear, and its delivery report shows no opaque. Make topic objects on the handle
 * with conf NULL only, as one with a conf of its own brings its own partitioner (which would see
 * the sealed key) and compression; the place for topic options is the default topic conf. */
typedef struct kfe_producer kfe_producer;

/* Makes a librdkafka producer of `conf`, set up in the usual way: its dr_msg_cb, opaque,
 * partitioner, error and statistics callbacks work as ever. As with rd_kafka_new(), `conf` is
 * taken over on success only. `config` is borrowed; NULL: read from the file that KFE_CONFIG
 * names. KFE_E_CONFIG: also for compression without encryption.allow.compression, for the
 * old dr_cb, for delivery reports as events, and for what librdkafka itself refuses. */
KFE_API KFE_MUST_CHECK kfe_error kfe_producer_new(kfe_producer **out, rd_kafka_conf_t *conf,
                                                  const kfe_config *config);
/* As rd_kafka_destroy(): flush first; what was not delivered is dropped. NULL is fine. */
KFE_API void kfe_producer_free(kfe_producer *producer);
KFE_API rd_kafka_t *kfe_producer_handle(const kfe_producer *producer);
/* For its statistics: kfe_engine_on_statistics(). Lives as long as the producer. */
KFE_API kfe_engine *kfe_producer_engine(const kfe_producer *producer);

/* A record to produce; zero it, then set what is needed. */
typedef struct {
    const char *topic;
    int32_t partition; /* RD_KAFKA_PARTITION_UA: by the partitioner, from the plaintext key */
    int msgflags;      /* RD_KAFKA_MSG_F_COPY, _FREE, _BLOCK as ever; 0: `payload` stays until the
                          delivery report. What librdkafka holds is sealed and a copy always. */
    void *payload;
    size_t len;
    const void *key; /* copied */
    size_t key_len;
    int64_t timestamp;                     /* ms; 0: now */
    void *opaque;                          /* comes back in the delivery report's _private */
    rd_kafka_headers_t *headers;           /* taken over on success, else still the caller's */
    const kfe_key_ref *key_ref;            /* KIP-317's KeyReference for the record, or NULL */
    const kfe_key_ref *const *header_refs; /* one per header in order, each may be NULL; or NULL */
    rd_kafka_resp_err_t err;               /* written: librdkafka's word */
    kfe_error error;                       /* written: ours, when err is _VALUE_SERIALIZATION */
} kfe_message;

/* Seals one record and hands it to librdkafka. Nothing of it leaves in clear unless its topic
 * is listed in encryption.unencrypted.topics. Returns message->err: what rd_kafka_producev()
 * says (_QUEUE_FULL, _MSG_SIZE_TOO_LARGE counted after sealing, ...), or
 * RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION when it cannot be sealed: message->error and
 * kfe_error_detail() tell why. On error payload and headers stay the caller's, untouched. */
KFE_API rd_kafka_resp_err_t kfe_produce(kfe_producer *producer, kfe_message *message);
/* The same for n records, sealed in one go and enqueued in order; returns how many were
 * enqueued; each `err` and `error` tells its own, kfe_error_detail() only of the last that failed.
 * Once the queue is full the rest is not tried, so that none overtakes. */
KFE_API size_t kfe_produce_batch(kfe_producer *producer, kfe_message *messages, size_t n);
/* Serves delivery reports and other callbacks, as rd_kafka_poll(). A delivery report shows the
 * application's own key, value, headers and opaque. */
KFE_API int kfe_producer_poll(kfe_producer *producer, int timeout_ms);

/* ---- Consumer ---------------------------------------------------------------------- */

typedef struct kfe_consumer kfe_consumer;

/* Makes a librdkafka consumer of `conf` and points its queues to rd_kafka_consumer_poll().
 * Otherwise as kfe_producer_new(). */
KFE_API KFE_MUST_CHECK kfe_error kfe_consumer_new(kfe_consumer **out, rd_kafka_conf_t *conf,
                                                  const kfe_config *config);
KFE_API void kfe_consumer_free(kfe_consumer *consumer); /* closes it first; NULL is fine */
KFE_API rd_kafka_t *kfe_consumer_handle(const kfe_consumer *consumer);
KFE_API kfe_engine *kfe_consumer_engine(const kfe_consumer *consumer); /* as for a producer */

/* Called, on the polling thread, for every record that is refused, whatever
 * encryption.consumer.on.error says; and once for a record that has to wait (KFE_E_BUSY,
 * KFE_E_PROVIDER, KFE_E_MEMORY, KFE_E_RANDOM, KFE_E_IO: it comes later). `detail` is one line for a
 * log, for a record that failed beside others a general one. Must not call kfe_consume*(). */
typedef void kfe_refused_cb(void *arg, const char *topic, int32_t partition, int64_t offset,
                            kfe_error error, const char *detail);
KFE_API void kfe_consumer_on_refused(kfe_consumer *consumer, kfe_refused_cb *refused, void *arg);

/* As rd_kafka_consumer_poll(): the next record, opened, without its `kfe` headers; or an error
 * message of librdkafka's; or NULL. Destroy it by rd_kafka_message_destroy().
 *
 * A refused record, with encryption.consumer.on.error:
 *   fail  comes out as a message with err RD_KAFKA_RESP_ERR__VALUE_DESERIALIZATION, no content,
 *         rd_kafka_message_errstr() and kfe_message_error() telling why. Its partition is paused at
 *         that record, whose offset is not stored: fix the cause and call kfe_consumer_retry(), or
 *         seek past it and resume.
 *   skip  is left out; but never for KFE_E_CREDENTIALS, KFE_E_BACKEND and what else says nothing
 *         about the record: those stop the partition as `fail` does.
 * KFE_E_BUSY and KFE_E_PROVIDER (and want of memory and the like) say nothing either: the partition
 * is paused and tried again a moment later, in either case. That resumes it also where the
 * application paused it meanwhile, and rd_kafka_position() is not known until then: take offsets
 * from the messages you got. A batch may hold records of a partition that was just revoked, as
 * librdkafka's may. */
KFE_API rd_kafka_message_t *kfe_consume(kfe_consumer *consumer, int timeout_ms);
/* Up to n of them, opened in one go; returns how many (0 after the timeout), -1 on error. */
KFE_API ssize_t kfe_consume_batch(kfe_consumer *consumer, int timeout_ms, rd_kafka_message_t **out,
                                  size_t n);
/* Resumes every partition that `fail` stopped, at the refused record; also one that was revoked and
 * came back within a second. A key that was missing is believed missing for 30 seconds, so a retry
 * right after it was added may be refused again. */
KFE_API rd_kafka_resp_err_t kfe_consumer_retry(kfe_consumer *consumer);

/* Why a message was refused; KFE_OK for every other message. */
KFE_API kfe_error kfe_message_error(const rd_kafka_message_t *message);

/* With encryption.consumer.partial: true when a field is still sealed, as its key is not at
 * hand. `field`: KFE_KEY, KFE_VALUE, or a header's place among the application's. A group that
 * was not opened leaves its `kfe` header with the message. */
enum { KFE_KEY = -1, KFE_VALUE = -2 };
KFE_API bool kfe_message_is_sealed(const rd_kafka_message_t *message, int field);

/* ---- Configuration ------------------------------------------------------------------ */

/* Sets `encryption.*` names on `config`, all others on `conf`. */
KFE_API KFE_MUST_CHECK kfe_error kfe_kafka_set(rd_kafka_conf_t *conf, kfe_config *config,
                                               const char *name, const char *value);
/* Reads a file of `name=value` lines of both kinds. */
KFE_API KFE_MUST_CHECK kfe_error kfe_kafka_load(rd_kafka_conf_t *conf, kfe_config *config,
                                                const char *path);

#ifdef __cplusplus
}
#endif
#endif
