/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_HUNT_H
#define TESTS_SECRET_HUNT_H

/* Looks for secrets in all memory that this process may write to. A secret is kept masked, in
 * memory shared with children, and it is a child that makes it: so this process never had a copy
 * that the test itself would have to wipe. */

#include "tests/support/kit.h"

#include <stdbool.h>

enum {
    HUNT_WINDOW = 16, /* so many bytes in a row are a find */
    HUNT_SECRET_MAX = 256
};

typedef struct {
    const char *name;
    size_t len;
    uint8_t mask[HUNT_SECRET_MAX], masked[HUNT_SECRET_MAX];
} hunt_secret;

/* An empty one; lives until exit. */
hunt_secret *hunt_new(const char *name);
/* `bytes` is the caller's to wipe. */
void hunt_set(hunt_secret *secret, const void *bytes, size_t len);
/* Writes the secret itself; `out` is the caller's to wipe. */
void hunt_get(const hunt_secret *secret, void *out);

/* Runs `body` in a child and waits; a child that does not end well fails the test. */
void hunt_child(void (*body)(void *arg), void *arg);

/* Makes a call far below on the stack: what it leaves there is not overwritten by what the test
 * calls before it hunts. Returns what the call does. */
kfe_error hunt_below(kfe_error (*call)(void *arg), void *arg);

/* A find: as many bytes in a row as fit. */
typedef struct {
    const hunt_secret *secret;
    const uint8_t *at;
    size_t offset, len; /* in the secret */
    char mapping[160];  /* its line in /proc/self/smaps */
    bool locked, not_dumped, wiped_on_fork;
} hunt_find;

enum { HUNT_FINDS_MAX = 256 };

/* Fills `finds` with at most HUNT_FINDS_MAX; the number of all. Any thread. */
size_t hunt(hunt_secret *const *secrets, size_t n, hunt_find *finds);
/* The same in bytes that this process may not write to: a file. */
size_t hunt_in(hunt_secret *const *secrets, size_t n, const void *bytes, size_t len,
               hunt_find *finds);
/* Reports a find: the place, and the bytes around it when they are not part of it. */
void hunt_report(const hunt_find *find);
/* All three of locked, left out of core dumps and wiped on fork. */
bool hunt_protected(const hunt_find *find);

#endif
