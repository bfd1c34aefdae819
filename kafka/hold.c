/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/hold.h"

#include <stdlib.h>
#include <string.h>

#include "kafka/clock.h"

enum {
    SEEK_TIMEOUT_MS = 1000,
    LOOK_MS = 1000, /* how often it is looked whether a stopped partition is ours still */
};

typedef enum {
    WAITING, /* paused, resumed when due */
    STOPPED, /* paused, resumed when asked to; looked after when due */
    TRYING,  /* resumed; kept for its backoff until the partition makes headway */
    REVOKED, /* not ours any more; kept until what was polled before is through */
} hold_state;

struct kfe_hold {
    kfe_hold *next;
    hold_state state;
    bool sought; /* the position is at `offset` */
    bool waited; /* it was held at `offset` for a retry */
    int backoff_ms;
    int64_t due_ms, offset;
    int32_t partition;
    char topic[];
};

static kfe_hold **find(const kfe_holds *holds, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    kfe_hold **at = (kfe_hold **)(uintptr_t)&holds->first;
    while (*at != NULL &&
           ((*at)->partition != message->partition || strcmp((*at)->topic, topic) != 0))
        at = &(*at)->next;
    return at;
}

static void unlink_hold(kfe_hold **at)
{
    kfe_hold *hold = *at;
    *at = hold->next;
    free(hold);
}

void kfe_holds_wipe(kfe_holds *holds)
{
    while (holds->first != NULL)
        unlink_hold(&holds->first);
}

void kfe_holds_resumed(kfe_holds *holds, const rd_kafka_message_t *message)
{
    if (holds->first == NULL)
        return;
    kfe_hold *hold = *find(holds, message);
    if (hold != NULL)
        hold->state = TRYING;
}

bool kfe_holds_has(const kfe_holds *holds, const rd_kafka_message_t *message)
{
    if (holds->first == NULL)
        return false;
    const kfe_hold *hold = *find(holds, message);
    return hold != NULL && hold->state != TRYING;
}

void kfe_holds_forget(kfe_holds *holds, const rd_kafka_message_t *message)
{
    if (holds->first == NULL)
        return;
    kfe_hold **at = find(holds, message);
    if (*at != NULL)
        unlink_hold(at);
}

static rd_kafka_topic_partition_list_t *list_of(const char *topic, int32_t partition,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

/* A seek also tells librdkafka to forget how far the application had come, so that no later pause
 * moves the position on. */
static rd_kafka_resp_err_t seek(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *error = rd_kafka_seek_partitions(rk, list, SEEK_TIMEOUT_MS);
    rd_kafka_resp_err_t err = error != NULL ? rd_kafka_error_code(error) : list->elems[0].err;
    if (error != NULL)
        rd_kafka_error_destroy(error);
    return err;
}

/* NULL when it cannot be told. */
static rd_kafka_topic_partition_list_t *assignment(rd_kafka_t *rk)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    return rd_kafka_assignment(rk, &assigned) ? NULL : assigned;
}

static bool is_in(const rd_kafka_topic_partition_list_t *assigned, const char *topic,
                  int32_t partition)
{
    return assigned == NULL ||
           rd_kafka_topic_partition_list_find(assigned, topic, partition) != NULL;
}

static void list_free(rd_kafka_topic_partition_list_t *assigned)
{
    if (assigned != NULL)
        rd_kafka_topic_partition_list_destroy(assigned);
}

typedef enum { AT_RECORD, NOT_SOUGHT, NOT_OURS } stop_result;

/* In this order: a pause goes by how far the application has come. */
static stop_result stop_at(rd_kafka_t *rk, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_topic_partition_list_t *list = list_of(topic, message->partition, message->offset);
    rd_kafka_pause_partitions(rk, list);
    stop_result result = NOT_OURS;
    rd_kafka_topic_partition_list_t *assigned = assignment(rk);
    if (is_in(assigned, topic, message->partition))
        result = seek(rk, list) ? NOT_SOUGHT : AT_RECORD;
    list_free(assigned);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

static kfe_hold **find_or_add(kfe_holds *holds, const rd_kafka_message_t *message)
{
    kfe_hold **at = find(holds, message);
    if (*at != NULL)
        return at;
    const char *topic = rd_kafka_topic_name(message->rkt);
    size_t len = strlen(topic) + 1;
    *at = calloc(1, sizeof(**at) + len);
    if (*at != NULL) {
        memcpy((*at)->topic, topic, len);
        (*at)->partition = message->partition;
    }
    return at;
}

static void back_off(kfe_hold *hold, int64_t offset)
{
    bool again = hold->backoff_ms > 0 && hold->offset == offset;
    hold->backoff_ms = again ? 2 * hold->backoff_ms : KFE_BACKOFF_MIN_MS;
    if (hold->backoff_ms > KFE_BACKOFF_MAX_MS)
        hold->backoff_ms = KFE_BACKOFF_MAX_MS;
    hold->due_ms = kfe_clock_ms() + hold->backoff_ms;
}

kfe_error kfe_holds_add(kfe_holds *holds, const rd_kafka_message_t *message, bool retry,
                        bool *again)
{
    *again = false;
    stop_result stopped = stop_at(holds->rk, message);
    kfe_hold *hold = *find_or_add(holds, message);
    if (hold == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory to remember a paused partition");
    *again = hold->waited && hold->offset == message->offset;
    back_off(hold, message->offset);
    hold->offset = message->offset;
    hold->waited = retry;
    hold->state = stopped == NOT_OURS ? REVOKED : retry ? WAITING : STOPPED;
    hold->sought = stopped == AT_RECORD;
    if (hold->state == STOPPED)
        hold->due_ms = kfe_clock_ms() + LOOK_MS;
    return KFE_OK;
}

/* Another consumer has the partition, or it comes back from its committed offset. */
static void let_go(kfe_holds *holds, kfe_hold **at)
{
    rd_kafka_topic_partition_list_t *list = list_of((*at)->topic, (*at)->partition, 0);
    rd_kafka_resume_partitions(holds->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    unlink_hold(at);
}

/* After a seek that failed it stays paused until it is where it should be. */
static rd_kafka_resp_err_t resume(kfe_holds *holds, kfe_hold *hold)
{
    rd_kafka_topic_partition_list_t *list = list_of(hold->topic, hold->partition, hold->offset);
    rd_kafka_resp_err_t err = hold->sought ? RD_KAFKA_RESP_ERR_NO_ERROR : seek(holds->rk, list);
    if (!err) {
        hold->sought = true;
        err = rd_kafka_resume_partitions(holds->rk, list);
    }
    if (!err)
        err = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    return err;
}

static bool is_chosen(const kfe_hold *hold, hold_state state, int64_t now)
{
    if (state == STOPPED)
        return hold->state == STOPPED;
    return hold->state == REVOKED || (hold->state != TRYING && hold->due_ms <= now);
}

/* STOPPED: resumes these. WAITING: what is due, and looks after all others. */
static rd_kafka_resp_err_t serve(kfe_holds *holds, hold_state state, int64_t now)
{
    rd_kafka_topic_partition_list_t *assigned = assignment(holds->rk);
    rd_kafka_resp_err_t first = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (kfe_hold **at = &holds->first; *at != NULL;) {
        kfe_hold *hold = *at;
        if (!is_chosen(hold, state, now)) {
            at = &hold->next;
            continue;
        }
        if (hold->state == REVOKED || !is_in(assigned, hold->topic, hold->partition)) {
            let_go(holds, at);
            continue;
        }
        rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
        if (hold->state == state)
            err = resume(holds, hold);
        if (hold->state == state && !err)
            hold->state = TRYING;
        else
            hold->due_ms = now + (hold->state == WAITING ? hold->backoff_ms : LOOK_MS);
        first = first ? first : err;
        at = &hold->next;
    }
    list_free(assigned);
    return first;
}

static int64_t next_due(const kfe_holds *holds)
{
    int64_t next = -1;
    for (const kfe_hold *hold = holds->first; hold != NULL; hold = hold->next) {
        int64_t due = hold->state == REVOKED ? 0 : hold->due_ms;
        if (hold->state != TRYING && (next < 0 || due < next))
            next = due;
    }
    return next;
}

int64_t kfe_holds_resume_due(kfe_holds *holds)
{
    int64_t next = next_due(holds);
    if (next < 0)
        return -1;
    int64_t now = kfe_clock_ms();
    if (next <= now) {
        serve(holds, WAITING, now);
        next = next_due(holds);
    }
    return next < 0 ? -1 : next > now ? next - now : 0;
}

rd_kafka_resp_err_t kfe_holds_resume_stopped(kfe_holds *holds)
{
    return serve(holds, STOPPED, kfe_clock_ms());
}
