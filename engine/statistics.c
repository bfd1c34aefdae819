/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/statistics.h"

#include <time.h>

#include "engine/engine.h"

static void add(_Atomic uint64_t *count, uint64_t n)
{
    if (n != 0)
        atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

uint64_t kfe_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static unsigned bucket_of(uint64_t us)
{
    unsigned bits = us == 0 ? 0 : 64 - (unsigned)__builtin_clzll(us);
    return bits < KFE_LATENCY_BUCKETS ? bits : KFE_LATENCY_BUCKETS - 1;
}

void kfe_count_provider(kfe_counts *counts, kfe_asked what, kfe_error err, uint64_t started)
{
    kfe_asked_counts *asked = &counts->asked[what];
    uint64_t now = kfe_clock_us(), us = now > started ? now - started : 0;
    uint64_t max = atomic_load_explicit(&asked->max_us, memory_order_relaxed);
    add(&asked->n, 1);
    add(&asked->failures, err == KFE_E_PROVIDER || err == KFE_E_CREDENTIALS);
    add(&asked->latency[bucket_of(us)], 1);
    while (us > max && !atomic_compare_exchange_weak(&asked->max_us, &max, us))
        ;
}

void kfe_count_lookup(kfe_counts *counts, bool seal, bool waited)
{
    kfe_way_counts *way = &counts->way[seal];
    add(waited ? &way->waits : &way->hits, 1);
}

unsigned kfe_refusal_place(kfe_error err)
{
    unsigned hundreds = (unsigned)err / 100, rest = (unsigned)err % 100;
    return hundreds < 1 || hundreds > 4 || rest > 6 ? 0 : (hundreds - 1) * 8 + rest + 1;
}

kfe_error kfe_refusal_error(unsigned place)
{
    return place == 0 ? KFE_OK : (kfe_error)((place - 1) / 8 * 100 + 100 + (place - 1) % 8);
}

static void count_refused(kfe_way_counts *way, const kfe_job *j)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->out[i].error != KFE_OK)
            add(&way->refused[kfe_refusal_place(j->out[i].error)], 1);
}

void kfe_job_count(const kfe_job *j)
{
    kfe_way_counts *way = &j->state->counts.way[j->seal];
    uint64_t fields = 0, bytes = 0, done = 0, records = 0;
    for (const kfe_plan *plan = j->work->plans; plan != NULL; plan = plan->older)
        for (unsigned g = 0; plan->uses > 0 && g < plan->n_groups; g++)
            fields += plan->groups[g].skipped ? 0 : plan->uses * plan->groups[g].n_fields;
    for (size_t i = 0; i < j->n; i++) {
        bytes += j->out[i].key.len + j->out[i].value.len; /* none in a refused one */
        done += j->items[i].plan != NULL;
        records += j->out[i].error == KFE_OK;
    }
    add(&way->calls, 1);
    add(&way->records, done);
    add(&way->clear, records - done);
    add(&way->fields, done > 0 ? fields : 0);
    add(&way->bytes, bytes);
    if (j->work->first != KFE_OK)
        count_refused(way, j);
}

uint64_t kfe_latency_below(const uint64_t latency[KFE_LATENCY_BUCKETS], double share)
{
    uint64_t all = 0, seen = 0;
    for (unsigned i = 0; i < KFE_LATENCY_BUCKETS; i++)
        all += latency[i];
    for (unsigned i = 0; all > 0 && i < KFE_LATENCY_BUCKETS; i++) {
        seen += latency[i];
        if ((double)seen >= share * (double)all)
            return UINT64_C(1) << i;
    }
    return 0;
}
