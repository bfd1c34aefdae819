/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/timer.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t timer_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int timer_pin(int cpu)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return -1;
    for (size_t i = CPU_SETSIZE; cpu < 0 && i > 0; i--)
        if (CPU_ISSET(i - 1, &allowed))
            cpu = (int)i - 1;
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return -1;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0 ? cpu : -1;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(random_next(state) % n);
}

enum { PROBE = 30000 };

static double repeat(const contestant *c, uint64_t passes)
{
    uint64_t begin = timer_ns();
    for (uint64_t i = 0; i < passes; i++)
        c->pass(c->self);
    return (double)(timer_ns() - begin);
}

/* Is the core ours alone? Six chains that keep it as busy as it can be take longer when a sibling
 * thread computes too, or when the clock is lower than it has been. */
static bool quiet(void)
{
    static double best = INFINITY;
    static volatile uint64_t seed = 1;
    uint64_t a = seed, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, begin = timer_ns();
    for (int i = 0; i < PROBE; i++) {
        a = (a ^ b) + (uint64_t)i;
        b += b << 3;
        c ^= c >> 5;
        d += d << 7;
        e ^= e >> 9;
        f = (f + e) ^ d;
    }
    seed = a ^ b ^ c ^ d ^ e ^ f;
    double taken = (double)(timer_ns() - begin);
    best = taken < best ? taken : best;
    return taken < best * 1.05;
}

/* A sample that was disturbed is taken again, twice at most; the least is what remains. */
static double sample(const contestant *c)
{
    double least = INFINITY;
    for (int tries = 0; tries < 3; tries++) {
        bool before = quiet();
        double taken = repeat(c, c->passes);
        least = taken < least ? taken : least;
        if (before && quiet())
            break;
    }
    return least / (double)c->passes / c->items;
}

/* Enough passes for one repetition, from a time that is long enough to be believed. */
static uint64_t calibrate(const contestant *c, double wanted)
{
    uint64_t passes = 1;
    double taken = repeat(c, passes);
    while (taken < wanted / 4) {
        passes *= 2;
        taken = repeat(c, passes);
    }
    return (uint64_t)ceil(1.05 * wanted / taken * (double)passes);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Who runs just before somebody may matter a little: another order in each round. */
static void shuffle(size_t *order, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = random_below(state, (uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

void timer_run(contestant *all, size_t n, const pace *how, void (*between)(void *arg), void *arg)
{
    static uint64_t state = 1;
    size_t order[64];
    unsigned rounds = how->rounds < ROUNDS_MAX ? how->rounds : ROUNDS_MAX;
    for (unsigned round = 0; round < rounds; round++) {
        if (between != NULL)
            between(arg);
        shuffle(order, n, &state);
        for (size_t i = 0; i < n; i++) {
            contestant *c = &all[order[i]];
            if (c->fresh != NULL)
                c->fresh(c->self);
            c->pass(c->self);
            if (round == 0)
                c->passes = calibrate(c, how->repetition);
            c->samples[round] = sample(c);
        }
    }
    for (size_t i = 0; i < n; i++) {
        qsort(all[i].samples, rounds, sizeof(double), by_size);
        all[i].fastest = all[i].samples[0];
        all[i].median = all[i].samples[rounds / 2];
    }
}
