/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that loads keys and makes sessions ahead of need, so that records do not wait for a
 * provider. Started with the first work, ended with the engine. */
#include <signal.h>
#include <time.h>

#include "engine/state.h"

enum { REST_MS = 60000 };

/* Does one wanted thing; false when there is none. Lock held, released meanwhile. */
static bool work(kfe_state *state)
{
    for (kfe_node *node = state->slots.newest; node != NULL; node = node->older) {
        kfe_slot *slot = (kfe_slot *)node;
        if (slot->wanted && !slot->loading) {
            kfe_slot_refresh(state, slot);
            return true;
        }
    }
    for (kfe_node *node = state->sealers.newest; node != NULL; node = node->older) {
        kfe_sealer *sealer = (kfe_sealer *)node;
        if (sealer->wanted && !sealer->making) {
            kfe_sealer_renew(state, sealer);
            return true;
        }
    }
    return false;
}

/* What sealers in use will need; returns when to look again. */
static int64_t look_ahead(kfe_state *state, int64_t now)
{
    int64_t next = INT64_MAX;
    for (kfe_node *node = state->sealers.newest; node != NULL; node = node->older)
        kfe_sealer_ahead(state, (kfe_sealer *)node, now, &next);
    return next;
}

/* Until there is work, `ms` have passed, or the clock may have jumped. */
static void rest(kfe_state *state, int64_t ms)
{
    struct timespec end;
    if (ms > REST_MS)
        ms = REST_MS;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += ms / 1000;
    end.tv_nsec += ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&state->work, &state->lock, &end);
}

static void *keep(void *arg)
{
    kfe_state *state = arg;
    pthread_mutex_lock(&state->lock);
    while (!state->stop) {
        int64_t now = kfe_now_ms(), next = look_ahead(state, now);
        if (!work(state) && !state->stop)
            rest(state, next - now);
    }
    pthread_mutex_unlock(&state->lock);
    return NULL;
}

void kfe_keeper_wake(kfe_state *state)
{
    if (!state->keeper_runs && !state->stop) {
        /* Signals are the application's: none is to be handled on this thread. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        state->keeper_runs = pthread_create(&state->keeper, NULL, keep, state) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_cond_signal(&state->work);
}

void kfe_keeper_stop(kfe_state *state)
{
    pthread_mutex_lock(&state->lock);
    state->stop = true;
    pthread_cond_broadcast(&state->work);
    bool runs = state->keeper_runs;
    pthread_mutex_unlock(&state->lock);
    if (runs)
        pthread_join(state->keeper, NULL);
}
