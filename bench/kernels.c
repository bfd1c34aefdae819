/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of AES-GCM by the message. The bars stand here as docs/performance.md gives them. */
#include <stdio.h>
#include <string.h>

#include "bench/contest.h"

enum { MANY = 1024, AAD = 32, SIZES = 10 };

static const uint32_t sizes[SIZES] = {16, 32, 64, 100, 256, 300, 512, 1024, 4096, 16384};

const char *bench_cipher(const bench *b)
{
    return b->key_len == 16 ? "AES-128-GCM" : b->key_len == 24 ? "AES-192-GCM" : "AES-256-GCM";
}

bool bench_has_bars(const bench *b)
{
    return b->key_len == 32 && b->batch == 0;
}

static int row_of(table *t, const char *name)
{
    for (size_t i = 0; i < t->n_rows; i++)
        if (strcmp(t->rows[i], name) == 0)
            return (int)i;
    return -1;
}

goal bench_goal(table *t, const char *ours, const char *theirs)
{
    goal g = {.ours = row_of(t, ours), .theirs = row_of(t, theirs), .judged = port_is_wide()};
    snprintf(g.what, sizeof(g.what), "%s to %s", ours, *theirs ? theirs : "ipsec-mb");
    return g;
}

goal bench_best_goal(const bench *b, table *t, const char *theirs)
{
    const peer *best = peers_get(&b->peers, "kfe", "");
    return bench_goal(t, best != NULL ? best->name : "kfe", theirs);
}

const char *bench_rival(const bench *b)
{
    const peer *p = peers_get(&b->peers, "ipsec-mb", "");
    return p != NULL ? p->name : "";
}

void bench_bars(const bench *b, goal *g, const double *at_least, const double *aim, size_t n)
{
    for (size_t i = 0; i < n && bench_has_bars(b); i++) {
        g->at_least[i] = at_least[i];
        g->aim[i] = aim != NULL ? aim[i] : 0;
    }
}

/* ---- Shapes --------------------------------------------------------------------------------- */

/* Input and output together stay near 1 MiB, so that a kernel is timed and not the memory. */
static size_t many(const bench *b, uint32_t len)
{
    if (b->batch > 0)
        return b->batch;
    return len <= 512 ? MANY : MANY * 512 / len;
}

static shape fixed(uint32_t len, size_t n, size_t n_keys)
{
    static char labels[8][16];
    static size_t used;
    char *label = labels[used++ % 8];
    snprintf(label, sizeof(*labels), "%u B", len);
    return (shape){.label = label, .spans = {{len, len}}, .n = n, .aad_len = AAD, .n_keys = n_keys};
}

static shape mixed(const bench *b, size_t n_keys)
{
    return (shape){.label = "mix",
                   .spans = {{16, 100}, {10, 50}, {100, 1000}},
                   .n = many(b, 0),
                   .aad_len = AAD,
                   .n_keys = n_keys};
}

/* ---- Who ------------------------------------------------------------------------------------ */

/* The best code path of each library, and all of kfe's. */
static size_t fitting(const bench *b, const peer **who)
{
    size_t n = 0;
    for (size_t i = 0; i < b->peers.n; i++) {
        const peer *p = &b->peers.all[i];
        bool ours = strcmp(p->family, "kfe") == 0;
        if ((ours || p == peers_get(&b->peers, p->family, "")) &&
            !(p->only_256 && b->key_len != 32))
            who[n++] = p;
    }
    return n;
}

/* Those of a list that are there. */
static size_t named(const bench *b, const char *const (*names)[2], size_t n_names, const peer **who)
{
    size_t n = 0;
    for (size_t i = 0; i < n_names; i++) {
        const peer *p = peers_get(&b->peers, names[i][0], names[i][1]);
        if (p != NULL)
            who[n++] = p;
    }
    return n;
}

static void begin(const bench *b, table t[2], const char *name, const char *what)
{
    static const char *const directions[] = {"seal", "open"};
    for (int i = 0; i < 2; i++) {
        t[i] = (table){.name = name, .direction = directions[i], .unit = "ns per message"};
        snprintf(t[i].title, sizeof(t[i].title), "%s: %s, %s, %s", name, directions[i],
                 bench_cipher(b), what);
    }
}

typedef struct {
    const double *at_least, *aim;
} bars;

/* The goal that most tables have: our best kernel against the best peer. */
static void finish(bench *b, table t[2], const bars asked[2])
{
    for (int i = 0; i < 2; i++) {
        goal *g = &t[i].goals[t[i].n_goals++];
        *g = bench_best_goal(b, &t[i], bench_rival(b));
        if (asked != NULL)
            bench_bars(b, g, asked[i].at_least, asked[i].aim, t[i].n_columns);
        report_table(&b->report, &t[i]);
    }
}

/* ---- The tables ----------------------------------------------------------------------------- */

static bool sizes_and_mix(bench *b, table t[2], size_t n_keys)
{
    const peer *who[PEERS_MAX];
    size_t n = fitting(b, who);
    for (size_t i = 0; i < SIZES; i++) {
        shape s = fixed(sizes[i], many(b, sizes[i]), n_keys);
        if (!contest_column(b, t, &s, who, n))
            return false;
    }
    shape s = mixed(b, n_keys);
    return contest_column(b, t, &s, who, n);
}

bool bench_sizes(bench *b)
{
    static const double seal[] = {3.2, 2.9, 2.4, 2.1, 1.9, 1.85, 1.45, 1.2, 1.03, 1.03, 1.5};
    static const double seal_aim[] = {4.5, 4.0, 3.0, 2.5, 2.15, 2.05, 1.57, 1.35, 1.07, 1.07, 1.8};
    static const double open[] = {2.7, 2.5, 2.2, 1.9, 1.45, 1.45, 1.3, 1.15, 1.0, 1.03, 1.35};
    static const double open_aim[] = {3.6, 3.2, 2.7, 2.2, 1.65, 1.65, 1.42, 1.3, 1.05, 1.07, 1.6};
    table t[2];
    begin(b, t, "sizes", "AAD 32 B, one key");
    if (!sizes_and_mix(b, t, 1))
        return false;
    finish(b, t, (bars[]){{seal, seal_aim}, {open, open_aim}});
    return true;
}

bool bench_keys(bench *b)
{
    table t[2];
    begin(b, t, "keys", "AAD 32 B, 64 keys in turn");
    if (!sizes_and_mix(b, t, 64))
        return false;
    finish(b, t, NULL);
    return true;
}

bool bench_mix(bench *b)
{
    static const double seal[] = {0, 0, 0, 1.5}, seal_aim[] = {0, 0, 0, 1.8};
    static const double open[] = {0, 0, 0, 1.35}, open_aim[] = {0, 0, 0, 1.6};
    const peer *who[PEERS_MAX];
    size_t n = fitting(b, who);
    table t[2];
    begin(b, t, "mix", "AAD 32 B, one key, an order that does not repeat");
    shape shapes[] = {{.label = "16-100 B", .spans = {{16, 100}}},
                      {.label = "10-50 B", .spans = {{10, 50}}},
                      {.label = "100-1000 B", .spans = {{100, 1000}}},
                      mixed(b, 1)};
    for (size_t i = 0; i < 4; i++) {
        shapes[i].n = many(b, 0);
        shapes[i].aad_len = AAD;
        shapes[i].n_keys = 1;
        if (!contest_column(b, t, &shapes[i], who, n))
            return false;
    }
    finish(b, t, (bars[]){{seal, seal_aim}, {open, open_aim}});
    return true;
}

bool bench_alone(bench *b)
{
    static const double one[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const peer *who[PEERS_MAX];
    size_t n = fitting(b, who);
    table t[2];
    begin(b, t, "alone", "AAD 32 B, one message a call");
    for (size_t i = 0; i < SIZES; i++) {
        shape s = fixed(sizes[i], 1, 1);
        if (!contest_column(b, t, &s, who, n))
            return false;
    }
    shape s = {.label = "16-300 B", .spans = {{16, 300}}, .n = 1, .aad_len = AAD, .n_keys = 1};
    if (!contest_column(b, t, &s, who, n))
        return false;
    finish(b, t, (bars[]){{one, NULL}, {one, NULL}});
    return true;
}

bool bench_few(bench *b)
{
    static const double seal[] = {1.5, 1.5, 1.5}, open[] = {1.3, 1.3, 1.3};
    const peer *who[PEERS_MAX];
    size_t n = fitting(b, who);
    table t[2];
    begin(b, t, "few", "AAD 32 B, one key, a few messages of 16 to 300 B a call");
    shape shapes[] = {{.label = "4", .n = 4}, {.label = "7", .n = 7}, {.label = "16", .n = 16}};
    for (size_t i = 0; i < 3; i++) {
        shapes[i].spans[0] = (span){16, 300};
        shapes[i].aad_len = AAD;
        shapes[i].n_keys = 1;
        if (!contest_column(b, t, &shapes[i], who, n))
            return false;
    }
    finish(b, t, (bars[]){{seal, NULL}, {open, NULL}});
    return true;
}

/* EVP by the message, over kfe.so and over OpenSSL's own ciphers. */
bool bench_evp(bench *b)
{
    static const double asked[] = {1, 1, 1, 1, 1, 1, 1, 1, 2, 2};
    static const char *const wanted[][2] = {{"openssl", "kfe.so"}, {"openssl", ""}};
    const peer *who[PEERS_MAX];
    size_t n = named(b, wanted, 2, who);
    if (n < 2) {
        fprintf(stderr, "kfe-bench: no table evp, as kfe.so is not there or refuses to load\n");
        return true;
    }
    table t[2];
    begin(b, t, "evp", "AAD 32 B, one key, by OpenSSL's EVP");
    for (size_t i = 0; i < SIZES; i++) {
        shape s = fixed(sizes[i], many(b, sizes[i]), 1);
        if (!contest_column(b, t, &s, who, n))
            return false;
    }
    for (int i = 0; i < 2; i++) {
        goal *g = &t[i].goals[t[i].n_goals++];
        *g = bench_goal(&t[i], "openssl kfe.so", "openssl");
        bench_bars(b, g, asked, NULL, SIZES);
        report_table(&b->report, &t[i]);
    }
    return true;
}

/* The narrower backends: the bars are asked of sealing. */
bool bench_narrow(bench *b)
{
    static const double vaes256[] = {2.8, 2.4, 1.8, 1.45, 1.3, 1.25};
    static const double aesni[] = {2.5, 2.5, 2.5, 2.5, 0, 0};
    static const char *const wanted[][2] = {{"kfe", "vaes256"},
                                            {"kfe", "aesni"},
                                            {"ipsec-mb", "avx512"},
                                            {"ipsec-mb", "avx2"},
                                            {"ipsec-mb", "sse"}};
    const peer *who[PEERS_MAX];
    size_t n = named(b, wanted, sizeof(wanted) / sizeof(*wanted), who);
    table t[2];
    begin(b, t, "narrow", "AAD 32 B, one key");
    for (size_t i = 0; i < 6; i++) {
        shape s = fixed(sizes[i], many(b, sizes[i]), 1);
        if (!contest_column(b, t, &s, who, n))
            return false;
    }
    for (int i = 0; i < 2; i++) {
        goal *g = t[i].goals;
        g[0] = bench_goal(&t[i], "kfe vaes256", "ipsec-mb avx512");
        g[1] = bench_goal(&t[i], "kfe aesni", "ipsec-mb sse");
        if (i == 0) {
            bench_bars(b, &g[0], vaes256, NULL, 6);
            bench_bars(b, &g[1], aesni, NULL, 6);
        }
        t[i].n_goals = 2;
        report_table(&b->report, &t[i]);
    }
    return true;
}
