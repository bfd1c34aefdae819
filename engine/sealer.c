/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing sessions: one in use per key reference, its successor made before it is needed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state.h"

/* Key names may come out of records (a key per tenant): only so many are kept. */
static void evict(kfe_state *state)
{
    kfe_node *node = state->sealers.oldest;
    while (node != NULL && ((kfe_sealer *)node)->making)
        node = node->newer;
    if (node == NULL)
        return;
    kfe_sealer *sealer = (kfe_sealer *)node;
    kfe_map_remove(&state->sealers, node);
    kfe_session_drop(state, sealer->session);
    kfe_slot_unpin(state, sealer->slot);
    free(sealer);
}

static kfe_sealer *find(kfe_state *state, const kfe_key_ref *ref)
{
    kfe_slot *slot = kfe_slot_pin(state, ref->name, ref->version);
    if (slot == NULL)
        return NULL;
    kfe_sealer *sealer = (kfe_sealer *)kfe_map_find(&state->sealers, slot->id, slot->node.id_len);
    if (sealer != NULL) {
        kfe_slot_unpin(state, slot);
        return sealer;
    }
    if (state->sealers.n >= state->open_max)
        evict(state);
    sealer = calloc(1, sizeof(*sealer));
    if (sealer == NULL) {
        kfe_slot_unpin(state, slot);
        kfe_fail(KFE_E_MEMORY, "out of memory");
        return NULL;
    }
    sealer->slot = slot;
    sealer->node.id = slot->id;
    sealer->node.id_len = slot->node.id_len;
    kfe_map_add(&state->sealers, &sealer->node);
    return sealer;
}

/* True while the session may seal. A session of the slot's key is trusted as long as that is. */
static bool usable(kfe_state *state, kfe_sealer *sealer, int64_t now)
{
    kfe_session *session = sealer->session;
    kfe_slot *slot = sealer->slot;
    bool fresh = kfe_slot_usable(state, slot, now);
    if (session == NULL)
        return false;
    if (fresh && slot->loaded->key->version == session->version)
        session->until = slot->loaded->key->state == KFE_KEY_ACTIVE ? slot->until : 0;
    else if (!fresh && slot->error && slot->loaded == NULL)
        session->until = 0; /* the provider said that the key is gone */
    return !session->stale && now < session->until && now - session->born < KFE_HARD_AGE_MS &&
           !kfe_counter_past(session->counter, KFE_HARD_FIELDS, KFE_HARD_BLOCKS * 16);
}

static bool wants_successor(const kfe_state *state, const kfe_sealer *sealer, int64_t now)
{
    const kfe_settings *s = state->settings;
    const kfe_session *session = sealer->session;
    const kfe_loaded *loaded = sealer->slot->loaded;
    return now - session->born >= s->max_age_ms ||
           kfe_counter_past(session->counter, s->max_fields, s->max_bytes) ||
           (loaded != NULL && loaded->key->version != session->version);
}

void kfe_sealer_ahead(kfe_state *state, kfe_sealer *sealer, int64_t now, int64_t *next)
{
    kfe_slot *slot = sealer->slot;
    if (sealer->session == NULL || slot->loaded == NULL ||
        now - sealer->used >= state->settings->cache_ms)
        return;
    int64_t then = sealer->session->born + state->settings->max_age_ms;
    if (now >= slot->due && !slot->loading)
        slot->wanted = true; /* its due time moves once that is done */
    else if (now < slot->due && slot->due < *next)
        *next = slot->due;
    if (wants_successor(state, sealer, now)) {
        then = sealer->retry;
        sealer->wanted |= !sealer->making && now >= sealer->retry;
    }
    if (now < then && then < *next)
        *next = then;
}

/* A session of the slot's key. The lock is released while it is derived. What a key must not do it
 * is not asked for record by record, but once each time it is loaded. */
static kfe_error make(kfe_state *state, kfe_sealer *sealer)
{
    kfe_slot *slot = sealer->slot;
    kfe_error err = kfe_slot_known_bad(slot);
    if (!err)
        err = kfe_slot_load(state, slot);
    if (!err && sealer->refused == slot->confirmed)
        err = kfe_fail(KFE_E_KEY_DENIED, "%s", sealer->why);
    if (err)
        return err;
    kfe_loaded *loaded = kfe_loaded_ref(slot);
    const int64_t until = slot->until, confirmed = slot->confirmed;
    kfe_session *session = NULL;
    pthread_mutex_unlock(&state->lock);
    if (loaded->key->state != KFE_KEY_ACTIVE)
        err = kfe_fail(KFE_E_KEY_DENIED, "key %s version %u is retired: it opens, it does not seal",
                       slot->name, loaded->key->version);
    const kfe_session_spec spec = {.suite = state->settings->suite,
                                   .name = slot->name,
                                   .version = loaded->key->version,
                                   .committed = state->settings->commit};
    if (!err) {
        uint64_t started = kfe_clock_us();
        err = kfe_session_new(&session, state->settings, loaded->key, &spec);
        kfe_count_provider(&state->counts, KFE_ASKED_SESSION, err, started);
    }
    pthread_mutex_lock(&state->lock);
    if (!err && session->kind == KFE_DIRECT)
        session->loaded = loaded;
    else
        kfe_loaded_unref(loaded);
    if (err == KFE_E_PROVIDER)
        kfe_slot_broken(slot, err);
    if (err == KFE_E_KEY_DENIED) {
        sealer->refused = confirmed;
        snprintf(sealer->why, sizeof(sealer->why), "%s", kfe_error_detail());
    }
    if (err)
        return err;
    session->until = until;
    kfe_session_drop(state, sealer->session);
    sealer->session = session;
    atomic_fetch_add(&state->epoch, 1);
    return KFE_OK;
}

static kfe_error make_once(kfe_state *state, kfe_sealer *sealer)
{
    sealer->making = true;
    kfe_error err = make(state, sealer);
    sealer->making = sealer->wanted = false;
    kfe_keeper_wake(state); /* it looks after the session from now on */
    if (err)
        sealer->retry = kfe_now_ms() + KFE_OUTAGE_MS;
    pthread_cond_broadcast(&state->changed);
    return err;
}

void kfe_sealer_renew(kfe_state *state, kfe_sealer *sealer)
{
    (void)!make_once(state, sealer); /* the session in use goes on; used up, it is made in line */
}

/* When any of what usable() and wants_successor() look at comes due. */
static void note_until(const kfe_state *state, const kfe_sealer *sealer, int64_t *until)
{
    const kfe_session *session = sealer->session;
    int64_t old = session->born + state->settings->max_age_ms;
    int64_t then = old < session->until ? old : session->until;
    if (then < *until)
        *until = then;
    kfe_slot_until(sealer->slot, until);
}

static kfe_error get_locked(kfe_state *state, const kfe_key_ref *ref, kfe_session **out,
                            int64_t *until)
{
    kfe_sealer *sealer = NULL;
    bool waited = false;
    for (;;) {
        /* Found anew after each wait: nothing keeps it from being evicted meanwhile. */
        sealer = find(state, ref);
        if (sealer == NULL)
            return KFE_E_MEMORY;
        int64_t now = kfe_now_ms();
        sealer->used = now;
        if (usable(state, sealer, now)) {
            if (!sealer->wanted && !sealer->making && now >= sealer->retry &&
                wants_successor(state, sealer, now)) {
                sealer->wanted = true;
                kfe_keeper_wake(state);
            }
            break;
        }
        if (!sealer->making) {
            /* What was just made serves this call, even where the provider took longer to answer
             * than its answer is trusted: to ask again would have no end. */
            waited = true;
            kfe_error err = make_once(state, sealer);
            if (err)
                return err;
            break;
        }
        waited = true;
        pthread_cond_wait(&state->changed, &state->lock);
    }
    sealer->session->refs++;
    *out = sealer->session;
    kfe_count_lookup(&state->counts, true, waited);
    note_until(state, sealer, until);
    return KFE_OK;
}

kfe_error kfe_sealer_get(kfe_state *state, const kfe_key_ref *ref, kfe_session **out,
                         int64_t *until)
{
    pthread_mutex_lock(&state->lock);
    kfe_error err = get_locked(state, ref, out, until);
    pthread_mutex_unlock(&state->lock);
    return err;
}

void kfe_sealer_failed(kfe_state *state, kfe_session *session)
{
    unsigned iv_len = 0;
    if (session->kind != KFE_DIRECT)
        return;
    kfe_key *key = session->loaded->key;
    if (key->ops->iv_size(key, &iv_len) || iv_len == session->iv_len)
        return;
    pthread_mutex_lock(&state->lock);
    session->stale = true;
    pthread_mutex_unlock(&state->lock);
    atomic_fetch_add(&state->epoch, 1);
}
