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
    _Atomic(kfe_work *) works[2][KFE_WORKS_KEPT]; /* for opening, for sealing */
};

/* One call of kfe_seal() or kfe_open(). */
typedef struct {
    kfe_engine *engine;
    kfe_state *state;
    kfe_work *work;
    const kfe_record *in;
    kfe_record *out;
    size_t n;
    kfe_item *items;            /* one a record */
    size_t n_prefixes;          /* one a record and group */
    const kfe_backend *backend; /* of the messages */
    bool seal, in_place, mixed; /* mixed: more than one backend */
} kfe_job;

/* The associated string of a deterministic key. */
#define KFE_DET_LABEL "kfe1 deterministic key"

/* This process's state: in a child, made anew when first asked for. The one of a parent is left as
 * it is, lost but for its wiped secrets. */
kfe_error kfe_engine_state(kfe_engine *engine, kfe_state **out);

/* A call's workspace, and this process's state: in a child the first call makes a new one. Ended by
 * kfe_engine_leave(). */
kfe_error kfe_engine_enter(kfe_job *job);
void kfe_engine_leave(const kfe_job *job);

/* Bytes that a field may take: one that breaks a limit is refused and takes none. */
static inline size_t kfe_room(kfe_bytes bytes)
{
    return bytes.len > KFE_LEN_MAX ? 0 : bytes.len;
}

/* Checks a call's arguments and its space, and enters the engine. After an error every record has
 * it, whatever its output was before. */
typedef size_t kfe_space_fn(const kfe_record *in, size_t n, unsigned flags);
kfe_error kfe_job_begin(kfe_job *job, size_t cap, kfe_space_fn *space);
/* Finds the record's plan among the last ones of the call; NULL: none fits. */
kfe_plan *kfe_job_plan(const kfe_job *job, const kfe_record *in);
/* Gives a record its plan. */
void kfe_job_take(kfe_job *job, size_t index, kfe_plan *plan);
/* Makes room for all messages, and all that the plans say once. */
kfe_error kfe_job_arrange(kfe_job *job);
/* Takes over a session for the call; *index: its place. */
kfe_error kfe_job_use(const kfe_job *job, kfe_session *session, size_t *index);
/* Fails one record: what was written for it is zeroed. */
void kfe_job_fail(const kfe_job *job, size_t index, kfe_error error);
/* A record that was not and will not be sealed, with header statuses of its own. */
void kfe_pass_in_clear(const kfe_record *in, kfe_record *out, uint8_t **at);

/* Where a record's output goes; never past what kfe_seal_space() or kfe_open_space() said. */
static inline kfe_header *kfe_take_headers(uint8_t **at, size_t n)
{
    uintptr_t start = ((uintptr_t)*at + 15) & ~(uintptr_t)15;
    kfe_header *headers = (kfe_header *)start;
    *at = (uint8_t *)(headers + n);
    return headers;
}

/* Runs the batch; after an error of the backend nothing of it may be given out. */
kfe_error kfe_job_run(const kfe_job *job);

/* Counts what the call did; its outcome stands in all records. */
void kfe_job_count(const kfe_job *job);

/* Restores the first failure's detail, for return; KFE_OK when there was none. */
kfe_error kfe_work_result(const kfe_work *work);

#endif
