/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_PROGRESS_H
#define KFE_CMD_PROGRESS_H

/* A line on stderr that tells how far a run has come, when stderr is a terminal and stdout is
 * none (there it would stand among the records). Else nothing is written. */

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *what; /* "produced" */
    bool shown;
    int64_t start_ms, next_ms;
    uint64_t n;
} kfe_cmd_progress;

/* `beside_records`: records go to stdout. */
void kfe_cmd_progress_init(kfe_cmd_progress *progress, const char *what, bool beside_records);
void kfe_cmd_progress_set(kfe_cmd_progress *progress, uint64_t n); /* cheap: call it per record */
void kfe_cmd_progress_end(kfe_cmd_progress *progress);

#endif
