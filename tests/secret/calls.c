/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/calls_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { LOOK_DIFFERENT = 10 };

static struct {
    ucontext_t here, there;
    call_function *function;
    void *arg;
    uint8_t *stack;
} call;

static char found[200];

/* ---- Secrets --------------------------------------------------------------------------------- */

static void add(call_secrets *secrets, const char *name, const uint8_t bytes[16])
{
    bool seen[256] = {false};
    size_t different = 0;
    for (int i = 0; i < 16; i++) {
        different += !seen[bytes[i]];
        seen[bytes[i]] = true;
    }
    if (different < LOOK_DIFFERENT || secrets->n == CALL_SECRETS_MAX)
        return;
    secrets->name[secrets->n] = name;
    memcpy(secrets->bytes[secrets->n++], bytes, 16);
}

void call_secret(call_secrets *secrets, const char *name, const void *at, size_t len)
{
    const uint8_t *from = at;
    for (size_t i = 0; i + 16 <= len; i += 16) {
        uint8_t reversed[16];
        for (size_t b = 0; b < 16; b++)
            reversed[b] = from[i + 15 - b];
        add(secrets, name, from + i);
        add(secrets, name, reversed);
    }
}

enum { SLOTS = 65536 }; /* several times as many as secrets */

static uint16_t slots[SLOTS]; /* number of a secret from 1 on, at its hash or behind */

static uint32_t hash(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return (uint32_t)(word * 0x9e3779b97f4a7c15u >> 48);
}

static void learn(const call_secrets *secrets)
{
    memset(slots, 0, sizeof(slots));
    for (size_t i = 0; i < secrets->n; i++) {
        uint32_t h = hash(secrets->bytes[i]);
        while (slots[h] != 0)
            h = (h + 1) % SLOTS;
        slots[h] = (uint16_t)(i + 1);
    }
}

/* The first of the secrets in these bytes; `at` tells where. */
static const char *look(const call_secrets *secrets, const uint8_t *from, size_t len, size_t *at)
{
    for (*at = 0; *at + 16 <= len; ++*at)
        for (uint32_t h = hash(from + *at); slots[h] != 0; h = (h + 1) % SLOTS)
            if (memcmp(from + *at, secrets->bytes[slots[h] - 1], 16) == 0)
                return secrets->name[slots[h] - 1];
    return NULL;
}

/* ---- The call -------------------------------------------------------------------------------- */

static void on_its_stack(void)
{
    call_on_machine(call.function, call.arg);
}

static void run(void)
{
    memset(call.stack, 0xc3, CALL_STACK);
    getcontext(&call.there);
    call.there.uc_stack.ss_sp = call.stack;
    call.there.uc_stack.ss_size = CALL_STACK;
    call.there.uc_link = &call.here;
    makecontext(&call.there, on_its_stack, 0);
    swapcontext(&call.here, &call.there);
}

/* ---- What it left ---------------------------------------------------------------------------- */

static const char *say(const char *what, const char *where, size_t at)
{
    snprintf(found, sizeof(found), "%s %s, byte %zu", what, where, at);
    return found;
}

const char *call_watched(call_function *function, void *arg, const call_secrets *secrets)
{
    size_t at = 0;
    if (call.stack == NULL) {
        call.stack =
            mmap(NULL, CALL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (call.stack == MAP_FAILED)
            abort();
    }
    call.function = function;
    call.arg = arg;
    run();
    const char *fault = call_machine_fault();
    if (fault != NULL)
        return fault;
    learn(secrets);
    fault = look(secrets, call.stack, CALL_STACK, &at);
    if (fault != NULL)
        return say(fault, "on the stack", at);
    fault = look(secrets, call_image, call_image_len, &at);
    return fault != NULL ? say(fault, "in a register", at) : NULL;
}
