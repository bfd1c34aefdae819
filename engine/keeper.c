/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that loads keys and makes sessions ahead of need, so that records do not wait for a
 * provider. Started with the first work, ended with the engine. */
#include <signal.h>

#include "engine/state.h"

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

static void *keep(void *arg)
{
    kfe_state *state = arg;
    pthread_mutex_lock(&state->lock);
    while (!state->stop)
        if (!work(state) && !state->stop)
            pthread_cond_wait(&state->work, &state->lock);
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
