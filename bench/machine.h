/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

/* The head of the page: what was measured, on what, when, by which command. */

#include "bench/bench.h"

void machine_facts(bench *b, int cpu, int argc, char **argv);

#endif
