/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/calls.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { IMAGE_MAX = 16384, MXCSR_AT = 24, KEPT = 6, LOOK_DIFFERENT = 10 };
enum { AVX = 2, ZMM_HIGH = 6 }; /* state components of XSAVE: upper halves of registers 0 to 15 */

static struct {
    ucontext_t here, there;
    call_function *function;
    void *arg;
    uint8_t *stack;
    uint64_t kept[KEPT + 1]; /* and the flags */
    uint32_t mxcsr;
} call;

static _Alignas(64) uint8_t image[IMAGE_MAX]; /* of XSAVE, standard format */
static char found[200];
static const uint64_t patterns[KEPT] = {0x1b1b1b1b1b1b1b1b, 0x2b2b2b2b2b2b2b2b, 0x3c3c3c3c3c3c3c3c,
                                        0x4d4d4d4d4d4d4d4d, 0x5e5e5e5e5e5e5e5e, 0x6f6f6f6f6f6f6f6f};

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

/* void call_keeping(call_function *, uint64_t kept[KEPT + 1], void *arg): loads rbx, rbp, r12 to
 * r15 from `kept`, calls, and stores there what they hold then, and the flags. */
void call_keeping(call_function *function, uint64_t kept[KEPT + 1], void *arg);
__asm__(".text\n"
        ".type call_keeping, @function\n"
        "call_keeping:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
        "mov (%rsi), %rbx\n mov 8(%rsi), %rbp\n mov 16(%rsi), %r12\n"
        "mov 24(%rsi), %r13\n mov 32(%rsi), %r14\n mov 40(%rsi), %r15\n"
        "mov %rdi, %rax\n mov %rdx, %rdi\n call *%rax\n"
        "pop %rsi\n"
        "mov %rbx, (%rsi)\n mov %rbp, 8(%rsi)\n mov %r12, 16(%rsi)\n"
        "mov %r13, 24(%rsi)\n mov %r14, 32(%rsi)\n mov %r15, 40(%rsi)\n"
        "pushfq\n pop 48(%rsi)\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size call_keeping, . - call_keeping\n");

enum { VECTORS = 0xe6 }; /* components: SSE, AVX, masks, both parts of AVX-512 */

__attribute__((target("xsave"))) static void on_its_stack(void)
{
    _xrstor64(image, VECTORS); /* a header of zeros: to their first state */
    call_keeping(call.function, call.kept, call.arg);
    _xsave64(image, -1);
}

static void run(void)
{
    memset(call.stack, 0xc3, CALL_STACK);
    memset(image, 0, sizeof(image));
    call.mxcsr = _mm_getcsr();
    memcpy(image + MXCSR_AT, &call.mxcsr, 4);
    memcpy(call.kept, patterns, sizeof(patterns));
    getcontext(&call.there);
    call.there.uc_stack.ss_sp = call.stack;
    call.there.uc_stack.ss_size = CALL_STACK;
    call.there.uc_link = &call.here;
    makecontext(&call.there, on_its_stack, 0);
    swapcontext(&call.here, &call.there);
    call.mxcsr ^= _mm_getcsr();
}

void call_dirty_register(void *arg)
{
    __asm__ volatile("movdqu (%0), %%xmm9" : : "r"(arg) : "xmm9", "memory");
}

void call_dirty_upper(void *arg)
{
    __asm__ volatile("vmovdqu (%0), %%ymm9" : : "r"(arg) : "xmm9", "memory");
}

/* ---- What it left ---------------------------------------------------------------------------- */

static const char *say(const char *what, const char *where, size_t at)
{
    snprintf(found, sizeof(found), "%s %s, byte %zu", what, where, at);
    return found;
}

static bool is_clear(unsigned component)
{
    unsigned size = 0, offset = 0, more = 0, unused = 0;
    __cpuid_count(0xd, component, size, offset, more, unused);
    for (unsigned i = 0; i < size; i++)
        if (image[offset + i] != 0)
            return false;
    return true;
}

static const char *look_at_state(void)
{
    if (memcmp(call.kept, patterns, sizeof(patterns)) != 0)
        return "a register that the callee must keep has changed";
    if ((call.kept[KEPT] & 0x400) != 0)
        return "the direction flag is set";
    if (call.mxcsr != 0)
        return "MXCSR has changed";
    if (!is_clear(AVX) || !is_clear(ZMM_HIGH))
        return "upper halves of vector registers are in use: no vzeroupper";
    return NULL;
}

const char *call_watched(call_function *function, void *arg, const call_secrets *secrets)
{
    unsigned size = 0, a = 0, c = 0, d = 0;
    size_t at = 0;
    __cpuid_count(0xd, 0, a, size, c, d);
    if (size > IMAGE_MAX)
        return "no room for this CPU's registers";
    if (call.stack == NULL) {
        call.stack =
            mmap(NULL, CALL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (call.stack == MAP_FAILED)
            abort();
    }
    call.function = function;
    call.arg = arg;
    run();
    const char *fault = look_at_state();
    if (fault != NULL)
        return fault;
    learn(secrets);
    fault = look(secrets, call.stack, CALL_STACK, &at);
    if (fault != NULL)
        return say(fault, "on the stack", at);
    fault = look(secrets, image, size, &at);
    return fault != NULL ? say(fault, "in a register", at) : NULL;
}
