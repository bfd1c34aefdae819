/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H

/* One column of a table: a workload, and everybody who seals and opens it. */

#include "bench/bench.h"
#include "bench/workload.h"

/* A peer at work on one workload, in one direction. `contestant.self` of those below. */
typedef struct {
    const peer *peer;
    workload *work;
    bool opening;
    size_t calls, set; /* calls in a pass, and the next batch */
    void *keys[KEYS_MAX];
    size_t refused; /* of honest messages, while timed: must stay 0 */
} entry;

entry entry_of(const peer *p, workload *w, bool opening);
void entry_pass(void *self);
void entry_fresh(void *self); /* new keys */
void entry_free(entry *e);    /* its keys */

/* Fills `column` of t[0] by sealing and of t[1] by opening, after each of `who` was checked; a row
 * for each, and one for the port limit. False: somebody was wrong. */
bool contest_column(bench *b, table t[2], const shape *kind, const peer *const *who, size_t n);

#endif
