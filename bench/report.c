/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 40 }; /* characters of a line's label */

int table_row(table *t, const char *name)
{
    for (size_t i = 0; i < t->n_rows; i++)
        if (strcmp(t->rows[i], name) == 0)
            return (int)i;
    if (t->n_rows == ROWS_MAX) {
        fprintf(stderr, "kfe-bench: more than %d rows\n", ROWS_MAX);
        exit(1);
    }
    snprintf(t->rows[t->n_rows], sizeof(*t->rows), "%s", name);
    return (int)t->n_rows++;
}

double table_ratio(const table *t, const goal *g, size_t column)
{
    if (g->ours < 0 || g->theirs < 0 || t->cells[g->ours][column].fastest <= 0)
        return 0;
    return t->cells[g->theirs][column].fastest / t->cells[g->ours][column].fastest;
}

/* A bar is judged by what is printed: 1.196 reads 1.20. */
static double rounded(double ratio)
{
    return round(ratio * 100) / 100;
}

const char *table_verdict(const table *t, const goal *g, size_t column)
{
    if (g->at_least[column] <= 0)
        return "";
    double ratio = rounded(table_ratio(t, g, column));
    if (ratio <= 0 || !g->judged)
        return "not run";
    if (g->aim[column] > 0 && ratio >= g->aim[column])
        return "aim";
    return ratio >= g->at_least[column] ? "met" : "MISSED";
}

void report_begin(report *r, FILE *text, bool markdown, FILE *csv)
{
    *r = (report){.text = text, .markdown = markdown, .csv = csv, .json = cJSON_CreateObject()};
    if (r->json == NULL)
        exit(1);
    cJSON_AddObjectToObject(r->json, "machine");
    cJSON_AddArrayToObject(r->json, "tables");
    if (csv != NULL)
        fprintf(csv, "table,direction,row,column,batch,unit,fastest,median,against,ratio,at_least,"
                     "aim,verdict\n");
}

void report_fact(report *r, const char *name, const char *value)
{
    cJSON_AddStringToObject(cJSON_GetObjectItem(r->json, "machine"), name, value);
    if (r->text == NULL)
        return;
    if (r->markdown)
        fprintf(r->text, "- %s: %s\n", name, value);
    else
        fprintf(r->text, "%-12s %s\n", name, value);
}

void report_facts_end(report *r)
{
    if (r->text != NULL)
        fputc('\n', r->text);
}

/* ---- Lines, in both forms ------------------------------------------------------------------- */

static void first(const report *r, const char *label)
{
    if (r->markdown)
        fprintf(r->text, "| %s |", label);
    else
        fprintf(r->text, "  %-*s", FIRST, label);
}

static void next(const report *r, const char *value)
{
    if (r->markdown)
        fprintf(r->text, " %s |", value);
    else
        fprintf(r->text, " %9s", value);
}

static void number(const report *r, double value, int digits)
{
    char text[32] = "-";
    if (value > 0)
        snprintf(text, sizeof(text), "%.*f", digits, value);
    next(r, text);
}

static void last(const report *r)
{
    fputc('\n', r->text);
}

static int digits_of(double value)
{
    return value < 10 ? 2 : value < 100 ? 1 : 0;
}

static void head(const report *r, const table *t, const char *label)
{
    first(r, label);
    for (size_t i = 0; i < t->n_columns; i++)
        next(r, t->columns[i]);
    last(r);
    if (!r->markdown)
        return;
    fputs("|---|", r->text);
    for (size_t i = 0; i < t->n_columns; i++)
        fputs("--:|", r->text);
    last(r);
}

/* How near the fastest row comes to what the core's units allow. */
static void print_share(const report *r, const table *t)
{
    size_t limit = 0;
    while (limit < t->n_rows && strcmp(t->rows[limit], TABLE_LIMIT) != 0)
        limit++;
    if (limit == t->n_rows)
        return;
    first(r, "fastest / " TABLE_LIMIT);
    for (size_t i = 0; i < t->n_columns; i++) {
        double best = 0;
        for (size_t row = 0; row < t->n_rows; row++) {
            double ns = t->cells[row][i].fastest;
            if (row != limit && ns > 0 && (best <= 0 || ns < best))
                best = ns;
        }
        number(r, best / t->cells[limit][i].fastest, 2);
    }
    last(r);
}

static void print_cells(const report *r, const table *t, bool median)
{
    char label[64];
    snprintf(label, sizeof(label), "%s, %s", t->unit, median ? "median" : "fastest");
    head(r, t, label);
    bool batches = false;
    for (size_t i = 0; i < t->n_columns; i++)
        batches |= t->batch[i] > 0;
    if (batches && !median) {
        first(r, "in a call");
        for (size_t i = 0; i < t->n_columns; i++)
            number(r, (double)t->batch[i], 0);
        last(r);
    }
    for (size_t row = 0; row < t->n_rows; row++) {
        bool any = false;
        for (size_t i = 0; i < t->n_columns; i++)
            any |= (median ? t->cells[row][i].median : t->cells[row][i].fastest) > 0;
        if (!any)
            continue;
        first(r, t->rows[row]);
        for (size_t i = 0; i < t->n_columns; i++) {
            double value = median ? t->cells[row][i].median : t->cells[row][i].fastest;
            number(r, value, digits_of(value));
        }
        last(r);
    }
    if (!median)
        print_share(r, t);
    last(r);
}

static void print_goal(const report *r, const table *t, const goal *g)
{
    head(r, t, g->what);
    first(r, "times as fast");
    bool bars = false, aims = false;
    for (size_t i = 0; i < t->n_columns; i++) {
        number(r, table_ratio(t, g, i), 2);
        bars |= g->at_least[i] > 0;
        aims |= g->aim[i] > 0;
    }
    last(r);
    if (bars) {
        first(r, "at least");
        for (size_t i = 0; i < t->n_columns; i++)
            number(r, g->at_least[i], 2);
        last(r);
    }
    if (aims) {
        first(r, "aim");
        for (size_t i = 0; i < t->n_columns; i++)
            number(r, g->aim[i], 2);
        last(r);
    }
    if (bars) {
        first(r, "reached");
        for (size_t i = 0; i < t->n_columns; i++)
            next(r, table_verdict(t, g, i));
        last(r);
    }
    last(r);
}

static void count(report *r, const table *t)
{
    for (size_t row = 0; row < t->n_rows; row++)
        for (size_t i = 0; i < t->n_columns; i++) {
            const cell *c = &t->cells[row][i];
            r->cells += c->median > 0;
            r->unquiet += c->median > c->fastest * QUIET;
        }
    for (size_t k = 0; k < t->n_goals; k++)
        for (size_t i = 0; i < t->n_columns; i++) {
            const char *verdict = table_verdict(t, &t->goals[k], i);
            r->bars += *verdict != 0 && strcmp(verdict, "not run") != 0;
            r->missed += strcmp(verdict, "MISSED") == 0;
            r->aims += strcmp(verdict, "aim") == 0;
        }
}

void report_table(report *r, const table *t)
{
    count(r, t);
    report_json(cJSON_GetObjectItem(r->json, "tables"), t);
    if (r->csv != NULL)
        report_csv(r->csv, t);
    if (r->text == NULL)
        return;
    fprintf(r->text, r->markdown ? "### %s\n\n" : "== %s\n\n", t->title);
    print_cells(r, t, false);
    for (size_t i = 0; i < t->n_goals; i++)
        print_goal(r, t, &t->goals[i]);
    bool medians = false; /* a page to be read has enough without them */
    for (size_t row = 0; row < t->n_rows; row++)
        for (size_t i = 0; i < t->n_columns; i++)
            medians |= t->cells[row][i].median > 0 && !r->markdown;
    if (medians)
        print_cells(r, t, true);
    fflush(r->text);
}

bool report_end(report *r, FILE *json)
{
    if (r->text != NULL) {
        fprintf(r->text, "Bars reached: %zu of %zu, with %zu aims.\n", r->bars - r->missed, r->bars,
                r->aims);
        if (r->unquiet * 5 > r->cells)
            fprintf(r->text,
                    "Warning: this core was not quiet. In %zu of %zu cells the median lies more "
                    "than %.0f %% above the fastest.\n",
                    r->unquiet, r->cells, (QUIET - 1) * 100);
    }
    cJSON_AddNumberToObject(r->json, "cells", (double)r->cells);
    cJSON_AddNumberToObject(r->json, "unquiet", (double)r->unquiet);
    cJSON_AddNumberToObject(r->json, "bars", (double)r->bars);
    cJSON_AddNumberToObject(r->json, "missed", (double)r->missed);
    bool fine = r->csv == NULL || fclose(r->csv) == 0;
    if (json != NULL) {
        char *all = cJSON_Print(r->json);
        fine &= all != NULL && fputs(all, json) >= 0 && fputc('\n', json) >= 0;
        fine &= fclose(json) == 0;
        cJSON_free(all);
    }
    cJSON_Delete(r->json);
    return fine;
}
