/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_CORE_H
#define TESTS_SECRET_CORE_H

/* Core files of children that die on purpose: the kernel's, where it writes them into the folder
 * that a process is in; else those that gdb's gcore makes of a child that has stopped. */

#include "tests/secret/hunt.h"

typedef enum { CORE_NONE, CORE_BY_GCORE, CORE_BY_KERNEL } core_way;

/* What can be had here. */
core_way core_ways(void);

typedef struct {
    const uint8_t *bytes;
    size_t len;
} core_file;

/* Runs `body` in a child, which has to come to core_now(), on whatever thread; or, by the kernel,
 * to its end by a signal: it may be another program by then. Maps the file. */
core_file core_of(void (*body)(void *arg), void *arg);
void core_drop(core_file *core);

/* For that child: the end, by this signal. */
_Noreturn void core_now(int signal);

/* Tells where in the child a find in its file was. */
void core_report(const core_file *core, const hunt_find *find);

#endif
