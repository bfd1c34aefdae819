/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/state.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The precise clock takes four times as long as the coarse one, and is read again when that has
 * ticked: every few milliseconds at most, and soon after a suspend. */
int64_t kfe_now_ms(void)
{
    static _Thread_local struct timespec last;
    static _Thread_local int64_t ms;
    struct timespec tick, now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &tick);
    if (tick.tv_nsec != last.tv_nsec || tick.tv_sec != last.tv_sec) {
        clock_gettime(CLOCK_BOOTTIME, &now);
        ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        last = tick;
    }
    return ms;
}

/* Sessions whose keys fit into half of the memory that may be locked: of each its expanded key, and
 * one block for what else it has. */
static size_t sessions_that_fit(const kfe_settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return KFE_SESSIONS_MAX;
    size_t one = 64;
    for (unsigned suite = 1; suite <= KFE_C20P1305; suite++) {
        size_t key = (settings->suites >> suite & 1) != 0
                         ? kfe_settings_backend(settings, suite)->key_size
                         : 0;
        one = one < key + 64 ? key + 64 : one;
    }
    size_t fit = (size_t)limit.rlim_cur / 2 / one;
    return fit > KFE_SESSIONS_MAX ? KFE_SESSIONS_MAX : fit < 16 ? 16 : fit;
}

kfe_error kfe_state_new(kfe_state **out, const kfe_settings *settings)
{
    kfe_state *state = calloc(1, sizeof(*state));
    if (state == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_error err = kfe_key_provider_open(&state->provider, settings->config);
    if (err) {
        free(state);
        return err;
    }
    state->settings = settings;
    state->open_max = sessions_that_fit(settings);
    state->tokens = KFE_UNPROVEN_BURST;
    state->tokens_at = kfe_now_ms();
    state->jitter = (uint64_t)state->tokens_at ^ (uint64_t)(uintptr_t)state ^ (uint64_t)getpid();
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->changed, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&state->work, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = state;
    return KFE_OK;
}

void kfe_state_free(kfe_state *state)
{
    if (state == NULL)
        return;
    /* The keeper may be in a call that an HSM does not answer. */
    if (KFE_HAS(state->provider->ops, stop))
        state->provider->ops->stop(state->provider);
    kfe_keeper_stop(state);
    while (state->open.oldest != NULL) {
        kfe_session *session = (kfe_session *)state->open.oldest;
        kfe_map_remove(&state->open, &session->node);
        kfe_session_drop(state, session);
    }
    while (state->sealers.oldest != NULL) {
        kfe_sealer *sealer = (kfe_sealer *)state->sealers.oldest;
        kfe_map_remove(&state->sealers, &sealer->node);
        kfe_session_drop(state, sealer->session);
        free(sealer);
    }
    while (state->slots.oldest != NULL) {
        kfe_slot *slot = (kfe_slot *)state->slots.oldest;
        kfe_map_remove(&state->slots, &slot->node);
        kfe_loaded_unref(slot->loaded);
        free(slot);
    }
    kfe_key_provider_close(state->provider);
    pthread_cond_destroy(&state->work);
    pthread_cond_destroy(&state->changed);
    pthread_mutex_destroy(&state->lock);
    free(state);
}
