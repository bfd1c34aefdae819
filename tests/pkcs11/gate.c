/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pkcs11/gate.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/pkcs11/derive_rig.h"

struct gate_state {
    struct gate_state *last; /* so that leak checkers find it */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned inside;
};

static struct gate_state *newest;

static void stop_here(void *arg)
{
    struct gate_state *state = arg;
    pthread_mutex_lock(&state->lock);
    state->inside++;
    pthread_cond_broadcast(&state->changed);
    while (!state->open)
        pthread_cond_wait(&state->changed, &state->lock);
    state->inside--;
    pthread_cond_broadcast(&state->changed);
    pthread_mutex_unlock(&state->lock);
}

void gate_shut(struct gate *gate, const test_token *h, const char *function)
{
    struct gate_state *state = calloc(1, sizeof(*state));
    assert_non_null(state);
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->changed, NULL);
    state->last = newest;
    newest = state;
    *gate = (struct gate){h, function, state};
    h->shim->before_each(function, stop_here, state);
}

unsigned gate_inside(struct gate *gate)
{
    pthread_mutex_lock(&gate->state->lock);
    unsigned inside = gate->state->inside;
    pthread_mutex_unlock(&gate->state->lock);
    return inside;
}

void gate_await(struct gate *gate, unsigned calls)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (gate_inside(gate) < calls && now_ms() < until)
        pause_1_ms();
    assert_int_equal(gate_inside(gate), calls);
}

void gate_open(struct gate *gate)
{
    struct gate_state *state = gate->state;
    gate->h->shim->before_each(gate->function, NULL, NULL);
    pthread_mutex_lock(&state->lock);
    state->open = true;
    pthread_cond_broadcast(&state->changed);
    while (state->inside > 0)
        pthread_cond_wait(&state->changed, &state->lock);
    pthread_mutex_unlock(&state->lock);
}
