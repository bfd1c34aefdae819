/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_GATE_H
#define KFE_TESTS_PKCS11_GATE_H

/* Calls of a function of the module that do not return until they are let go. */

#include <pthread.h>

#include "tests/pkcs11/test_token.h"

struct gate {
    const test_token *h;
    const char *function;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned inside;
};

void gate_shut(struct gate *gate, const test_token *h, const char *function);
unsigned gate_inside(struct gate *gate); /* calls that hang */
void gate_open(struct gate *gate);       /* lets them go, and waits until they are through */

#endif
