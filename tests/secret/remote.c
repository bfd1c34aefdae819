/* SPDX-License-Identifier: Apache-2.0 */
/* A PKCS#11 module whose token lives in another process, as an HSM does: what is found in this
 * process was left by the caller. It forwards calls to the module that KFE_REMOTE_MODULE names, in
 * a child that the first C_GetFunctionList() makes. Arguments go through memory that both map at
 * the same address, so that pointers into it hold on both sides, and that is wiped after each call.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/secret/remote.h"
#include "tests/secret/remote_wire.h"

static wire *shared;
static CK_FUNCTION_LIST list;
static _Atomic(remote_watcher *) watching;

static void *room_for(size_t len)
{
    void *at = shared->bytes + shared->used;
    shared->used += (len + 15) / 16 * 16;
    if (shared->used > ROOM)
        abort();
    return at;
}

/* A vector register would keep a secret, and it would seem to be the caller's. */
static void copy(void *to, const void *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((volatile CK_BYTE *)to)[i] = ((const CK_BYTE *)from)[i];
}

static void *put(const void *from, size_t len)
{
    void *at = room_for(len);
    if (from)
        copy(at, from, len);
    return at;
}

static CK_MECHANISM *put_mechanism(const CK_MECHANISM *m)
{
    CK_MECHANISM *to = put(m, sizeof(*m));
    if (m->ulParameterLen > 0)
        to->pParameter = put(m->pParameter, m->ulParameterLen);
    if (m->mechanism == CKM_AES_GCM) {
        CK_GCM_PARAMS *gcm = to->pParameter;
        gcm->pIv = put(gcm->pIv, gcm->ulIvLen);
        gcm->pAAD = put(gcm->pAAD, gcm->ulAADLen);
    }
    return to;
}

/* Values too: what they hold, or room for what they get. */
static CK_ATTRIBUTE *put_template(const CK_ATTRIBUTE *t, CK_ULONG n)
{
    CK_ATTRIBUTE *to = put(t, n * sizeof(*t));
    for (CK_ULONG i = 0; i < n; i++)
        if (t[i].pValue)
            to[i].pValue = put(t[i].pValue, t[i].ulValueLen);
    return to;
}

static void tell(enum which which, bool over)
{
    static const char *const names[] = {
#define X(name, run) #name,
        CALLS(X)
#undef X
    };
    const char *crash = over ? getenv(REMOTE_CRASH) : NULL;
    remote_watcher *watcher = atomic_load(&watching);
    if (watcher)
        watcher(names[which], over);
    if (crash && strcmp(crash, names[which]) == 0)
        abort();
}

static void begin(enum which which, call c)
{
    tell(which, false);
    remote_wait(&shared->turn);
    shared->which = which;
    shared->used = 0;
    shared->c = c;
    if (c.m)
        shared->c.m = put_mechanism(c.m);
    if (c.t)
        shared->c.t = put_template(c.t, c.n);
    if (c.in)
        shared->c.in = put(c.in, c.len);
    if (c.out)
        shared->c.out = put(c.out, c.room);
}

static CK_RV ask(void)
{
    sem_post(&shared->asked);
    remote_wait(&shared->answered);
    return shared->rv;
}

static CK_RV end(CK_RV rv)
{
    enum which which = shared->which;
    explicit_bzero(shared->bytes, shared->used);
    sem_post(&shared->turn);
    tell(which, true);
    return rv;
}

/* What gives nothing, or something of a fixed size to `out`. */
static CK_RV simple(enum which which, call c)
{
    begin(which, c);
    CK_RV rv = ask();
    if (rv == CKR_OK && c.out)
        copy(c.out, shared->c.out, c.room);
    return end(rv);
}

/* What gives a handle or a number. */
static CK_RV gives(enum which which, call c, CK_ULONG *out)
{
    begin(which, c);
    CK_RV rv = ask();
    if (rv == CKR_OK)
        *out = shared->c.first;
    return end(rv);
}

/* What gives as many bytes as it says. */
static CK_RV fills(enum which which, call c, CK_ULONG *n, size_t each)
{
    c.room = c.out ? *n * each : 0;
    begin(which, c);
    shared->c.room = *n;
    CK_RV rv = ask();
    *n = shared->c.room;
    if (rv == CKR_OK && c.out)
        copy(c.out, shared->c.out, *n * each);
    return end(rv);
}

static CK_RV r_C_Initialize(CK_VOID_PTR args)
{
    (void)args;
    return simple(AT_C_Initialize, (call){0});
}

static CK_RV r_C_Finalize(CK_VOID_PTR reserved)
{
    (void)reserved;
    return simple(AT_C_Finalize, (call){0});
}

static CK_RV r_C_GetInfo(CK_INFO *out)
{
    return simple(AT_C_GetInfo, (call){.out = (CK_BYTE *)out, .room = sizeof(*out)});
}

static CK_RV r_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *out, CK_ULONG *n)
{
    return fills(AT_C_GetSlotList, (call){.a = present, .out = (CK_BYTE *)out}, n, sizeof(*out));
}

static CK_RV r_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *out)
{
    return simple(AT_C_GetTokenInfo,
                  (call){.a = slot, .out = (CK_BYTE *)out, .room = sizeof(*out)});
}

static CK_RV r_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *out)
{
    return simple(AT_C_GetMechanismInfo,
                  (call){.a = slot, .b = type, .out = (CK_BYTE *)out, .room = sizeof(*out)});
}

static CK_RV r_C_InitToken(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG len, CK_BYTE *label)
{
    return simple(AT_C_InitToken,
                  (call){.a = slot, .in = pin, .len = len, .out = label, .room = 32});
}

static CK_RV r_C_InitPIN(CK_SESSION_HANDLE s, CK_BYTE *pin, CK_ULONG len)
{
    return simple(AT_C_InitPIN, (call){.a = s, .in = pin, .len = len});
}

static CK_RV r_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,
                             CK_SESSION_HANDLE *out)
{
    (void)app;
    (void)notify;
    return gives(AT_C_OpenSession, (call){.a = slot, .b = flags}, out);
}

static CK_RV r_C_CloseSession(CK_SESSION_HANDLE s)
{
    return simple(AT_C_CloseSession, (call){.a = s});
}

static CK_RV r_C_GetSessionInfo(CK_SESSION_HANDLE s, CK_SESSION_INFO *out)
{
    return simple(AT_C_GetSessionInfo, (call){.a = s, .out = (CK_BYTE *)out, .room = sizeof(*out)});
}

static CK_RV r_C_Login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG len)
{
    return simple(AT_C_Login, (call){.a = s, .b = user, .in = pin, .len = len});
}

static CK_RV r_C_Logout(CK_SESSION_HANDLE s)
{
    return simple(AT_C_Logout, (call){.a = s});
}

static CK_RV r_C_FindObjectsInit(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n)
{
    return simple(AT_C_FindObjectsInit, (call){.a = s, .t = t, .n = n});
}

static CK_RV r_C_FindObjects(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *n)
{
    begin(AT_C_FindObjects,
          (call){.a = s, .b = max, .out = (CK_BYTE *)out, .room = max * sizeof(*out)});
    CK_RV rv = ask();
    if (rv == CKR_OK) {
        *n = shared->c.first;
        copy(out, shared->c.out, *n * sizeof(*out));
    }
    return end(rv);
}

static CK_RV r_C_FindObjectsFinal(CK_SESSION_HANDLE s)
{
    return simple(AT_C_FindObjectsFinal, (call){.a = s});
}

static CK_RV r_C_GetAttributeValue(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t,
                                   CK_ULONG n)
{
    begin(AT_C_GetAttributeValue, (call){.a = s, .b = o, .t = t, .n = n});
    CK_RV rv = ask();
    for (CK_ULONG i = 0; i < n; i++) {
        const CK_ATTRIBUTE *got = &shared->c.t[i];
        if (t[i].pValue && got->ulValueLen <= t[i].ulValueLen)
            copy(t[i].pValue, got->pValue, got->ulValueLen);
        t[i].ulValueLen = got->ulValueLen;
    }
    return end(rv);
}

static CK_RV r_C_SetAttributeValue(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t,
                                   CK_ULONG n)
{
    return simple(AT_C_SetAttributeValue, (call){.a = s, .b = o, .t = t, .n = n});
}

static CK_RV r_C_CreateObject(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n,
                              CK_OBJECT_HANDLE *out)
{
    return gives(AT_C_CreateObject, (call){.a = s, .t = t, .n = n}, out);
}

static CK_RV r_C_DestroyObject(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o)
{
    return simple(AT_C_DestroyObject, (call){.a = s, .b = o});
}

static CK_RV r_C_CopyObject(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE from, CK_ATTRIBUTE *t, CK_ULONG n,
                            CK_OBJECT_HANDLE *out)
{
    return gives(AT_C_CopyObject, (call){.a = s, .b = from, .t = t, .n = n}, out);
}

static CK_RV r_C_GenerateKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n,
                             CK_OBJECT_HANDLE *out)
{
    return gives(AT_C_GenerateKey, (call){.a = s, .m = m, .t = t, .n = n}, out);
}

static CK_RV r_C_WrapKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE by,
                         CK_OBJECT_HANDLE o, CK_BYTE *out, CK_ULONG *n)
{
    return fills(AT_C_WrapKey, (call){.a = s, .m = m, .b = by, .c = o, .out = out}, n, 1);
}

#define FORWARD(name, params, result)                                                              \
    static CK_RV r_##name params                                                                   \
    {                                                                                              \
        return result;                                                                             \
    }
FORWARD(C_UnwrapKey,
        (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE by, CK_BYTE *in, CK_ULONG len,
         CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *out),
        gives(AT_C_UnwrapKey, (call){.a = s, .m = m, .b = by, .in = in, .len = len, .t = t, .n = n},
              out))

#define CIPHER(name)                                                                               \
    static CK_RV r_##name##Init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE o)          \
    {                                                                                              \
        return simple(AT_##name##Init, (call){.a = s, .m = m, .b = o});                            \
    }                                                                                              \
    static CK_RV r_##name(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,            \
                          CK_ULONG *n)                                                             \
    {                                                                                              \
        return fills(AT_##name, (call){.a = s, .in = in, .len = len, .out = out}, n, 1);           \
    }
CIPHER(C_Encrypt)
CIPHER(C_Decrypt)
CIPHER(C_Sign)
#undef CIPHER

/* An RSA key takes its time, and its like is imported. */
FORWARD(C_GenerateKeyPair,
        (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *pub, CK_ULONG n_pub,
         CK_ATTRIBUTE *priv, CK_ULONG n_priv, CK_OBJECT_HANDLE *public, CK_OBJECT_HANDLE *private),
        ((void)s, (void)m, (void)pub, (void)n_pub, (void)priv, (void)n_priv, (void)public,
         (void)private, CKR_FUNCTION_NOT_SUPPORTED))
#undef FORWARD

void remote_watch(remote_watcher *watcher)
{
    atomic_store(&watching, watcher);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    if (!shared) {
        shared =
            mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED || sem_init(&shared->turn, 1, 1) != 0 ||
            sem_init(&shared->asked, 1, 0) != 0 || sem_init(&shared->answered, 1, 0) != 0)
            abort();
        if (fork() == 0)
            remote_serve(shared);
#define X(name, run) list.name = r_##name;
        CALLS(X)
#undef X
        list.C_GenerateKeyPair = r_C_GenerateKeyPair;
    }
    *out = &list;
    return CKR_OK;
}
