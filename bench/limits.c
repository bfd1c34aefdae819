/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what the core's units allow. */
#include <stdio.h>

#include "bench/bench.h"

bool bench_port(bench *b)
{
    static const char *const names[] = {"AES round", "carry-less product", "10 rounds, 3 products"};
    const port_rates *rates = &b->port;
    table t = {.name = "port", .direction = "", .unit = "cycles"};
    snprintf(t.title, sizeof(t.title),
             "port: what the core can do at %.2f GHz, in cycles of independent instructions",
             rates->ghz);
    for (size_t i = 0; i < 3 && rates->ghz > 0; i++) {
        const port_width *w = &rates->width[i];
        if (w->aes <= 0)
            continue;
        snprintf(t.columns[t.n_columns], sizeof(*t.columns), "%d bits", w->bits);
        double ns[] = {w->aes, w->mul, w->both};
        for (size_t k = 0; k < 3; k++)
            t.cells[table_row(&t, names[k])][t.n_columns].fastest = ns[k] * rates->ghz;
        t.n_columns++;
    }
    if (t.n_columns > 0)
        report_table(&b->report, &t);
    return true;
}
