/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tests/pkcs11/shim_calls.h"
#include "tests/pkcs11/shim_ways.h"

enum { SESSIONS = 64, TAG_LEN = 16, IV_LEN = 16, NUMBER_BITS = 32 };

static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST list;

/* ---- Out of reach -----------------------------------------------------------------------------
 */

typedef enum { ALIVE, DEAD, EMPTY } life;

static _Atomic bool down;
static _Atomic life state;

void shim_ways_out_of_reach(bool yes)
{
    down = yes;
    if (yes)
        state = DEAD;
}

/* A slot that there is not, when there are none: the real module says what it says to that. */
static CK_SLOT_ID slot_of(CK_SLOT_ID slot)
{
    return state == EMPTY ? (CK_SLOT_ID)-1 : slot;
}

/* ---- Handles ----------------------------------------------------------------------------------
 */

/* A handle given out is the module's, with the time of its birth above it: how often such handles
 * had been lost. One of an older time is none for the module. */
static _Atomic uint32_t sessions_lost, found_lost, made_lost;
static const CK_ULONG made = 1ul << 63;

static CK_ULONG given(CK_ULONG handle, uint32_t time)
{
    return handle | (CK_ULONG)time << NUMBER_BITS;
}

static CK_ULONG number_of(CK_ULONG handle, uint32_t time)
{
    const CK_ULONG number = handle & ((1ul << NUMBER_BITS) - 1);
    return given(number, time) == handle ? number : 0;
}

static CK_SESSION_HANDLE session_of(CK_SESSION_HANDLE s)
{
    return state == EMPTY ? 0 : number_of(s, sessions_lost);
}

/* Who has whose number. */
static _Atomic CK_OBJECT_HANDLE swap_one, swap_other;

static CK_OBJECT_HANDLE swapped(CK_OBJECT_HANDLE number)
{
    return number == swap_one ? swap_other : number == swap_other ? swap_one : number;
}

void shim_ways_swap_handles(CK_OBJECT_HANDLE a, CK_OBJECT_HANDLE b)
{
    swap_one = a;
    swap_other = b;
}

static CK_OBJECT_HANDLE object_of(CK_OBJECT_HANDLE o)
{
    return swapped(o & made ? number_of(o & ~made, made_lost) : number_of(o, found_lost));
}

#define L(slot) slot_of(slot)
#define S(handle) session_of(handle)
#define O(handle) object_of(handle)
#define X(name, params, args)                                                                      \
    static CK_RV plain_##name params                                                               \
    {                                                                                              \
        return state == DEAD ? CKR_DEVICE_ERROR : real->name args;                                 \
    }
SHIM_CALLS(X)
#undef X

static CK_RV ways_C_Initialize(CK_VOID_PTR args)
{
    CK_RV rv = real->C_Initialize(args);
    if (rv == CKR_OK)
        state = down ? EMPTY : ALIVE;
    return rv;
}

static CK_RV ways_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *out, CK_ULONG *n)
{
    if (state != EMPTY)
        return plain_C_GetSlotList(present, out, n);
    *n = 0;
    return CKR_OK;
}

static CK_RV ways_C_FindObjects(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *out, CK_ULONG max,
                                CK_ULONG *n)
{
    CK_RV rv = plain_C_FindObjects(s, out, max, n);
    for (CK_ULONG i = 0; rv == CKR_OK && i < *n; i++)
        out[i] = given(swapped(out[i]), found_lost);
    return rv;
}

static CK_RV made_one(CK_RV rv, CK_OBJECT_HANDLE *out)
{
    if (rv == CKR_OK)
        *out = given(swapped(*out), made_lost) | made;
    return rv;
}

/* Those that make objects: their results are given out as made. */
#define MAKER(name, params, result)                                                                \
    static CK_RV ways_##name params                                                                \
    {                                                                                              \
        return result;                                                                             \
    }
MAKER(C_CreateObject, (CK_SESSION_HANDLE s, CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out),
      made_one(plain_C_CreateObject(s, a, n, out), out))
MAKER(C_CopyObject,
      (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out),
      made_one(plain_C_CopyObject(s, o, a, n, out), out))
MAKER(C_GenerateKey,
      (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out),
      made_one(plain_C_GenerateKey(s, m, a, n, out), out))
MAKER(C_GenerateKeyPair,
      (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG n, CK_ATTRIBUTE *b,
       CK_ULONG k, CK_OBJECT_HANDLE *out, CK_OBJECT_HANDLE *other),
      made_one(made_one(plain_C_GenerateKeyPair(s, m, a, n, b, k, out, other), out), other))
MAKER(C_UnwrapKey,
      (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE by, CK_BYTE *in, CK_ULONG len,
       CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out),
      made_one(plain_C_UnwrapKey(s, m, by, in, len, a, n, out), out))

/* ---- Sessions ---------------------------------------------------------------------------------
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the count */
static unsigned n_open, max_open;

static bool take_one(void)
{
    pthread_mutex_lock(&lock);
    bool free = max_open == 0 || n_open < max_open;
    n_open += free ? 1 : 0;
    pthread_mutex_unlock(&lock);
    return free;
}

static void give_back(bool all)
{
    pthread_mutex_lock(&lock);
    n_open -= all ? n_open : n_open > 0;
    pthread_mutex_unlock(&lock);
}

void shim_ways_limit(unsigned sessions)
{
    pthread_mutex_lock(&lock);
    max_open = sessions;
    pthread_mutex_unlock(&lock);
}

static CK_RV ways_C_Finalize(CK_VOID_PTR reserved)
{
    CK_RV rv = real->C_Finalize(reserved);
    give_back(true);
    if (rv == CKR_OK)
        state = ALIVE;
    return rv;
}

static CK_RV ways_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,
                                CK_SESSION_HANDLE *out)
{
    if (!take_one())
        return CKR_SESSION_COUNT;
    CK_RV rv = plain_C_OpenSession(slot, flags, app, notify, out);
    if (rv == CKR_OK)
        *out = given(*out, sessions_lost);
    else
        give_back(false);
    return rv;
}

static CK_RV ways_C_CloseSession(CK_SESSION_HANDLE s)
{
    CK_RV rv = plain_C_CloseSession(s);
    if (rv == CKR_OK)
        give_back(false);
    return rv;
}

static CK_RV ways_C_CloseAllSessions(CK_SLOT_ID slot)
{
    CK_RV rv = plain_C_CloseAllSessions(slot);
    if (rv == CKR_OK)
        give_back(true);
    return rv;
}

static void lose_sessions(void)
{
    CK_SLOT_ID slots[SESSIONS];
    CK_ULONG n = SESSIONS;
    if (real->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK)
        abort();
    sessions_lost++;
    for (CK_ULONG i = 0; i < n; i++)
        real->C_CloseAllSessions(slots[i]);
    give_back(true);
}

void shim_ways_lose_handles(shim_handles which)
{
    if (which == SHIM_SESSIONS) {
        lose_sessions();
        return;
    }
    found_lost++;
    if (which == SHIM_OBJECTS)
        made_lost++;
}

/* ---- Messages ---------------------------------------------------------------------------------
 */

static _Atomic shim_iv iv_style;
static _Atomic int size_off;
static _Atomic unsigned long queries;
static _Atomic unsigned room_extra;
static _Atomic bool room_ends;

/* By session: what it does, and the IV that the token made. */
static struct {
    _Atomic bool gcm;
    CK_BYTE iv[IV_LEN];
} doing[SESSIONS];

void shim_ways_iv(shim_iv style)
{
    iv_style = style;
}

void shim_ways_size(int off)
{
    size_off = off;
}

unsigned long shim_ways_queries(void)
{
    return queries;
}

void shim_ways_room(unsigned extra, bool ends)
{
    room_extra = extra;
    room_ends = ends;
}

static CK_RV ways_C_EncryptInit(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
{
    doing[s % SESSIONS].gcm = m->mechanism == CKM_AES_GCM;
    if (iv_style == SHIM_IV_HOST || m->mechanism != CKM_AES_GCM)
        return plain_C_EncryptInit(s, m, o);
    CK_GCM_PARAMS *theirs = m->pParameter, own = *theirs;
    CK_BYTE *iv = doing[s % SESSIONS].iv;
    CK_MECHANISM other = {CKM_AES_GCM, &own, sizeof(own)};
    if (getrandom(iv, IV_LEN, 0) != IV_LEN)
        return CKR_GENERAL_ERROR;
    own.pIv = iv;
    if (iv_style == SHIM_IV_WRITTEN_BACK) {
        memcpy(theirs->pIv, iv, theirs->ulIvLen);
    } else {
        own.ulIvLen = IV_LEN;
        own.ulIvBits = 8 * IV_LEN;
    }
    return plain_C_EncryptInit(s, &other, o);
}

static CK_RV ways_C_DecryptInit(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
{
    doing[s % SESSIONS].gcm = m->mechanism == CKM_AES_GCM;
    return plain_C_DecryptInit(s, m, o);
}

static CK_RV size_of(CK_RV rv, CK_ULONG *n)
{
    queries++;
    if (rv == CKR_OK)
        *n = size_off < 0 && *n < (CK_ULONG)-size_off ? 0 : *n + (CK_ULONG)size_off;
    return rv;
}

typedef CK_RV (*one_part)(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                          CK_ULONG *n);

/* False when there is not the room that this token wants; the operation may have ended by that. */
static bool has_room(one_part call, CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_ULONG n,
                     CK_ULONG wanted)
{
    if (room_extra == 0 || n >= wanted + room_extra)
        return true;
    if (room_ends) {
        CK_ULONG got = len + 2 * TAG_LEN;
        CK_BYTE *nowhere = malloc(got);
        if (nowhere)
            call(s, in, len, nowhere, &got);
        free(nowhere);
    }
    return false;
}

static CK_RV ways_C_Encrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                            CK_ULONG *n)
{
    if (!out)
        return size_of(plain_C_Encrypt(s, in, len, out, n), n);
    if (!doing[s % SESSIONS].gcm)
        return plain_C_Encrypt(s, in, len, out, n);
    const CK_ULONG more = iv_style == SHIM_IV_APPENDED ? IV_LEN : 0, room = *n;
    if (!has_room(plain_C_Encrypt, s, in, len, room, len + TAG_LEN + more))
        return CKR_BUFFER_TOO_SMALL;
    CK_RV rv = plain_C_Encrypt(s, in, len, out, n);
    if (rv != CKR_OK || more == 0)
        return rv;
    if (room < *n + more)
        return CKR_BUFFER_TOO_SMALL;
    memcpy(out + *n, doing[s % SESSIONS].iv, more);
    *n += more;
    return CKR_OK;
}

static CK_RV ways_C_Decrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                            CK_ULONG *n)
{
    if (!out)
        return size_of(plain_C_Decrypt(s, in, len, out, n), n);
    if (doing[s % SESSIONS].gcm && !has_room(plain_C_Decrypt, s, in, len, *n, len - TAG_LEN))
        return CKR_BUFFER_TOO_SMALL;
    return plain_C_Decrypt(s, in, len, out, n);
}

static CK_RV ways_C_Sign(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *n)
{
    CK_RV rv = plain_C_Sign(s, in, len, out, n);
    return out ? rv : size_of(rv, n);
}

static CK_RV ways_C_WrapKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE by,
                            CK_OBJECT_HANDLE o, CK_BYTE *out, CK_ULONG *n)
{
    CK_RV rv = plain_C_WrapKey(s, m, by, o, out, n);
    return out ? rv : size_of(rv, n);
}

/* ---- The list ---------------------------------------------------------------------------------
 */

void shim_ways_reset(void)
{
    down = false;
    iv_style = SHIM_IV_HOST;
    size_off = 0;
    queries = 0;
    room_extra = 0;
    shim_ways_limit(0);
    shim_ways_swap_handles(0, 0);
}

static void renew_lock(void)
{
    pthread_mutex_init(&lock, NULL);
}

CK_FUNCTION_LIST_PTR shim_ways(CK_FUNCTION_LIST_PTR module)
{
    real = module;
    list = *module;
    pthread_atfork(NULL, NULL, renew_lock);
#define X(name, params, args) list.name = plain_##name;
    SHIM_CALLS(X)
#undef X
    list.C_Initialize = ways_C_Initialize;
    list.C_Finalize = ways_C_Finalize;
    list.C_GetSlotList = ways_C_GetSlotList;
    list.C_OpenSession = ways_C_OpenSession;
    list.C_CloseSession = ways_C_CloseSession;
    list.C_CloseAllSessions = ways_C_CloseAllSessions;
    list.C_FindObjects = ways_C_FindObjects;
    list.C_CreateObject = ways_C_CreateObject;
    list.C_CopyObject = ways_C_CopyObject;
    list.C_GenerateKey = ways_C_GenerateKey;
    list.C_GenerateKeyPair = ways_C_GenerateKeyPair;
    list.C_UnwrapKey = ways_C_UnwrapKey;
    list.C_WrapKey = ways_C_WrapKey;
    list.C_EncryptInit = ways_C_EncryptInit;
    list.C_Encrypt = ways_C_Encrypt;
    list.C_DecryptInit = ways_C_DecryptInit;
    list.C_Decrypt = ways_C_Decrypt;
    list.C_Sign = ways_C_Sign;
    return &list;
}
