/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_WORK_H
#define KFE_ENGINE_WORK_H

/* What one call of kfe_seal() or kfe_open() needs besides the caller's space: the batch for the
 * backend, its AAD bytes, the sessions in use. Kept between calls, so that a steady load allocates
 * nothing; what comes of plaintext or keys is wiped after each call. Plans and their sessions stay
 * for the next calls of the same direction, while nothing has changed that they were decided by.
 * Used by one thread at a time. */

#include "engine/backend.h"
#include "engine/counter.h"
#include "engine/state.h"

typedef struct kfe_chunk {
    struct kfe_chunk *next;
    size_t size, used;
    _Alignas(16) uint8_t bytes[];
} kfe_chunk;

struct kfe_plan;

/* A session in use. */
typedef struct {
    kfe_session *session;
    const char *name; /* sealing: the reference that it was got for; the session's memory */
    uint32_t version;
    kfe_use use;   /* sealing: what the batch takes of it */
    uint64_t next; /* sealing: the next counter of the lease */
    kfe_error error;
} kfe_in_use;

/* Plans, and sessions, of the work that are compared before one is made, or searched for. */
enum { KFE_PLANS_BACK = 32, KFE_LOOK_BACK = 32 };

/* Ordinals of a batch: tags over nothing and whole records in the first class, the record's fields
 * in their own. Messages of a class stand together. */
enum { KFE_CLASSES = 2 + KFE_HEADERS_MAX + 1 };

typedef struct {
    size_t n, room; /* messages */
    kfe_aead_op *ops;
    uint8_t (*nonce)[16];
    uint64_t *failed;
    kfe_prefix *prefixes; /* one a record and group */
    size_t n_prefixes, prefix_room;
    const struct kfe_plan
        *placed; /* the last batch was of this plan alone, so many records of it: */
    size_t placed_uses, placed_n; /* and messages; what these always say is there; or NULL */
    uint32_t class_at[KFE_CLASSES];
    unsigned class_end;     /* classes in use */
    kfe_chunk *call, *kept; /* memory until the end of the call; until kfe_work_forget() */
    kfe_in_use *in_use;
    size_t n_in_use, in_use_room;
    struct kfe_plan *plans; /* newest first */
    size_t n_plans;
    kfe_state *state; /* whose sessions these are */
    uint64_t epoch;   /* of the state, when they were got */
    int64_t until;    /* they are to be looked up again then */
    bool spoilt;      /* nothing of this call may be kept */
    kfe_error first;  /* error of the first record that failed */
    char detail[256];
} kfe_work;

kfe_work *kfe_work_new(void);       /* NULL: out of memory */
void kfe_work_free(kfe_work *work); /* its sessions are forgotten before */

/* Begins a call: forgets plans and sessions that may no longer be used unasked. */
void kfe_work_begin(kfe_work *work, kfe_state *state);
/* Ends a call: wipes what was its own. */
void kfe_work_end(kfe_work *work);
/* Gives all sessions back, those of this process's state. */
void kfe_work_forget(kfe_work *work, const kfe_state *state);

/* Zeroed, aligned to 16, their length rounded up to a multiple of 16; NULL: out of memory. Until
 * the end of the call; or as long as plans are kept. */
void *kfe_work_take(kfe_work *work, size_t size);
void *kfe_work_keep(kfe_work *work, size_t size);

/* A new entry, zeroed; NULL: out of memory. Earlier pointers become invalid, indices stay. */
kfe_in_use *kfe_work_session(kfe_work *work);

/* First all messages are announced by their class, then room is made, then places are given: those
 * of a class stand together. */
static inline unsigned kfe_work_class(uint16_t ordinal)
{
    return ordinal < KFE_CLASSES - 1 ? ordinal + 1u : 0;
}
void kfe_work_announce(kfe_work *work, uint16_t ordinal, size_t n);
void kfe_work_arrange(kfe_work *work);
/* Room for the batch, and a prefix for each record and group. */
kfe_error kfe_work_room(kfe_work *work, size_t messages, size_t prefixes);
/* The first of n places. */
size_t kfe_work_places(kfe_work *work, uint16_t ordinal, size_t n);

/* Notes a record's failure: the first one's detail is what the caller will read. */
kfe_error kfe_work_fail(kfe_work *work, kfe_record *out, kfe_error error);

#endif
