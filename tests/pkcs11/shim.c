/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pkcs11/shim_calls.h"
#include "tests/pkcs11/shim_ways.h"

struct hook {
    const char *function;
    unsigned long calls, skip, count;
    unsigned delay; /* microseconds */
    shim_how how;
    CK_RV rv;
    void (*act)(void *arg);
    void *arg;
    void (*each)(void *arg);
    void *each_arg;
};

enum hook_index {
#define X(name, params, args) AT_##name,
    SHIM_CALLS(X)
#undef X
        N_HOOKS
};

static struct hook hooks[N_HOOKS] = {
#define X(name, params, args) [AT_##name] = {.function = #name},
    SHIM_CALLS(X)
#undef X
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CK_FUNCTION_LIST_PTR below; /* the ways, over the module */
static CK_FUNCTION_LIST list;
static _Atomic CK_FLAGS extra_flags;
static _Atomic unsigned inside; /* calls under way */

/* Counts the call; true when it is to fail, by `how` and `rv`. */
static bool fails(enum hook_index at, shim_how *how, CK_RV *rv)
{
    struct hook *hook = &hooks[at];
    bool yes = false;
    pthread_mutex_lock(&lock);
    hook->calls++;
    void (*act)(void *arg) = hook->act;
    hook->act = NULL;
    void (*each)(void *arg) = hook->each;
    void *each_arg = hook->each_arg;
    const struct timespec delay = {.tv_nsec = (long)hook->delay * 1000};
    if (hook->count > 0 && hook->skip > 0) {
        hook->skip--;
    } else if (hook->count > 0) {
        hook->count--;
        *how = hook->how;
        *rv = hook->rv;
        yes = true;
    }
    pthread_mutex_unlock(&lock);
    if (delay.tv_nsec > 0)
        nanosleep(&delay, NULL);
    if (act)
        act(hook->arg);
    if (each)
        each(each_arg);
    if (yes && *how == SHIM_PIPE)
        raise(SIGPIPE);
    return yes;
}

#define L(slot) slot
#define S(handle) handle
#define O(handle) handle
#define X(name, params, args)                                                                      \
    static CK_RV shim_##name params                                                                \
    {                                                                                              \
        shim_how how = SHIM_INSTEAD;                                                               \
        CK_RV rv = CKR_OK, real = CKR_OK;                                                          \
        inside++;                                                                                  \
        bool failed = fails(AT_##name, &how, &rv);                                                 \
        if (!failed || how == SHIM_AFTER)                                                          \
            real = below->name args;                                                               \
        inside--;                                                                                  \
        return failed ? rv : real;                                                                 \
    }
SHIM_CALLS(X)
#undef X
#undef L
#undef S
#undef O

static CK_RV flagged_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = shim_C_GetTokenInfo(slot, info);
    if (rv == CKR_OK)
        info->flags |= extra_flags;
    return rv;
}

static struct hook *hook_for(const char *function)
{
    for (size_t i = 0; i < N_HOOKS; i++) {
        if (strcmp(hooks[i].function, function) == 0)
            return &hooks[i];
    }
    abort();
}

static void shim_inject(const char *function, shim_how how, CK_RV rv, unsigned long skip,
                        unsigned long count)
{
    struct hook *hook = hook_for(function);
    pthread_mutex_lock(&lock);
    hook->how = how;
    hook->rv = rv;
    hook->skip = skip;
    hook->count = count;
    pthread_mutex_unlock(&lock);
}

static void shim_before(const char *function, void (*act)(void *arg), void *arg)
{
    struct hook *hook = hook_for(function);
    pthread_mutex_lock(&lock);
    hook->arg = arg;
    hook->act = act;
    pthread_mutex_unlock(&lock);
}

static void shim_before_each(const char *function, void (*act)(void *arg), void *arg)
{
    struct hook *hook = hook_for(function);
    pthread_mutex_lock(&lock);
    hook->each_arg = arg;
    hook->each = act;
    pthread_mutex_unlock(&lock);
}

static unsigned long shim_calls(const char *function)
{
    const struct hook *hook = hook_for(function);
    pthread_mutex_lock(&lock);
    unsigned long calls = hook->calls;
    pthread_mutex_unlock(&lock);
    return calls;
}

static unsigned shim_inside(void)
{
    return inside;
}

static void shim_token_flags(CK_FLAGS flags)
{
    extra_flags = flags;
}

static void shim_delay(const char *function, unsigned microseconds)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < N_HOOKS; i++)
        if (function == NULL || strcmp(hooks[i].function, function) == 0)
            hooks[i].delay = microseconds;
    pthread_mutex_unlock(&lock);
}

static void shim_reset(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < N_HOOKS; i++) {
        hooks[i].calls = hooks[i].skip = hooks[i].count = 0;
        hooks[i].delay = 0;
    }
    extra_flags = 0;
    pthread_mutex_unlock(&lock);
    shim_ways_reset();
}

__attribute__((visibility("default")))
const shim_table kfe_test_shim = {.inject = shim_inject,
                                  .before = shim_before,
                                  .before_each = shim_before_each,
                                  .calls = shim_calls,
                                  .inside = shim_inside,
                                  .token_flags = shim_token_flags,
                                  .iv = shim_ways_iv,
                                  .delay = shim_delay,
                                  .out_of_reach = shim_ways_out_of_reach,
                                  .lose_handles = shim_ways_lose_handles,
                                  .swap_handles = shim_ways_swap_handles,
                                  .limit = shim_ways_limit,
                                  .size = shim_ways_size,
                                  .size_queries = shim_ways_queries,
                                  .room = shim_ways_room,
                                  .reset = shim_reset};

/* A child may be born while another thread of its parent is in a call. */
static void renew_lock(void)
{
    inside = 0;
    pthread_mutex_init(&lock, NULL);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    if (!below) {
        CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
        CK_FUNCTION_LIST_PTR real = NULL;
        void *module = dlopen(getenv("KFE_SHIM_MODULE"), RTLD_NOW | RTLD_LOCAL);
        void *symbol = module ? dlsym(module, "C_GetFunctionList") : NULL;
        memcpy(&get, &symbol, sizeof(get));
        if (!get || get(&real) != CKR_OK)
            return CKR_GENERAL_ERROR;
        below = shim_ways(real);
        list = *below;
        pthread_atfork(NULL, NULL, renew_lock);
#define X(name, params, args) list.name = shim_##name;
        SHIM_CALLS(X)
#undef X
        list.C_GetTokenInfo = flagged_C_GetTokenInfo;
    }
    *out = &list;
    return CKR_OK;
}
