/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for programs: one line of CSV for each cell, one object of JSON for each table. */
#include "bench/report.h"

static const goal *goal_of(const table *t, size_t row)
{
    for (size_t i = 0; i < t->n_goals; i++)
        if (t->goals[i].ours == (int)row)
            return &t->goals[i];
    return NULL;
}

void report_csv(FILE *to, const table *t)
{
    for (size_t row = 0; row < t->n_rows; row++)
        for (size_t i = 0; i < t->n_columns; i++) {
            const cell *c = &t->cells[row][i];
            const goal *g = goal_of(t, row);
            if (c->fastest <= 0)
                continue;
            fprintf(to, "%s,%s,\"%s\",\"%s\",%zu,%s,%.3f,", t->name, t->direction, t->rows[row],
                    t->columns[i], t->batch[i], t->unit, c->fastest);
            if (c->median > 0)
                fprintf(to, "%.3f", c->median);
            if (g == NULL || g->theirs < 0)
                fprintf(to, ",,,,,\n");
            else
                fprintf(to, ",\"%s\",%.3f,%.2f,%.2f,%s\n", t->rows[g->theirs], table_ratio(t, g, i),
                        g->at_least[i], g->aim[i], table_verdict(t, g, i));
        }
}

/* A figure, or null where there is none. */
static void add(cJSON *array, double value)
{
    cJSON_AddItemToArray(array, value > 0 ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

static void add_rows(cJSON *into, const table *t)
{
    cJSON *rows = cJSON_AddArrayToObject(into, "rows");
    for (size_t row = 0; row < t->n_rows; row++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", t->rows[row]);
        cJSON *fastest = cJSON_AddArrayToObject(one, "fastest");
        cJSON *median = cJSON_AddArrayToObject(one, "median");
        for (size_t i = 0; i < t->n_columns; i++) {
            add(fastest, t->cells[row][i].fastest);
            add(median, t->cells[row][i].median);
        }
        cJSON_AddItemToArray(rows, one);
    }
}

static void add_goals(cJSON *into, const table *t)
{
    cJSON *goals = cJSON_AddArrayToObject(into, "goals");
    for (size_t k = 0; k < t->n_goals; k++) {
        const goal *g = &t->goals[k];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "what", g->what);
        cJSON *ratio = cJSON_AddArrayToObject(one, "ratio");
        cJSON *at_least = cJSON_AddArrayToObject(one, "at_least");
        cJSON *aim = cJSON_AddArrayToObject(one, "aim");
        cJSON *verdict = cJSON_AddArrayToObject(one, "verdict");
        for (size_t i = 0; i < t->n_columns; i++) {
            add(ratio, table_ratio(t, g, i));
            add(at_least, g->at_least[i]);
            add(aim, g->aim[i]);
            cJSON_AddItemToArray(verdict, cJSON_CreateString(table_verdict(t, g, i)));
        }
        cJSON_AddItemToArray(goals, one);
    }
}

void report_json(cJSON *root, const table *t)
{
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "name", t->name);
    cJSON_AddStringToObject(one, "direction", t->direction);
    cJSON_AddStringToObject(one, "title", t->title);
    cJSON_AddStringToObject(one, "unit", t->unit);
    cJSON *columns = cJSON_AddArrayToObject(one, "columns");
    cJSON *batches = cJSON_AddArrayToObject(one, "in a call");
    for (size_t i = 0; i < t->n_columns; i++) {
        cJSON_AddItemToArray(columns, cJSON_CreateString(t->columns[i]));
        add(batches, (double)t->batch[i]);
    }
    add_rows(one, t);
    add_goals(one, t);
    cJSON_AddItemToArray(root, one);
}
