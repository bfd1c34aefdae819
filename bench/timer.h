/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TIMER_H
#define BENCH_TIMER_H

/* Contestants timed in rounds, one after the other, so that whatever disturbs the core for a while
 * disturbs them alike. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUNDS_MAX = 200 };

typedef struct {
    void (*pass)(void *self);  /* the work */
    void (*fresh)(void *self); /* before each round, untimed: new keys, say; NULL: nothing */
    void *self;
    double items; /* messages, records, keys: whatever the time is told by, in a pass */

    double fastest, median; /* written: ns per item */
    uint64_t passes;        /* used inside: passes of a repetition */
    double samples[ROUNDS_MAX];
} contestant;

typedef struct {
    unsigned rounds;   /* 1..ROUNDS_MAX */
    double repetition; /* ns that one repetition takes at least */
} pace;

/* `between`, called before each round, may move what the contestants work on; NULL: nothing. Each
 * repetition is preceded by an untimed pass, and taken again where the core was not quiet. */
void timer_run(contestant *all, size_t n, const pace *how, void (*between)(void *arg), void *arg);

uint64_t timer_ns(void); /* that this thread has had a core */

/* Binds the program to a CPU; a negative one stands for the last of those allowed. Returns it, or
 * -1: it cannot be had. */
int timer_pin(int cpu);

/* splitmix64, for everything that is random here; the same numbers in each run. */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t n);

#endif
