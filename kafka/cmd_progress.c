/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kafka/clock.h"
#include "kafka/cmd_progress.h"

enum { EVERY_MS = 500, LOOK_MASK = 63 };

void kfe_cmd_progress_init(kfe_cmd_progress *progress, const char *what, bool beside_records)
{
    memset(progress, 0, sizeof(*progress));
    progress->what = what;
    progress->shown = isatty(STDERR_FILENO) && !(beside_records && isatty(STDOUT_FILENO));
    progress->start_ms = kfe_clock_ms();
    progress->next_ms = progress->start_ms + EVERY_MS;
}

static void show(const kfe_cmd_progress *p, int64_t now, const char *end)
{
    int64_t ms = now - p->start_ms;
    uint64_t rate = ms > 0 ? p->n * 1000 / (uint64_t)ms : 0;
    fprintf(stderr, "\r\033[K%s %" PRIu64 " records, %" PRIu64 " a second%s", p->what, p->n, rate,
            end);
}

void kfe_cmd_progress_set(kfe_cmd_progress *progress, uint64_t n)
{
    progress->n = n;
    if (!progress->shown || (n & LOOK_MASK) != 0)
        return;
    int64_t now = kfe_clock_ms();
    if (now < progress->next_ms)
        return;
    progress->next_ms = now + EVERY_MS;
    show(progress, now, "");
}

void kfe_cmd_progress_end(kfe_cmd_progress *progress)
{
    if (progress->shown)
        show(progress, kfe_clock_ms(), "\n");
}
