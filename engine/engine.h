/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_ENGINE_H
#define KFE_ENGINE_ENGINE_H

/* An engine: what never changes, the state that does, and workspaces. */

#include "engine/plan.h"
#include "engine/policy.h"

enum { KFE_WORKS_KEPT = 16 };

struct kfe_engine {
    kfe_settings settings;
    kfe_key_manager *manager; /* NULL: none */
    _Atomic uint32_t *owned;  /* wipe-on-fork memory: 1 while `state` is this process's */
    _Atomic(kfe_state *) state;
    _Atomic(kfe_work *) works[KFE_WORKS_KEPT];
};

/* One call of kfe_seal() or kfe_open(). */
typedef struct {
    kfe_engine *engine;
    kfe_state *state;
    kfe_work *work;
    kfe_plan *plans;
    const kfe_record *in;
    kfe_record *out;
    size_t n;
    bool in_place;
} kfe_job;

/* Sessions of the batch that are compared before the shared ones are searched. */
enum { KFE_LOOK_BACK = 32 };

/* The associated string of a deterministic key. */
#define KFE_DET_LABEL "kfe1 deterministic key"

/* A call's workspace, and this process's state: in a child the first call makes a new one. Ended by
 * kfe_engine_leave(). */
kfe_error kfe_engine_enter(kfe_engine *engine, kfe_state **state, kfe_work **work);
void kfe_engine_leave(kfe_engine *engine, kfe_state *state, kfe_work *work);

/* Where a record's output goes; never past what kfe_seal_space() or kfe_open_space() said. */
kfe_header *kfe_take_headers(uint8_t **at, size_t n);

/* Runs the batch; after an error of the backend nothing of it may be given out. */
kfe_error kfe_run_batch(const kfe_work *work, bool seal);

/* A failed record as the caller sees it. */
void kfe_record_fail(kfe_work *work, const kfe_record *in, kfe_record *out, kfe_error error);

/* Restores the first failure's detail, for return; KFE_OK when there was none. */
kfe_error kfe_work_result(const kfe_work *work);

#endif
