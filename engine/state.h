/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_STATE_H
#define KFE_ENGINE_STATE_H

/* Everything of an engine that changes while it runs: loaded keys, sessions, the keeper thread. One
 * lock guards it all and is never held while a provider loads or a key is derived (release is
 * quick).
 *
 * A forked child cannot trust a lock that another thread of its parent may have held: it leaves
 * the parent's state alone (its secrets read as zeros) and makes a new one, with a provider opened
 * anew (engine.c). */

#include <pthread.h>

#include "engine/counter.h"
#include "engine/derive.h"
#include "engine/envelope.h"
#include "engine/map.h"
#include "engine/settings.h"
#include "engine/statistics.h"
#include "engine/tally.h"

enum {
    KFE_SLOTS_MAX = 8192,      /* keys remembered, unknown ones included */
    KFE_SESSIONS_MAX = 4096,   /* opening sessions */
    KFE_UNKNOWN_MS = 30000,    /* a definite "no such key" is believed so long to 4/3 of it */
    KFE_OUTAGE_MS = 250,       /* and "not now" so long */
    KFE_UNPROVEN_BURST = 1000, /* sessions that may wait for their first good tag */
    KFE_UNPROVEN_PER_S = 50,
    KFE_ORIGIN_LEN = 32,
    KFE_KEPT_MS = 100, /* a thread goes on with its sessions so long without a look here */
};

/* A key as loaded: shared by its slot and whoever derives from it at the moment. */
typedef struct {
    kfe_key *key;
    unsigned refs;
} kfe_loaded;

/* What is known of (name, version), version 0 being "the current one". */
typedef struct {
    kfe_node node; /* in state->slots */
    uint8_t id[4 + KFE_NAME_MAX];
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    unsigned pins;      /* by sessions and calls under way; not evicted while there are any */
    kfe_loaded *loaded; /* NULL: none; then `error` says why, once it was tried */
    kfe_error error;
    char detail[224];
    int64_t until;              /* trusted until then: counted from load */
    int64_t due;                /* from then on a use asks the keeper to load it again */
    int64_t confirmed;          /* when the provider last handed the key out; 0: never */
    uint32_t confirmed_version; /* and which one that was */
    bool loading, wanted;
    kfe_error broken; /* its key failed to derive, until `broken_until` */
    int64_t broken_until;
} kfe_slot;

/* The keys of one (name, version, suite, kind, salt or wrapped secret), or of one deterministic
 * reference (suite 0). */
typedef struct {
    kfe_node node; /* in state->open, when `cached` */
    uint8_t id[3 + 4 + KFE_ORIGIN_LEN + KFE_NAME_MAX];
    unsigned refs;
    kfe_slot *slot; /* pinned */
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    uint8_t suite;
    kfe_session_kind kind;
    kfe_aead_key *aead;
    uint8_t *siv; /* 64 bytes of secret memory: a deterministic reference */
    bool committed;
    uint8_t commitment[KFE_COMMIT_LEN];
    uint8_t origin[KFE_ORIGIN_LEN];    /* opening */
    uint8_t wire[KFE_KEY_WRAPPED_MAX]; /* sealing: salt or wrapped secret, as envelopes bear it */
    size_t wire_len;
    unsigned iv_len;      /* direct */
    kfe_loaded *loaded;   /* direct: the key that seals or opens */
    kfe_tally *tally;     /* direct, sealing */
    double paid;          /* direct, opening, unproven: tokens that its fields took */
    kfe_counter *counter; /* sealing */
    int64_t born;
    int64_t until; /* sealing: its key is trusted until then */
    bool stale;    /* sealing: it must seal no more */
    bool cached;
    _Atomic bool proven; /* opening: a tag verified under it */
} kfe_session;

/* Who seals under (name, version or 0): the session in use and, soon, its successor. */
typedef struct {
    kfe_node node;
    kfe_slot *slot; /* pinned; gives name and version, and is the node's id */
    kfe_session *session;
    bool making, wanted;
    int64_t retry;   /* a failed successor is not tried again before */
    int64_t used;    /* when a call last asked for its session */
    int64_t refused; /* the key that was loaded then (slot->confirmed) makes none, and is not asked
                        again; 0: it may be */
    char why[160];
} kfe_sealer;

typedef struct {
    const kfe_settings *settings;
    kfe_key_provider *provider;
    _Atomic uint64_t epoch; /* grows whenever a key was loaded or a sealing session replaced */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a load or a session is done */
    pthread_cond_t work;    /* for the keeper */
    kfe_map slots, sealers, open;
    kfe_map making; /* ids of opening sessions that are derived right now */
    size_t open_max;
    uint64_t jitter; /* of refreshes and of what is unknown: no secret, only uneven */
    kfe_counts counts;
    double tokens; /* unproven sessions that may still be started */
    int64_t tokens_at;
    pthread_t keeper;
    bool keeper_runs, stop;
    struct kfe_reporter *reporter; /* NULL: nobody asked for statistics */
} kfe_state;

kfe_error kfe_state_new(kfe_state **out, const kfe_settings *settings);
void kfe_state_free(kfe_state *state);

/* CLOCK_BOOTTIME in ms, up to a timer tick (10 ms at most) ago: runs on in suspend, and no clock
 * setting moves it. */
int64_t kfe_now_ms(void);

/* ---- keyring.c: lock held, unless said -------------------------------------------------- */

/* The slot of (name, version), made when missing, pinned. NULL: out of memory. */
kfe_slot *kfe_slot_pin(kfe_state *state, const char *name, uint32_t version);
void kfe_slot_unpin(kfe_state *state, kfe_slot *slot);
/* True while its key may be used; a use past `due` asks the keeper for a fresh one. */
bool kfe_slot_usable(kfe_state *state, kfe_slot *slot, int64_t now);
/* Its key could not derive: not asked again for a moment. */
void kfe_slot_broken(kfe_slot *slot, kfe_error err);
/* The error of a recent load or derivation that still stands, else KFE_OK. */
kfe_error kfe_slot_known_bad(const kfe_slot *slot);
/* Forgets that the version behind one that is loaded was unknown. It may come at any moment, and
 * opens at once then, whoever wrote a record that names it before. For who pays for the call. */
void kfe_slot_reconsider(kfe_state *state, kfe_slot *slot);
/* Loads it (the lock is released meanwhile), or waits for who does. With a usable or recently
 * failed slot: no call. */
kfe_error kfe_slot_load(kfe_state *state, kfe_slot *slot);
/* One background load, failures kept quiet while the old key is trusted. */
void kfe_slot_refresh(kfe_state *state, kfe_slot *slot);
kfe_loaded *kfe_loaded_ref(kfe_slot *slot);
/* Lowers *until to when the slot has to be looked at again. */
void kfe_slot_until(const kfe_slot *slot, int64_t *until);
void kfe_loaded_unref(kfe_loaded *loaded);

/* ---- session.c: no lock needed -------------------------------------------------------------- */

/* What a session is made from. */
typedef struct {
    uint8_t suite; /* 0: a deterministic reference */
    const char *name;
    uint32_t version;
    kfe_session_kind kind; /* opening */
    kfe_bytes wire;        /* opening: salt or wrapped secret; NULL: a new sealing session, with a
                              salt or secret and a counter of its own */
    unsigned iv_len;       /* opening a direct one */
    bool committed;
} kfe_session_spec;

/* Makes its keys by `key`, or, in a direct session, lets that stand for them: the caller keeps it
 * alive then. KFE_E_KEY_DENIED: the key cannot; KFE_E_AUTH: the secret does not unwrap. */
kfe_error kfe_session_new(kfe_session **out, const kfe_settings *settings, kfe_key *key,
                          const kfe_session_spec *spec);
void kfe_session_free(kfe_session *session);

/* ---- sealer.c, opener.c: take the lock; a session got is given back by kfe_session_put() --- */

/* `ref->version` 0: the current one. KFE_E_KEY_DENIED for a retired key, and whatever the provider
 * says. Waits for a provider only when there is no session that may be used. *until is lowered to
 * when this has to be called again, if the state's epoch does not change before. */
kfe_error kfe_sealer_get(kfe_state *state, const kfe_key_ref *ref, kfe_session **out,
                         int64_t *until);
/* Asks the keeper for what a sealer in use will need: its key loaded again, its successor. Lowers
 * *next to when it is to be asked again. One that was not used for a while is left alone. Lock
 * held. */
void kfe_sealer_ahead(kfe_state *state, kfe_sealer *sealer, int64_t now, int64_t *next);
/* Makes the successor of a session: the keeper's work. Lock held. */
void kfe_sealer_renew(kfe_state *state, kfe_sealer *sealer);
/* A call that seals by this session failed. A token that makes IVs of another length than its
 * envelopes say gets another session, which the next call makes; nothing else is done. */
void kfe_sealer_failed(kfe_state *state, kfe_session *session);

/* What names an opening session. Suite 0: a deterministic reference, which has neither salt nor
 * origin. */
typedef struct {
    uint8_t suite;
    kfe_session_kind kind;
    kfe_bytes name;
    uint32_t version;
    kfe_bytes wire; /* salt or wrapped secret */
    unsigned iv_len;
    uint8_t origin[KFE_ORIGIN_LEN]; /* by kfe_opener_origin() */
    bool committed;
    bool sealing; /* asked for by our own configuration, not by a record: needs no token, but a
                     key that may seal */
} kfe_opener_ref;

/* Tells sessions of one key apart, however long a wrapped secret is: the salt, or a hash. */
kfe_error kfe_opener_origin(const kfe_crypto *crypto, kfe_opener_ref *ref);

kfe_error kfe_opener_get(kfe_state *state, const kfe_opener_ref *ref, kfe_session **out,
                         int64_t *until);
/* Takes tokens for fields that a direct session is to open: each is a call of the token. Unproven
 * it has but the bucket's; KFE_E_BUSY when that is empty. Nothing, for other kinds. */
kfe_error kfe_session_pay(kfe_state *state, kfe_session *session, uint32_t fields);
/* A first tag verified: gives its tokens back, and a place in the cache. */
void kfe_session_prove(kfe_state *state, kfe_session *session);
void kfe_session_put(kfe_state *state, kfe_session *session);
void kfe_session_drop(kfe_state *state, kfe_session *session); /* the same, lock held */

/* ---- keeper.c: the thread that loads and derives ahead of need; lock held ------------------ */

/* Something is `wanted`: starts the thread when needed. Where none can be had, what is in use goes
 * on until it may no longer, and is then replaced in line. */
void kfe_keeper_wake(kfe_state *state);
void kfe_keeper_stop(kfe_state *state); /* lock not held */

#endif
