/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

/* Tables of times, printed as text or Markdown, and written as CSV and JSON beside it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cjson/cJSON.h>

enum { COLUMNS_MAX = 12, ROWS_MAX = 16, GOALS_MAX = 2 };

/* `fastest` 0: there is none. A figure that is no time has no median. */
typedef struct {
    double fastest, median;
} cell;

/* How many times as fast row `ours` should be as row `theirs`; a row of -1 is not there. A bar of 0
 * asks for nothing. */
typedef struct {
    char what[96]; /* "kfe vaes512 to ipsec-mb avx512" */
    int ours, theirs;
    bool judged; /* false: the bars are not meant for this CPU */
    double at_least[COLUMNS_MAX], aim[COLUMNS_MAX];
} goal;

typedef struct {
    const char *name;      /* what --only calls it */
    const char *direction; /* "seal", "open" or "" */
    char title[160];
    const char *unit; /* "ns per message" */
    char columns[COLUMNS_MAX][24];
    size_t batch[COLUMNS_MAX]; /* messages or records in a call; 0: no matter */
    size_t n_columns;
    char rows[ROWS_MAX][40];
    size_t n_rows;
    cell cells[ROWS_MAX][COLUMNS_MAX];
    goal goals[GOALS_MAX];
    size_t n_goals;
} table;

#define TABLE_LIMIT "port limit" /* a row that is a bound and nobody's time */

/* Returns the row of that name, new or not. */
int table_row(table *t, const char *name);

/* goal.ours over goal.theirs: 0 where either time is missing. */
double table_ratio(const table *t, const goal *g, size_t column);
/* "aim", "met", "MISSED", "not run", or "" where nothing is asked. */
const char *table_verdict(const table *t, const goal *g, size_t column);

typedef struct {
    FILE *text; /* NULL: none */
    bool markdown;
    FILE *csv;         /* NULL: none */
    cJSON *json;       /* the root object, always kept */
    size_t cells;      /* seen so far */
    size_t unquiet;    /* whose median lies more than QUIET above the fastest */
    size_t missed;     /* bars that were not reached */
    size_t bars, aims; /* bars that were tried, and of these the aims that were reached */
} report;

#define QUIET 1.08

void report_begin(report *r, FILE *text, bool markdown, FILE *csv);
void report_fact(report *r, const char *name, const char *value); /* a line of the page's head */
void report_facts_end(report *r);
void report_table(report *r, const table *t);
/* The last words. `json`: where the whole goes, or NULL. False: it could not be written. */
bool report_end(report *r, FILE *json);

/* For report.c: a table in two of its forms. */
void report_csv(FILE *to, const table *t);
void report_json(cJSON *root, const table *t);

#endif
