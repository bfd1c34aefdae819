/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>
#include <time.h>

#include "kafka/cmd.h"

/* timeout(1) and some supervisors signal a process and then its group, so that one request comes
 * twice. Only what comes later than this means "at once". */
static const double together_s = 0.5;

static volatile sig_atomic_t stopped;
static double first_s; /* the handlers' own; they do not interrupt each other */

static void on_signal(int number)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double now_s = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    if (stopped && now_s - first_s > together_s) {
        signal(number, SIG_DFL);
        raise(number); /* pending until this handler returns */
    }
    if (!stopped)
        first_s = now_s;
    stopped = 1;
}

void kfe_cmd_stop_init(void)
{
    signal(SIGPIPE, SIG_IGN);
}

void kfe_cmd_stop_cleanly(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    action.sa_handler = on_signal;
    /* No SA_RESTART: a blocked read has to return. */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool kfe_cmd_stopped(void)
{
    return stopped != 0;
}
