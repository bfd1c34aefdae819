/* SPDX-License-Identifier: Apache-2.0 */
/* What a new key costs: made, used for one message or none, and freed, memory included. */
#include <stdio.h>
#include <string.h>

#include "bench/contest.h"

enum { KEYS = 64 };

static void pass(void *self)
{
    entry *e = self;
    for (size_t i = 0; i < KEYS; i++) {
        void *key = e->peer->key_new(e->peer, e->work->raw[i], e->work->key_len);
        if (e->work->shape.spans[0].hi > 1) {
            batch b = workload_seal(e->work, 0, &key);
            e->peer->seal(&b);
        }
        e->peer->key_free(key);
    }
}

/* A workload has at least a byte: 1 stands for no message. */
static bool column(bench *b, table *t, const char *label, uint32_t len)
{
    static contestant all[PEERS_MAX];
    static entry entries[PEERS_MAX];
    workload w;
    workload_init(&w, &(shape){.label = label, .spans = {{len, len}}, .n = 1, .n_keys = 1},
                  b->key_len);
    size_t n = 0;
    const char *wrong = NULL;
    for (size_t i = 0; i < b->peers.n && wrong == NULL; i++) {
        const peer *p = &b->peers.all[i];
        if (p->only_256 && b->key_len != 32)
            continue;
        wrong = workload_check(&w, p);
        entries[n] = (entry){.peer = p, .work = &w};
        all[n] = (contestant){.pass = pass, .self = &entries[n], .items = KEYS};
        n++;
    }
    if (wrong == NULL)
        timer_run(all, n, &b->pace, NULL, NULL);
    else
        fprintf(stderr, "kfe-bench: %s\n", wrong);
    for (size_t i = 0; i < n && wrong == NULL; i++)
        t->cells[table_row(t, entries[i].peer->name)][t->n_columns] =
            (cell){all[i].fastest, all[i].median};
    snprintf(t->columns[t->n_columns++], sizeof(*t->columns), "%s", label);
    workload_free(&w);
    return wrong == NULL;
}

bool bench_setup(bench *b)
{
    table t = {.name = "setup", .direction = "", .unit = "ns per key"};
    snprintf(t.title, sizeof(t.title),
             "setup: %s, a key made, used to seal one message without AAD, and freed",
             bench_cipher(b));
    if (!column(b, &t, "unused", 1) || !column(b, &t, "16 B", 16) || !column(b, &t, "100 B", 100) ||
        !column(b, &t, "300 B", 300) || !column(b, &t, "4096 B", 4096))
        return false;
    goal *g = &t.goals[t.n_goals++];
    *g = bench_best_goal(b, &t, bench_rival(b));
    report_table(&b->report, &t);
    return true;
}
