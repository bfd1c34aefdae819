/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/contest.h"

#include <stdio.h>

/* Short, so that a repetition can be short; long enough for a call of one message to be alone with
 * the next one, and not with the harness. */
void entry_pass(void *self)
{
    entry *e = self;
    workload *w = e->work;
    size_t n = w->shape.n;
    batch b = e->opening ? workload_open(w, e->set, e->keys) : workload_seal(w, e->set, e->keys);
    for (size_t i = 0; i < e->calls; i++) {
        if (e->opening)
            e->refused += e->peer->open(&b);
        else
            e->peer->seal(&b);
        bool again = ++e->set == w->sets;
        e->set = again ? 0 : e->set;
        b.text = again ? w->text : b.text + n;
        if (e->opening)
            b.tag = again ? w->given : b.tag + n;
    }
}

entry entry_of(const peer *p, workload *w, bool opening)
{
    size_t n = w->shape.n;
    return (entry){.peer = p, .work = w, .opening = opening, .calls = n < 32 ? 512 / n : 1};
}

void entry_free(entry *e)
{
    for (size_t i = 0; i < e->work->shape.n_keys; i++) {
        if (e->keys[i] != NULL)
            e->peer->key_free(e->keys[i]);
        e->keys[i] = NULL;
    }
}

void entry_fresh(void *self)
{
    entry *e = self;
    entry_free(e);
    for (size_t i = 0; i < e->work->shape.n_keys; i++)
        e->keys[i] = e->peer->key_new(e->peer, e->work->raw[i], e->work->key_len);
}

static void move(void *work)
{
    workload_move(work);
}

static void fill_limit(const bench *b, table *t, size_t column, const workload *w)
{
    double aad = (w->shape.aad_len + 15) / 16;
    double limit = port_limit(&b->port, workload_blocks(w), aad, (unsigned)(6 + b->key_len / 4));
    if (limit > 0)
        t->cells[table_row(t, TABLE_LIMIT)][column].fastest = limit;
}

bool contest_column(bench *b, table t[2], const shape *kind, const peer *const *who, size_t n)
{
    static contestant all[2 * PEERS_MAX];
    static entry entries[2 * PEERS_MAX];
    workload w;
    workload_init(&w, kind, b->key_len);
    const char *wrong = NULL;
    for (size_t i = 0; i < n && wrong == NULL; i++)
        wrong = workload_check(&w, who[i]);
    if (wrong != NULL) {
        fprintf(stderr, "kfe-bench: %s\n", wrong);
        workload_free(&w);
        return false;
    }
    for (size_t i = 0; i < 2 * n; i++) {
        entries[i] = entry_of(who[i / 2], &w, i % 2);
        all[i] = (contestant){.pass = entry_pass, .fresh = entry_fresh, .self = &entries[i]};
        all[i].items = (double)(entries[i].calls * kind->n);
    }
    timer_run(all, 2 * n, &b->pace, move, &w);

    size_t column = t[0].n_columns, refused = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        table *to = &t[i % 2];
        cell *c = &to->cells[table_row(to, who[i / 2]->name)][column];
        *c = (cell){all[i].fastest, all[i].median};
        refused += entries[i].refused;
        entry_free(&entries[i]);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(t[i].columns[column], sizeof(*t[i].columns), "%s", kind->label);
        t[i].batch[column] = kind->n;
        t[i].n_columns++;
        fill_limit(b, &t[i], column, &w);
    }
    workload_free(&w);
    if (refused > 0)
        fprintf(stderr, "kfe-bench: %zu honest messages were refused\n", refused);
    return refused == 0;
}
