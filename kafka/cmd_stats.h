/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_STATS_H
#define KFE_CMD_STATS_H

/* Statistics of the engine, for verbs that have one. */

#include <kfe/kfe.h>

/* Writes them to stderr, a line of JSON each, every encryption.statistics.interval.ms. */
kfe_error kfe_cmd_stats_report(kfe_engine *engine);

/* Seals and opens some records, none of which leaves the process, by the key that a producer would
 * take, and prints what the engine says of itself to stdout. */
kfe_error kfe_cmd_stats_try(kfe_engine *engine);

#endif
