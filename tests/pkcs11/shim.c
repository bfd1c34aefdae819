/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "tests/pkcs11/shim.h"

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

#define HOOKS(X)                                                                                   \
    X(C_Initialize, (CK_VOID_PTR args), (args))                                                    \
    X(C_Finalize, (CK_VOID_PTR reserved), (reserved))                                              \
    X(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID * out, CK_ULONG * n), (present, out, n))        \
    X(C_OpenSession,                                                                               \
      (CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,                         \
       CK_SESSION_HANDLE * out),                                                                   \
      (slot, flags, app, notify, out))                                                             \
    X(C_CloseSession, (CK_SESSION_HANDLE s), (s))                                                  \
    X(C_GetSessionInfo, (CK_SESSION_HANDLE s, CK_SESSION_INFO * info), (s, info))                  \
    X(C_Login, (CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE * pin, CK_ULONG len),              \
      (s, user, pin, len))                                                                         \
    X(C_FindObjectsInit, (CK_SESSION_HANDLE s, CK_ATTRIBUTE * a, CK_ULONG n), (s, a, n))           \
    X(C_FindObjects, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE * out, CK_ULONG max, CK_ULONG * n),    \
      (s, out, max, n))                                                                            \
    X(C_FindObjectsFinal, (CK_SESSION_HANDLE s), (s))                                              \
    X(C_GetAttributeValue,                                                                         \
      (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE * a, CK_ULONG n), (s, o, a, n))       \
    X(C_CreateObject, (CK_SESSION_HANDLE s, CK_ATTRIBUTE * a, CK_ULONG n, CK_OBJECT_HANDLE * o),   \
      (s, a, n, o))                                                                                \
    X(C_DestroyObject, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o), (s, o))                          \
    X(C_GenerateKey,                                                                               \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_ATTRIBUTE * a, CK_ULONG n, CK_OBJECT_HANDLE * o), \
      (s, m, a, n, o))                                                                             \
    X(C_CopyObject,                                                                                \
      (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE from, CK_ATTRIBUTE * a, CK_ULONG n,                   \
       CK_OBJECT_HANDLE * o),                                                                      \
      (s, from, a, n, o))                                                                          \
    X(C_WrapKey,                                                                                   \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE o,             \
       CK_BYTE * out, CK_ULONG * n),                                                               \
      (s, m, by, o, out, n))                                                                       \
    X(C_UnwrapKey,                                                                                 \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE by, CK_BYTE * in, CK_ULONG len,     \
       CK_ATTRIBUTE * a, CK_ULONG n, CK_OBJECT_HANDLE * o),                                        \
      (s, m, by, in, len, a, n, o))                                                                \
    X(C_EncryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE o), (s, m, o))       \
    X(C_Encrypt, (CK_SESSION_HANDLE s, CK_BYTE * in, CK_ULONG len, CK_BYTE * out, CK_ULONG * n),   \
      (s, in, len, out, n))                                                                        \
    X(C_DecryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE o), (s, m, o))       \
    X(C_Decrypt, (CK_SESSION_HANDLE s, CK_BYTE * in, CK_ULONG len, CK_BYTE * out, CK_ULONG * n),   \
      (s, in, len, out, n))                                                                        \
    X(C_SignInit, (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE o), (s, m, o))          \
    X(C_Sign, (CK_SESSION_HANDLE s, CK_BYTE * in, CK_ULONG len, CK_BYTE * out, CK_ULONG * n),      \
      (s, in, len, out, n))

enum hook_index {
#define X(name, params, args) AT_##name,
    HOOKS(X)
#undef X
        AT_C_GetTokenInfo,
    N_HOOKS
};

static struct hook hooks[N_HOOKS] = {
#define X(name, params, args) [AT_##name] = {.function = #name},
    HOOKS(X)
#undef X
        [AT_C_GetTokenInfo] = {.function = "C_GetTokenInfo"}};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST list;
static CK_FLAGS extra_flags;

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

#define X(name, params, args)                                                                      \
    static CK_RV shim_##name params                                                                \
    {                                                                                              \
        shim_how how;                                                                              \
        CK_RV rv;                                                                                  \
        if (!fails(AT_##name, &how, &rv))                                                          \
            return real->name args;                                                                \
        if (how == SHIM_AFTER || how == SHIM_TWICE)                                                \
            real->name args;                                                                       \
        return how == SHIM_TWICE ? real->name args : rv;                                           \
    }
HOOKS(X)
#undef X

static CK_RV shim_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    shim_how how;
    CK_RV rv;
    if (fails(AT_C_GetTokenInfo, &how, &rv))
        return rv;
    rv = real->C_GetTokenInfo(slot, info);
    if (rv == CKR_OK)
        info->flags |= extra_flags;
    return rv;
}

/* ---- Tokens that make their own IVs --------------------------------------------------------- */

enum { IV_SESSIONS = 64 };

static _Atomic shim_iv iv_style;
static struct {
    CK_BYTE iv[16];
} appended[IV_SESSIONS];

static CK_RV iv_EncryptInit(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
{
    if (iv_style == SHIM_IV_HOST || m->mechanism != CKM_AES_GCM)
        return shim_C_EncryptInit(s, m, o);
    CK_GCM_PARAMS *given = m->pParameter, own = *given;
    CK_BYTE *iv = appended[s % IV_SESSIONS].iv;
    CK_MECHANISM other = {CKM_AES_GCM, &own, sizeof(own)};
    if (getrandom(iv, 16, 0) != 16)
        return CKR_GENERAL_ERROR;
    own.pIv = iv;
    if (iv_style == SHIM_IV_WRITTEN_BACK) {
        memcpy(given->pIv, iv, given->ulIvLen);
    } else {
        own.ulIvLen = 16;
        own.ulIvBits = 128;
    }
    return shim_C_EncryptInit(s, &other, o);
}

static CK_RV iv_Encrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *n)
{
    CK_ULONG room = *n;
    CK_RV rv = shim_C_Encrypt(s, in, len, out, n);
    if (rv != CKR_OK || iv_style != SHIM_IV_APPENDED)
        return rv;
    if (room < *n + 16)
        return CKR_BUFFER_TOO_SMALL;
    memcpy(out + *n, appended[s % IV_SESSIONS].iv, 16);
    *n += 16;
    return CKR_OK;
}

static void shim_set_iv(shim_iv style)
{
    iv_style = style;
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

static void shim_token_flags(CK_FLAGS flags)
{
    extra_flags = flags;
}

static void shim_delay(const char *function, unsigned microseconds)
{
    struct hook *hook = hook_for(function);
    pthread_mutex_lock(&lock);
    hook->delay = microseconds;
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
    iv_style = SHIM_IV_HOST;
    pthread_mutex_unlock(&lock);
}

__attribute__((visibility("default")))
const shim_table kfe_test_shim = {shim_inject,      shim_before, shim_before_each, shim_calls,
                                  shim_token_flags, shim_set_iv, shim_delay,       shim_reset};

/* A child may be born while another thread of its parent is in fails(). */
static void renew_lock(void)
{
    pthread_mutex_init(&lock, NULL);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    if (!real) {
        void *module = dlopen(getenv("KFE_SHIM_MODULE"), RTLD_NOW | RTLD_LOCAL);
        void *symbol = module ? dlsym(module, "C_GetFunctionList") : NULL;
        memcpy(&get, &symbol, sizeof(get));
        if (!get || get(&real) != CKR_OK)
            return CKR_GENERAL_ERROR;
        list = *real;
        pthread_atfork(NULL, NULL, renew_lock);
#define X(name, params, args) list.name = shim_##name;
        HOOKS(X)
#undef X
        list.C_GetTokenInfo = shim_C_GetTokenInfo;
        list.C_EncryptInit = iv_EncryptInit;
        list.C_Encrypt = iv_Encrypt;
    }
    *out = &list;
    return CKR_OK;
}
