/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

/* An engine over the example KeyProvider, looked at from inside, under a clock that stands still
 * until the test moves it. Programs link with --wrap=kfe_now_ms and define EXAMPLE_PROVIDER.
 * Failures fail the test at hand, so these are for the test's own thread, unless said. */

#include "tests/support/kit.h"

#include <pthread.h>

#include "engine/engine.h"
#include "tests/support/example_provider.h"

/* ---- The clock, for the whole process ------------------------------------------------------- */

void rig_freeze(void);     /* stands still, a day past every time seen before */
void rig_pass(int64_t ms); /* moves the frozen clock on */
void rig_thaw(void);       /* the real one again; for engines made from now on */

/* cmocka set-up and tear-down of every test: nothing left of the one before; clock frozen. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* ---- Engines --------------------------------------------------------------------------------- */

/* The example provider with version 1 of the keys "orders" and "other"; the topic manager, which
 * gives every record the key "orders". */
kfe_config *rig_config(void);

/* Until the keeper has nothing to do. It must be able to finish: gate open. */
void rig_settle(kfe_engine *engine);
/* The sealing session in use of (name, version) of this process; fails where there is none. */
kfe_session *rig_session(kfe_engine *engine, const char *name, uint32_t version);
/* That one is 24 h old from now on: the next call of kfe_seal() makes another. */
void rig_wear_out(kfe_engine *engine);
/* The keeper makes no successor of the sessions in use: what follows is a hard limit's doing. */
void rig_no_successors(kfe_engine *engine);

/* ---- Records: three fields each; any thread, nothing is asserted ----------------------------- */

kfe_error rig_seal(kfe_engine *engine, const kfe_key_ref *ref,
                   kit_record *out);                              /* ref NULL: manager */
kfe_error rig_open(kfe_engine *engine, const kit_record *sealed); /* the result is thrown away */

typedef struct {
    uint8_t salt[KFE_SALT_LEN];
    uint64_t counter;
    uint32_t version;
} rig_place;

/* What the first envelope of a sealed record says. */
rig_place rig_place_of(const kit_record *sealed);
bool rig_same_salt(const kit_record *a, const kit_record *b);
/* A copy of a sealed record with made-up salt (made-up key name) number `n`; freed by kit_free().
 * The test's own thread only. */
kit_record rig_forge_salt(const kit_record *sealed, uint32_t n);
kit_record rig_forge_name(const kit_record *sealed, uint32_t n);
kit_record rig_forge_version(const kit_record *sealed, uint8_t version); /* both below 128 */

/* ---- Threads and children -------------------------------------------------------------------- */

/* Runs `body` on n threads (64 at most) that start together; each gets arg and its number. */
typedef void rig_body(void *arg, unsigned number);
typedef struct {
    pthread_t thread;
    pthread_barrier_t *start;
    rig_body *body;
    void *arg;
    unsigned number;
} rig_thread;
void rig_start(rig_thread *threads, unsigned n, pthread_barrier_t *start, rig_body *body,
               void *arg);
void rig_join(rig_thread *threads, unsigned n, pthread_barrier_t *start);
void rig_threads(unsigned n, rig_body *body, void *arg); /* both */

/* The wait status of a child that runs `body` and ends by _exit(0), or by SIGALRM after 10 s.
 * `raw`: made by the system call, past every atfork handler. */
int rig_child(bool raw, void (*body)(void *arg), void *arg);
/* In a child, whose asserts reach nobody: ends it with `code` unless the fact holds. */
void rig_require(bool fact, int code);

/* True where a sanitizer or valgrind makes everything many times slower. */
bool rig_slow(void);

#endif
