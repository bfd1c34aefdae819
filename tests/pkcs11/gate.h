/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_GATE_H
#define KFE_TESTS_PKCS11_GATE_H

/* Calls of a function of the module that do not return until they are let go. */

#include "tests/pkcs11/test_token.h"

struct gate {
    const test_token *h;
    const char *function;
    struct gate_state *state; /* never freed: a call may be on its way to it, however late */
};

void gate_shut(struct gate *gate, const test_token *h, const char *function);
unsigned gate_inside(struct gate *gate);            /* calls that hang */
void gate_await(struct gate *gate, unsigned calls); /* until so many do */
void gate_open(struct gate *gate); /* lets them go, and waits until they are through */

#endif
