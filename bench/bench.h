/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* What a run of kfe-bench has, and its tables. */

#include "bench/peer.h"
#include "bench/port.h"
#include "bench/report.h"
#include "bench/timer.h"

typedef struct {
    peer_list peers;
    pace pace;
    size_t key_len; /* 16, 24 or 32 */
    size_t batch;   /* messages in a call, in the tables of many; 0: what fits the cache */
    port_rates port;
    report report;
} bench;

/* Each prints its tables. False: a contestant is wrong, and has been named on standard error. */
bool bench_sizes(bench *b);
bool bench_mix(bench *b);
bool bench_alone(bench *b);
bool bench_few(bench *b);
bool bench_narrow(bench *b);
bool bench_keys(bench *b);
bool bench_evp(bench *b); /* nothing where kfe.so is not there or refuses to load */
bool bench_setup(bench *b);
bool bench_records(bench *b);
bool bench_port(bench *b);

/* A goal between two rows, which need not be there, or between kfe's best backend and a row. It is
 * judged on CPUs with AVX-512 and VAES. */
goal bench_goal(table *t, const char *ours, const char *theirs);
goal bench_best_goal(const bench *b, table *t, const char *theirs);

/* Bars in the order of the columns; none where another key or batch is timed than they are for. */
void bench_bars(const bench *b, goal *g, const double *at_least, const double *aim, size_t n);

bool bench_has_bars(const bench *b);

/* ipsec-mb on its best code path, as printed; "" where it is not there. */
const char *bench_rival(const bench *b);

/* "AES-256-GCM" */
const char *bench_cipher(const bench *b);

#endif
