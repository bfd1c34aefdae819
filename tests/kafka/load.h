/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KAFKA_LOAD_H
#define TESTS_KAFKA_LOAD_H

/* A steady load on a real broker: numbered records of one producer under one key, to one partition
 * of a topic of their own. The keys are in a file, or in a token (KFE_CALL_US: each of its calls
 * takes so much longer). */

#include <stdatomic.h>
#include <time.h>

#include "tests/kafka/rig.h"

enum { LOAD_STEPS = 8, LOAD_BUCKETS = 64 * LOAD_STEPS };

typedef struct {
    char key[24];
    const char *topic;
    kfe_config *config;
    kfe_producer *producer;
    uint64_t refresh_ms, rate; /* records/s; 0: all that goes */
    _Atomic uint64_t n;        /* records so far */
    uint64_t latency[LOAD_BUCKETS];
    double p999_us; /* of kfe_produce() */
} load;

/* A number from the environment. */
uint64_t load_setting(const char *name, uint64_t otherwise);
int64_t load_now(clockid_t clock, int64_t per_second);

/* Exit 77 without a broker. */
void load_init(void);
/* cmocka's set-up of a group: all keys are in a token, a test_token, which is the state. */
int load_token(void **state);
/* A load's key, topic and producer, and its first record, which waits for the key. */
void load_begin(load *l, uint64_t refresh_ms, uint64_t rate);
/* Produces until `done` is set by another thread. */
void load_run(load *l, const atomic_bool *done);
/* Everything is delivered, nothing failed, and the first record alone has waited. */
void load_end(load *l);
void load_free(load *l); /* its configuration */

/* Every record is there, in order, and opens. */
void load_read_back(const load *l);
/* The version of the key that the next record is sealed under. Any thread. */
uint32_t load_version(const load *l);

#endif
