/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_STATISTICS_H
#define KFE_ENGINE_STATISTICS_H

/* Counts what an engine does (docs/statistics.md). Relaxed atomics, touched once per call of
 * kfe_seal() and kfe_open(), and once per look at the shared state. Thread-safe. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kfe/keys.h>

enum { KFE_REFUSALS = 32 }; /* places for the codes of <kfe/error.h> */

/* What calls of one direction did. */
typedef struct {
    _Alignas(64) _Atomic uint64_t calls, records, clear, fields, bytes;
    _Atomic uint64_t hits;  /* looks that found a session ready */
    _Atomic uint64_t waits; /* and those that had to wait for the provider */
    _Atomic uint64_t refused[KFE_REFUSALS];
} kfe_way_counts;

/* What the engine asked of its provider. */
typedef enum {
    KFE_ASKED_KEY,
    KFE_ASKED_CURRENT,
    KFE_ASKED_SESSION, /* to derive, wrap or unwrap for one session */
    KFE_ASKED_KINDS,
} kfe_asked;

typedef struct {
    _Atomic uint64_t n, failures, max_us;
    _Atomic uint64_t latency[KFE_LATENCY_BUCKETS];
} kfe_asked_counts;

typedef struct {
    kfe_way_counts way[2]; /* opening, sealing */
    kfe_asked_counts asked[KFE_ASKED_KINDS];
} kfe_counts;

/* CLOCK_MONOTONIC in us. */
uint64_t kfe_clock_us(void);

/* A call of the provider that began at `started` has ended. A key that it says is not there is an
 * answer, no failure. */
void kfe_count_provider(kfe_counts *counts, kfe_asked what, kfe_error err, uint64_t started);
/* A session was asked for. */
void kfe_count_lookup(kfe_counts *counts, bool seal, bool waited);

/* The place of an error among `refused`, and back; 0: KFE_OK, or a code that is none. */
unsigned kfe_refusal_place(kfe_error err);
kfe_error kfe_refusal_error(unsigned place);

/* The bound in us that a share of `share` (0 to 1) of the calls stayed below; 0: no call. */
uint64_t kfe_latency_below(const uint64_t latency[KFE_LATENCY_BUCKETS], double share);

#endif
