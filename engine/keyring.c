/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded keys. Each (name, version) has a slot: one load at a time, trusted for a time counted from
 * the load, however often it is used; "no such key" is remembered as well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state.h"
#include "engine/wire.h"

static size_t slot_id(uint8_t *id, const char *name, uint32_t version)
{
    return (size_t)(kfe_put(kfe_put_u32(id, version), name, strlen(name)) - id);
}

kfe_loaded *kfe_loaded_ref(kfe_slot *slot)
{
    slot->loaded->refs++;
    return slot->loaded;
}

void kfe_loaded_unref(kfe_loaded *loaded)
{
    if (loaded == NULL || --loaded->refs > 0)
        return;
    if (KFE_HAS(loaded->key->ops, release))
        loaded->key->ops->release(loaded->key);
    free(loaded);
}

void kfe_slot_until(const kfe_slot *slot, int64_t *until)
{
    int64_t then = slot->due < slot->until ? slot->due : slot->until;
    if (then < *until)
        *until = then;
}

static void evict(kfe_state *state)
{
    /* Unknown keys first: whoever asks for many of those must not push out good ones. */
    kfe_slot *victim = NULL;
    for (kfe_node *node = state->slots.oldest; node != NULL; node = node->newer) {
        kfe_slot *slot = (kfe_slot *)node;
        if (slot->pins > 0)
            continue;
        if (victim == NULL || slot->loaded == NULL)
            victim = slot;
        if (victim->loaded == NULL)
            break;
    }
    if (victim == NULL)
        return;
    kfe_map_remove(&state->slots, &victim->node);
    kfe_loaded_unref(victim->loaded);
    free(victim);
}

kfe_slot *kfe_slot_pin(kfe_state *state, const char *name, uint32_t version)
{
    uint8_t id[4 + KFE_NAME_MAX];
    size_t len = slot_id(id, name, version);
    kfe_slot *slot = (kfe_slot *)kfe_map_find(&state->slots, id, len);
    if (slot == NULL) {
        slot = calloc(1, sizeof(*slot));
        if (slot == NULL) {
            kfe_fail(KFE_E_MEMORY, "out of memory");
            return NULL;
        }
        if (state->slots.n >= KFE_SLOTS_MAX)
            evict(state);
        memcpy(slot->id, id, len);
        memcpy(slot->name, name, strlen(name));
        slot->version = version;
        slot->node.id = slot->id;
        slot->node.id_len = len;
        kfe_map_add(&state->slots, &slot->node);
    }
    slot->pins++;
    return slot;
}

void kfe_slot_unpin(kfe_state *state, kfe_slot *slot)
{
    if (--slot->pins > 0 || slot->loaded != NULL || slot->error)
        return;
    /* Nothing was ever asked about it, as when there was no token: names made up by whoever writes
     * records are not to fill the map. */
    kfe_map_remove(&state->slots, &slot->node);
    free(slot);
}

bool kfe_slot_usable(kfe_state *state, kfe_slot *slot, int64_t now)
{
    if (slot->loaded == NULL || now >= slot->until)
        return false;
    if (now >= slot->due && !slot->wanted && !slot->loading) {
        slot->wanted = true;
        kfe_keeper_wake(state);
    }
    return true;
}

static bool definite(kfe_error err)
{
    return err == KFE_E_KEY_UNKNOWN || err == KFE_E_KEY_DESTROYED || err == KFE_E_KEY_DENIED;
}

/* What a provider answered, where it keeps to its contract. */
static kfe_error judge(const kfe_slot *slot, const kfe_key_provider *provider, const kfe_key *key,
                       kfe_error err)
{
    if (err)
        return definite(err) ? err : kfe_provider_fault(err);
    if (key == NULL || key->version == 0 || (slot->version != 0 && key->version != slot->version))
        return kfe_fail(KFE_E_PROVIDER, "KeyProvider %s: not the key that it was asked for",
                        provider->ops->name);
    if (key->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %s version %u is destroyed", slot->name,
                        key->version);
    if (key->state != KFE_KEY_ACTIVE && key->state != KFE_KEY_DECRYPT_ONLY)
        return kfe_fail(KFE_E_PROVIDER, "KeyProvider %s: a key of unknown state",
                        provider->ops->name);
    return KFE_OK;
}

/* One call of the provider; the lock is released meanwhile. */
static kfe_error ask(kfe_state *state, kfe_slot *slot, kfe_loaded **out)
{
    kfe_loaded *loaded = calloc(1, sizeof(*loaded));
    if (loaded == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    loaded->refs = 1;
    kfe_key_provider *provider = state->provider;
    kfe_key_ref ref = {slot->name, slot->version};
    pthread_mutex_unlock(&state->lock);
    uint64_t started = kfe_clock_us();
    kfe_error err = slot->version == 0
                        ? provider->ops->get_current_key(provider, slot->name, &loaded->key)
                        : provider->ops->get_key(provider, &ref, &loaded->key);
    err = judge(slot, provider, loaded->key, err);
    kfe_count_provider(&state->counts, slot->version == 0 ? KFE_ASKED_CURRENT : KFE_ASKED_KEY, err,
                       started);
    if (err && loaded->key != NULL && KFE_HAS(loaded->key->ops, release))
        loaded->key->ops->release(loaded->key);
    pthread_mutex_lock(&state->lock);
    if (err)
        free(loaded);
    else
        *out = loaded;
    return err;
}

/* From 0 to below `ms`: what begins at one moment is not to meet at the provider again. */
static int64_t uneven(kfe_state *state, int64_t ms)
{
    state->jitter = state->jitter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ms * (int64_t)(state->jitter >> 54) / 1024;
}

static void trust(kfe_state *state, kfe_slot *slot, int64_t asked)
{
    const kfe_settings *s = state->settings;
    const int64_t late = s->cache_ms / 5 * 4, early = s->refresh_ms < late ? s->refresh_ms : late;
    slot->until = asked + s->cache_ms;
    slot->due = asked + early - uneven(state, early / 10);
    slot->confirmed = asked;
    slot->confirmed_version = slot->loaded->key->version;
}

/* Why there is no key, for whoever reads it in a log. */
static void note_failure(kfe_slot *slot, kfe_error err, int64_t now)
{
    char why[160];
    snprintf(why, sizeof(why), "%s", kfe_error_detail());
    if (!definite(err) && slot->confirmed != 0)
        (void)!kfe_fail(err,
                        "key %.64s@%u was last confirmed %lld s ago, and is trusted no longer: %s",
                        slot->name, (unsigned)slot->confirmed_version,
                        (long long)((now - slot->confirmed) / 1000), why);
    snprintf(slot->detail, sizeof(slot->detail), "%s", kfe_error_detail());
}

/* How long a failure is remembered. */
static int64_t silence(kfe_state *state, kfe_error err)
{
    return definite(err) ? KFE_UNKNOWN_MS + uneven(state, KFE_UNKNOWN_MS / 3) : KFE_OUTAGE_MS;
}

/* Loads and notes the result. A failure that says nothing about the key leaves the old one. */
static kfe_error load(kfe_state *state, kfe_slot *slot)
{
    kfe_loaded *loaded = NULL;
    slot->loading = true;
    int64_t asked = kfe_now_ms();
    kfe_error err = ask(state, slot, &loaded);
    int64_t now = kfe_now_ms();
    slot->loading = slot->wanted = false;
    slot->error = err;
    if (!err) {
        kfe_loaded_unref(slot->loaded);
        slot->loaded = loaded;
        trust(state, slot, asked);
    } else if (definite(err) || slot->loaded == NULL || now >= slot->until) {
        kfe_loaded_unref(slot->loaded);
        slot->loaded = NULL;
        slot->until = now + silence(state, err);
        note_failure(slot, err, now);
    } else {
        slot->due = now + 1000;
    }
    atomic_fetch_add(&state->epoch, 1);
    pthread_cond_broadcast(&state->changed);
    return slot->loaded != NULL ? KFE_OK : err;
}

void kfe_slot_broken(kfe_slot *slot, kfe_error err)
{
    slot->broken = err;
    slot->broken_until = kfe_now_ms() + KFE_OUTAGE_MS;
    strncpy(slot->detail, kfe_error_detail(), sizeof(slot->detail) - 1);
}

kfe_error kfe_slot_known_bad(const kfe_slot *slot)
{
    if (slot->broken && kfe_now_ms() < slot->broken_until)
        return kfe_fail(slot->broken, "%s", slot->detail);
    if (slot->loaded == NULL && slot->error && kfe_now_ms() < slot->until)
        return kfe_fail(slot->error, "%s", slot->detail);
    return KFE_OK;
}

void kfe_slot_reconsider(kfe_state *state, kfe_slot *slot)
{
    uint8_t id[4 + KFE_NAME_MAX];
    if (slot->loaded != NULL || slot->error != KFE_E_KEY_UNKNOWN || slot->version < 2)
        return;
    size_t len = slot_id(id, slot->name, slot->version - 1);
    const kfe_slot *last = (kfe_slot *)kfe_map_find(&state->slots, id, len);
    if (last != NULL && last->loaded != NULL)
        slot->error = KFE_OK;
}

kfe_error kfe_slot_load(kfe_state *state, kfe_slot *slot)
{
    while (slot->loading && !kfe_slot_usable(state, slot, kfe_now_ms()))
        pthread_cond_wait(&state->changed, &state->lock);
    if (kfe_slot_usable(state, slot, kfe_now_ms()))
        return KFE_OK;
    kfe_error err = kfe_slot_known_bad(slot);
    return err ? err : load(state, slot);
}

void kfe_slot_refresh(kfe_state *state, kfe_slot *slot)
{
    slot->pins++;
    (void)!load(state, slot);
    slot->pins--;
}
