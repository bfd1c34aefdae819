/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pkcs11/gate.h"

static void stop_here(void *arg)
{
    struct gate *gate = arg;
    pthread_mutex_lock(&gate->lock);
    gate->inside++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->inside--;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void gate_shut(struct gate *gate, const test_token *h, const char *function)
{
    *gate = (struct gate){.h = h, .function = function};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
    h->shim->before_each(function, stop_here, gate);
}

unsigned gate_inside(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    unsigned inside = gate->inside;
    pthread_mutex_unlock(&gate->lock);
    return inside;
}

void gate_open(struct gate *gate)
{
    gate->h->shim->before_each(gate->function, NULL, NULL);
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    while (gate->inside > 0)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}
