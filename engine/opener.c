/* SPDX-License-Identifier: Apache-2.0 */
/* Opening sessions: found in records, so made at a stranger's word. Until a tag verifies under one
 * it is unproven: those are paid for from a bucket of tokens and never push out proven ones. */
#include <string.h>

#include "engine/state.h"
#include "engine/wire.h"

static size_t session_id(uint8_t *id, const kfe_opener_ref *ref)
{
    uint8_t *at = id;
    *at++ = ref->suite;
    *at++ = (uint8_t)ref->kind;
    *at++ = ref->committed;
    at = kfe_put_u32(at, ref->version);
    at = kfe_put(at, ref->origin, KFE_ORIGIN_LEN);
    return (size_t)(kfe_put(at, ref->name.data, ref->name.len) - id);
}

kfe_error kfe_opener_origin(const kfe_crypto *crypto, kfe_opener_ref *ref)
{
    static const uint8_t none[32];
    memset(ref->origin, 0, sizeof(ref->origin));
    if (ref->kind == KFE_WRAPPED)
        return kfe_hmac_sha256(crypto, none, ref->wire.data, ref->wire.len, ref->origin);
    kfe_put(ref->origin, ref->wire.data, ref->wire.len);
    ref->origin[KFE_SALT_LEN] = (uint8_t)ref->iv_len;
    return KFE_OK;
}

/* What is there is enough for any number, as a record may have more fields than the bucket has
 * tokens: the debt is paid off before the next. */
static kfe_error take_tokens(kfe_state *state, double n)
{
    int64_t now = kfe_now_ms();
    state->tokens += (double)(now - state->tokens_at) * KFE_UNPROVEN_PER_S / 1000.0;
    if (state->tokens > KFE_UNPROVEN_BURST)
        state->tokens = KFE_UNPROVEN_BURST;
    state->tokens_at = now;
    if (state->tokens < 1)
        return kfe_fail(KFE_E_BUSY, "too many sessions of which no record verified yet");
    state->tokens -= n;
    return KFE_OK;
}

/* An outage is nobody's made-up session. */
static void give_back(kfe_state *state, const kfe_opener_ref *ref, kfe_error err)
{
    if (!ref->sealing && err == KFE_E_PROVIDER)
        state->tokens += 1;
}

static void uncache(kfe_state *state, kfe_session *session)
{
    kfe_map_remove(&state->open, &session->node);
    session->cached = false;
    kfe_session_drop(state, session);
}

static void cache(kfe_state *state, kfe_session *session)
{
    if (state->open.n >= state->open_max) {
        kfe_session *victim = NULL;
        for (kfe_node *node = state->open.oldest; node != NULL; node = node->newer) {
            kfe_session *old = (kfe_session *)node;
            if (!atomic_load(&old->proven)) {
                victim = old;
                break;
            }
        }
        if (victim == NULL && atomic_load(&session->proven))
            victim = (kfe_session *)state->open.oldest;
        if (victim == NULL)
            return;
        uncache(state, victim);
    }
    session->cached = true;
    session->refs++;
    kfe_map_add(&state->open, &session->node);
}

static kfe_error may_seal(const kfe_opener_ref *ref, const kfe_slot *slot)
{
    if (!ref->sealing || slot->loaded->key->state == KFE_KEY_ACTIVE)
        return KFE_OK;
    return kfe_fail(KFE_E_KEY_DENIED, "key %s version %u is retired: it opens, it does not seal",
                    slot->name, slot->version);
}

/* The lock is released while keys are derived. */
static kfe_error make(kfe_state *state, const kfe_opener_ref *ref, const char *name,
                      kfe_session **out)
{
    kfe_slot *slot = kfe_slot_pin(state, name, ref->version);
    if (slot == NULL)
        return KFE_E_MEMORY;
    if (!ref->sealing)
        kfe_slot_reconsider(state, slot);
    /* What is known to be missing costs no call, so no token. */
    kfe_error err = kfe_slot_known_bad(slot);
    if (!err && !ref->sealing)
        err = take_tokens(state, 1);
    if (!err) {
        err = kfe_slot_load(state, slot);
        give_back(state, ref, err);
    }
    if (!err)
        err = may_seal(ref, slot);
    if (err) {
        kfe_slot_unpin(state, slot);
        return err;
    }
    kfe_loaded *loaded = kfe_loaded_ref(slot);
    const kfe_session_spec spec = {.suite = ref->suite,
                                   .name = name,
                                   .version = ref->version,
                                   .kind = ref->kind,
                                   .wire = ref->wire,
                                   .iv_len = ref->iv_len,
                                   .committed = ref->committed};
    pthread_mutex_unlock(&state->lock);
    uint64_t started = kfe_clock_us();
    err = kfe_session_new(out, state->settings, loaded->key, &spec);
    kfe_count_provider(&state->counts, KFE_ASKED_SESSION, err, started);
    pthread_mutex_lock(&state->lock);
    if (!err && ref->kind == KFE_DIRECT)
        (*out)->loaded = loaded;
    else
        kfe_loaded_unref(loaded);
    if (err) {
        if (err == KFE_E_PROVIDER)
            kfe_slot_broken(slot, err);
        give_back(state, ref, err);
        kfe_slot_unpin(state, slot);
        return err;
    }
    kfe_session *session = *out;
    session->slot = slot;
    memcpy(session->origin, ref->origin, sizeof(session->origin));
    session->node.id = session->id;
    session->node.id_len = session_id(session->id, ref);
    atomic_store(&session->proven, ref->sealing);
    return KFE_OK;
}

static kfe_error get_locked(kfe_state *state, const kfe_opener_ref *ref, kfe_session **out)
{
    char name[KFE_NAME_MAX + 1] = {0};
    uint8_t id[sizeof((*out)->id)];
    size_t id_len = session_id(id, ref);
    memcpy(name, ref->name.data, ref->name.len);
    kfe_session *session = NULL;
    /* What another thread derives at the moment is waited for, not derived again. */
    while ((session = (kfe_session *)kfe_map_find(&state->open, id, id_len)) == NULL &&
           kfe_map_find(&state->making, id, id_len) != NULL)
        pthread_cond_wait(&state->changed, &state->lock);
    bool waits = session == NULL || !kfe_slot_usable(state, session->slot, kfe_now_ms());
    kfe_count_lookup(&state->counts, false, waits);
    if (session != NULL) {
        session->refs++;
        kfe_error err = kfe_slot_load(state, session->slot); /* no call while it is trusted */
        if (!err)
            err = may_seal(ref, session->slot);
        if (err)
            kfe_session_drop(state, session);
        else
            *out = session;
        return err;
    }
    kfe_node flight = {.id = id, .id_len = id_len};
    kfe_map_add(&state->making, &flight);
    kfe_error err = make(state, ref, name, &session);
    kfe_map_remove(&state->making, &flight);
    pthread_cond_broadcast(&state->changed);
    if (err)
        return err;
    /* One that found no place in the cache may have been proven, and cached, meanwhile. */
    if (kfe_map_find(&state->open, id, id_len) == NULL)
        cache(state, session);
    *out = session;
    return KFE_OK;
}

kfe_error kfe_opener_get(kfe_state *state, const kfe_opener_ref *ref, kfe_session **out,
                         int64_t *until)
{
    pthread_mutex_lock(&state->lock);
    kfe_error err = get_locked(state, ref, out);
    if (!err)
        kfe_slot_until((*out)->slot, until);
    pthread_mutex_unlock(&state->lock);
    return err;
}

kfe_error kfe_session_pay(kfe_state *state, kfe_session *session, uint32_t fields)
{
    if (session->kind != KFE_DIRECT || atomic_load(&session->proven))
        return KFE_OK;
    double n = fields < KFE_UNPROVEN_BURST ? fields : KFE_UNPROVEN_BURST;
    pthread_mutex_lock(&state->lock);
    kfe_error err = take_tokens(state, n);
    if (!err)
        session->paid += n;
    pthread_mutex_unlock(&state->lock);
    return err;
}

void kfe_session_prove(kfe_state *state, kfe_session *session)
{
    if (atomic_load(&session->proven))
        return;
    pthread_mutex_lock(&state->lock);
    if (!atomic_exchange(&session->proven, true)) {
        state->tokens += 1 + session->paid;
        if (!session->cached &&
            kfe_map_find(&state->open, session->id, session->node.id_len) == NULL)
            cache(state, session);
    }
    pthread_mutex_unlock(&state->lock);
}

void kfe_session_drop(kfe_state *state, kfe_session *session)
{
    if (session == NULL || --session->refs > 0)
        return;
    if (session->slot != NULL)
        kfe_slot_unpin(state, session->slot);
    kfe_loaded_unref(session->loaded);
    kfe_session_free(session);
}

void kfe_session_put(kfe_state *state, kfe_session *session)
{
    pthread_mutex_lock(&state->lock);
    kfe_session_drop(state, session);
    pthread_mutex_unlock(&state->lock);
}
