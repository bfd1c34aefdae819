/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_REMOTE_H
#define TESTS_SECRET_REMOTE_H

/* What the module of remote.c has besides a token: somebody may look on. */

#include <stdbool.h>

/* Told on the caller's thread when a call begins and when it is over, with its name ("C_Sign"). At
 * both moments this process has of the call's arguments and results what is the caller's alone. */
typedef void remote_watcher(const char *call, bool over);

/* dlsym() finds it: void remote_watch(remote_watcher *watcher). NULL: nobody looks on any more. */
#define REMOTE_WATCH "remote_watch"
typedef void remote_watch_function(remote_watcher *watcher);
__attribute__((visibility("default"))) remote_watch_function remote_watch;

/* Environment, for programs: the call of that name aborts the process when it is over. */
#define REMOTE_CRASH "KFE_REMOTE_CRASH"

#endif
