/* SPDX-License-Identifier: Apache-2.0 */
/* KIP-317's record through kfe_seal() and kfe_open(): policy, counters, envelopes, AAD and all.
 * Against it stand bare calls of ipsec-mb, one for each field, that do nothing but the cipher. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/contest.h"
#include "bench/keystore.h"

enum { RECORDS = 256, HEADERS = 5, SHORT = 5, KEY = 100, VALUE = 300, LONGEST = 390, SETS_MAX = 8 };
enum { FIELDS = HEADERS + 2, STRIDE = 1024, PAGES = 16, PAGE = 4096, KEYS_USED = 1 };

#define CALLS "%s, 7 calls"

/* One column. */
typedef struct {
    const char *label;
    bool record_scope, in_line, one_a_call;
    uint32_t shortest, longest;
} manner;

/* One engine pair at one column, in one direction. Its memory: plaintext, the space that calls
 * write to, and a space with each set's sealed records. */
typedef struct {
    const manner *how;
    kfe_engine *sealer, *opener;
    bool opening;
    size_t sets, set; /* different batches, and the next one */
    kfe_record plain[SETS_MAX][RECORDS], sealed[SETS_MAX][RECORDS], out[RECORDS];
    kfe_header headers[RECORDS][HEADERS];
    uint32_t lens[SETS_MAX][RECORDS];
    uint8_t *bytes, *space, *stored[SETS_MAX];
    size_t cap;
    size_t failed; /* records that came out with an error while timed */
    uint64_t state;
} run;

static const char *const names[HEADERS] = {"trace", "shard", "agent", "phase", "realm"};

static kfe_bytes view(const uint8_t *data, size_t len)
{
    return (kfe_bytes){data, len};
}

/* A record's fields one behind another, or each at a place of its own. */
static void lay_out(run *r, uint8_t *from)
{
    static const uint32_t apart[] = {0, 128, 528};
    for (size_t i = 0; i < RECORDS; i++) {
        uint8_t *at = from + i * STRIDE;
        for (size_t set = 0; set < r->sets; set++) {
            uint32_t len = r->lens[set][i];
            r->plain[set][i] = (kfe_record){
                .topic = view((const uint8_t *)"payments", 8),
                .key = view(at, KEY),
                .value = view(at + (r->how->in_line ? KEY : apart[1]), len),
                .headers = r->headers[i],
                .n_headers = HEADERS,
                .partition = -1,
            };
        }
        for (size_t h = 0; h < HEADERS; h++) {
            size_t place = r->how->in_line ? KEY + r->lens[0][i] + h * SHORT : apart[2] + 32 * h;
            r->headers[i][h] = (kfe_header){.name = view((const uint8_t *)names[h], SHORT),
                                            .value = view(at + place, SHORT)};
        }
    }
}

static size_t call(run *r, const kfe_record *in, uint8_t *space)
{
    size_t n = r->how->one_a_call ? 1 : RECORDS, failed = 0;
    for (size_t i = 0; i < RECORDS; i += n) {
        kfe_error err = r->opening ? kfe_open(r->opener, in + i, r->out, n, space, r->cap, 0)
                                   : kfe_seal(r->sealer, in + i, r->out, n, space, r->cap, 0);
        failed += err != KFE_OK;
    }
    return failed;
}

static void pass(void *self)
{
    run *r = self;
    size_t set = r->set++ % r->sets;
    r->failed += call(r, r->opening ? r->sealed[set] : r->plain[set], r->space);
}

static uint8_t *some_page(run *r, uint8_t *block)
{
    return block + random_below(&r->state, PAGES) * PAGE;
}

/* New addresses for all, and the sealed records made anew. */
static void fresh(void *self)
{
    run *r = self;
    lay_out(r, some_page(r, r->bytes));
    r->space = some_page(r, r->stored[SETS_MAX - 1] + r->cap + PAGES * PAGE) + PAGE / 2;
    for (size_t set = 0; set < r->sets; set++)
        if (kfe_seal(r->sealer, r->plain[set], r->sealed[set], RECORDS,
                     some_page(r, r->stored[set]), r->cap, 0) != KFE_OK)
            r->failed++;
}

static void *zeroed(size_t len)
{
    void *p = calloc(1, len);
    if (p == NULL) {
        fprintf(stderr, "kfe-bench: no memory\n");
        exit(1);
    }
    return p;
}

/* All batches have the same lengths, each in another order. */
static void choose_lengths(run *r)
{
    uint32_t range = r->how->longest - r->how->shortest + 1;
    for (size_t i = 0; i < RECORDS; i++)
        r->lens[0][i] = r->how->shortest + random_below(&r->state, range);
    for (size_t set = 1; set < SETS_MAX; set++)
        for (uint32_t i = 0; i < RECORDS; i++) {
            uint32_t j = random_below(&r->state, i + 1);
            r->lens[set][i] = r->lens[set][j];
            r->lens[set][j] = r->lens[0][i];
        }
}

static run *run_new(const manner *how, keystore *k, const char *backend)
{
    run *r = zeroed(sizeof(*r));
    r->how = how;
    r->sets = how->shortest == how->longest ? 1 : SETS_MAX;
    r->state = 1;
    r->bytes = zeroed(RECORDS * STRIDE + PAGES * PAGE);
    for (size_t i = 0; i < RECORDS * STRIDE + PAGES * PAGE; i++)
        r->bytes[i] = (uint8_t)random_next(&r->state);
    choose_lengths(r);
    lay_out(r, r->bytes);
    for (size_t set = 0; set < r->sets; set++) {
        size_t cap = kfe_seal_space(r->plain[set], RECORDS, 0);
        r->cap = r->cap > cap ? r->cap : cap;
    }
    size_t each = r->cap + PAGES * PAGE;
    r->stored[0] = zeroed((SETS_MAX + 1) * each + PAGE);
    for (size_t set = 1; set < SETS_MAX; set++)
        r->stored[set] = r->stored[0] + set * each;
    r->sealer = keystore_engine(k, backend, how->record_scope);
    r->opener = keystore_engine(k, backend, how->record_scope);
    return r;
}

static void run_free(run *r)
{
    free(r->bytes);
    free(r->stored[0]);
    free(r);
}

static bool same(kfe_bytes a, kfe_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool same_record(const kfe_record *a, const kfe_record *b)
{
    bool equal = same(a->key, b->key) && same(a->value, b->value) && a->n_headers == b->n_headers;
    for (size_t h = 0; equal && h < a->n_headers; h++)
        equal = same(a->headers[h].name, b->headers[h].name) &&
                same(a->headers[h].value, b->headers[h].value);
    return equal;
}

/* Another engine, over OpenSSL alone, opens everything and gets what was there; a changed byte
 * makes one record fail. */
static const char *check(run *r, kfe_engine *oracle)
{
    if (r->sealer == NULL || r->opener == NULL || oracle == NULL)
        return "no engine";
    fresh(r);
    kfe_engine *engines[] = {oracle, r->opener};
    for (size_t i = 0; i < 2 * r->sets; i++) {
        size_t set = i / 2;
        if (kfe_open(engines[i % 2], r->sealed[set], r->out, RECORDS, r->space, r->cap, 0) !=
            KFE_OK)
            return "what was sealed cannot be opened";
        for (size_t k = 0; k < RECORDS; k++)
            if (!same_record(&r->out[k], &r->plain[set][k]))
                return "what was sealed opens as something else";
    }
    size_t changed = random_below(&r->state, RECORDS), failed = 0;
    uint8_t *byte = (uint8_t *)(uintptr_t)r->sealed[0][changed].value.data;
    *byte ^= 1;
    bool refused =
        kfe_open(r->opener, r->sealed[0], r->out, RECORDS, r->space, r->cap, 0) == KFE_E_AUTH &&
        r->out[changed].error == KFE_E_AUTH;
    *byte ^= 1;
    for (size_t i = 0; i < RECORDS; i++)
        failed += r->out[i].error != KFE_OK;
    return refused && failed == 1 ? NULL : "a changed value, and not one record refused";
}

/* ---- A column ------------------------------------------------------------------------------- */

typedef struct {
    contestant all[2 * PEERS_MAX];
    run *runs[2 * PEERS_MAX];
    entry bare[2];
    const char *names[2 * PEERS_MAX];
    size_t n;
    workload work;
} contest;

static bool add_engines(bench *b, contest *c, const manner *how, keystore *k)
{
    kfe_engine *oracle = keystore_engine(k, "openssl", how->record_scope);
    for (size_t i = 0; i < b->peers.n; i++) {
        const peer *p = &b->peers.all[i];
        for (int opening = 0; strcmp(p->family, "kfe") == 0 && opening < 2; opening++) {
            run *r = run_new(how, k, p->variant);
            const char *wrong = check(r, oracle);
            r->opening = opening;
            c->names[c->n] = p->name;
            c->all[c->n] = (contestant){.pass = pass, .fresh = fresh, .self = r, .items = RECORDS};
            c->runs[c->n++] = r;
            if (wrong != NULL) {
                fprintf(stderr, "kfe-bench: %s, %s: %s\n", p->name, how->label, wrong);
                return false;
            }
        }
    }
    return true;
}

static bool add_bare(bench *b, contest *c, const manner *how)
{
    shape s = {.label = how->label,
               .spans = {{SHORT, SHORT},
                         {SHORT, SHORT},
                         {SHORT, SHORT},
                         {SHORT, SHORT},
                         {SHORT, SHORT},
                         {KEY, KEY},
                         {how->shortest, how->longest}},
               .in_turn = true,
               .n = RECORDS * FIELDS,
               .aad_len = 64,
               .n_keys = KEYS_USED};
    const peer *ipsec = peers_get(&b->peers, "ipsec-mb", "");
    workload_init(&c->work, &s, b->key_len);
    if (ipsec == NULL)
        return true;
    const char *wrong = workload_check(&c->work, ipsec);
    if (wrong != NULL) {
        fprintf(stderr, "kfe-bench: %s\n", wrong);
        return false;
    }
    static char name[64];
    snprintf(name, sizeof(name), CALLS, ipsec->name);
    for (int opening = 0; opening < 2; opening++) {
        c->bare[opening] = entry_of(ipsec, &c->work, opening);
        c->names[c->n] = name;
        c->all[c->n] =
            (contestant){.pass = entry_pass, .fresh = entry_fresh, .self = &c->bare[opening]};
        c->all[c->n++].items = RECORDS;
    }
    return true;
}

static void move(void *work)
{
    workload_move(work);
}

static void fill(contest *c, table t[2], const manner *how)
{
    for (size_t i = 0; i < c->n; i++) {
        table *to = &t[i % 2];
        to->cells[table_row(to, c->names[i])][to->n_columns] =
            (cell){c->all[i].fastest, c->all[i].median};
    }
    for (int i = 0; i < 2; i++) {
        snprintf(t[i].columns[t[i].n_columns], sizeof(*t[i].columns), "%s", how->label);
        t[i].batch[t[i].n_columns++] = how->one_a_call ? 1 : RECORDS;
    }
}

static bool column(bench *b, table t[2], const manner *how)
{
    static contest c;
    memset(&c, 0, sizeof(c));
    keystore k;
    bool fine = keystore_begin(&k) && add_engines(b, &c, how, &k) && add_bare(b, &c, how);
    if (fine) {
        timer_run(c.all, c.n, &b->pace, move, &c.work);
        fill(&c, t, how);
    }
    for (size_t i = 0; i < 2 * PEERS_MAX; i++) {
        if (c.runs[i] == NULL)
            continue;
        if (c.runs[i]->failed > 0) {
            fprintf(stderr, "kfe-bench: %s, %s: honest records failed\n", c.names[i], how->label);
            fine = false;
        }
        run_free(c.runs[i]);
    }
    for (int i = 0; i < 2; i++)
        if (c.bare[i].peer != NULL)
            entry_free(&c.bare[i]);
    workload_free(&c.work);
    keystore_end(&k);
    return fine;
}

bool bench_records(bench *b)
{
    static const manner manners[] = {
        {.label = "field", .shortest = VALUE, .longest = VALUE},
        {.label = "field +-30%", .shortest = VALUE * 7 / 10, .longest = LONGEST},
        {.label = "record", .record_scope = true, .shortest = VALUE, .longest = VALUE},
        {.label = "in line",
         .record_scope = true,
         .in_line = true,
         .shortest = 300,
         .longest = 300},
        {.label = "one a call", .one_a_call = true, .shortest = VALUE, .longest = VALUE},
    };
    static const double bars[] = {1.7, 1.5, 2.0, 2.0, 1.2}, aims[] = {2.5, 0, 3.0, 3.0, 1.8};
    static const char *const directions[] = {"seal", "open"};
    char rival[64];
    table t[2];
    for (int i = 0; i < 2; i++) {
        t[i] = (table){.name = "records", .direction = directions[i], .unit = "ns per record"};
        snprintf(t[i].title, sizeof(t[i].title),
                 "records: %s, 5 headers of 5 B, key of 100 B, value of 300 B; the other side is "
                 "the cipher alone, AAD 64 B",
                 directions[i]);
    }
    bool fine = true;
    for (size_t i = 0; i < sizeof(manners) / sizeof(*manners) && fine; i++)
        fine = column(b, t, &manners[i]);
    for (int i = 0; i < 2 && fine; i++) {
        goal *g = &t[i].goals[t[i].n_goals++];
        snprintf(rival, sizeof(rival), CALLS, bench_rival(b));
        *g = bench_best_goal(b, &t[i], rival);
        bench_bars(b, g, bars, aims, 5);
        report_table(&b->report, &t[i]);
    }
    return fine;
}
