/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_HOLD_H
#define KFE_KAFKA_HOLD_H

/* Partitions that are paused at a record which was not opened. Such a partition's position is set
 * back to the record, so whoever resumes it, we or the application, gets that record next. One
 * thread at a time. */

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include <kfe/error.h>

typedef struct kfe_hold kfe_hold;

typedef struct {
    rd_kafka_t *rk;
    kfe_hold *first;
} kfe_holds;

enum { KFE_BACKOFF_MIN_MS = 100, KFE_BACKOFF_MAX_MS = 2000 };

void kfe_holds_wipe(kfe_holds *holds); /* resumes nothing */

/* Pauses the message's partition at the message. `retry`: kfe_holds_resume_due() resumes it after
 * a time that doubles while the partition makes no headway; else kfe_holds_resume_stopped() does.
 * One that is not assigned any more is let go: librdkafka remembers a pause, also for when the
 * partition comes back. *again: the same record was held for a retry before. KFE_E_MEMORY: it is
 * paused at the message, but only the application can resume it. */
kfe_error kfe_holds_add(kfe_holds *holds, const rd_kafka_message_t *message, bool retry,
                        bool *again);

/* A message of the partition came, or its end, so the application resumed it. */
void kfe_holds_resumed(kfe_holds *holds, const rd_kafka_message_t *message);

/* True while the message's partition is held. */
bool kfe_holds_has(const kfe_holds *holds, const rd_kafka_message_t *message);

/* The message's partition made headway: forgets what is known of it. */
void kfe_holds_forget(kfe_holds *holds, const rd_kafka_message_t *message);

/* Resumes what is due, and lets go what was revoked (found out within a second); returns the ms
 * until it is to be called again, -1: nothing is held. */
int64_t kfe_holds_resume_due(kfe_holds *holds);
rd_kafka_resp_err_t kfe_holds_resume_stopped(kfe_holds *holds);

#endif
