/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_REMOTE_WIRE_H
#define TESTS_SECRET_REMOTE_WIRE_H

/* Between the two processes of remote.c: memory that both map at the same address, so that pointers
 * into it hold on both sides. */

#include <semaphore.h>
#include <stddef.h>

#include <p11-kit/pkcs11.h>

enum { ROOM = 1 << 20 };

/* Of a call, whatever it is: what it takes in this order, and what it gives. */
typedef struct {
    CK_ULONG a, b, c;
    CK_MECHANISM *m;
    CK_ATTRIBUTE *t;
    CK_ULONG n;
    CK_BYTE *in, *out;
    CK_ULONG len, room;
    CK_ULONG first, second; /* handles or numbers that come out */
} call;

/* Each is run in the other process: X(name, the call in terms of `c`). */
#define CALLS(X)                                                                                   \
    X(C_Initialize, initialise())                                                                  \
    X(C_Finalize, real->C_Finalize(NULL))                                                          \
    X(C_GetInfo, real->C_GetInfo((CK_INFO *)c->out))                                               \
    X(C_GetSlotList, real->C_GetSlotList((CK_BBOOL)c->a, (CK_SLOT_ID *)c->out, &c->room))          \
    X(C_GetTokenInfo, real->C_GetTokenInfo(c->a, (CK_TOKEN_INFO *)c->out))                         \
    X(C_GetMechanismInfo, real->C_GetMechanismInfo(c->a, c->b, (CK_MECHANISM_INFO *)c->out))       \
    X(C_InitToken, real->C_InitToken(c->a, c->in, c->len, c->out))                                 \
    X(C_InitPIN, real->C_InitPIN(c->a, c->in, c->len))                                             \
    X(C_OpenSession, real->C_OpenSession(c->a, c->b, NULL, NULL, &c->first))                       \
    X(C_CloseSession, real->C_CloseSession(c->a))                                                  \
    X(C_GetSessionInfo, real->C_GetSessionInfo(c->a, (CK_SESSION_INFO *)c->out))                   \
    X(C_Login, real->C_Login(c->a, c->b, c->in, c->len))                                           \
    X(C_Logout, real->C_Logout(c->a))                                                              \
    X(C_FindObjectsInit, real->C_FindObjectsInit(c->a, c->t, c->n))                                \
    X(C_FindObjects, real->C_FindObjects(c->a, (CK_OBJECT_HANDLE *)c->out, c->b, &c->first))       \
    X(C_FindObjectsFinal, real->C_FindObjectsFinal(c->a))                                          \
    X(C_GetAttributeValue, real->C_GetAttributeValue(c->a, c->b, c->t, c->n))                      \
    X(C_CreateObject, real->C_CreateObject(c->a, c->t, c->n, &c->first))                           \
    X(C_SetAttributeValue, real->C_SetAttributeValue(c->a, c->b, c->t, c->n))                      \
    X(C_DestroyObject, real->C_DestroyObject(c->a, c->b))                                          \
    X(C_CopyObject, real->C_CopyObject(c->a, c->b, c->t, c->n, &c->first))                         \
    X(C_GenerateKey, real->C_GenerateKey(c->a, c->m, c->t, c->n, &c->first))                       \
    X(C_WrapKey, real->C_WrapKey(c->a, c->m, c->b, c->c, c->out, &c->room))                        \
    X(C_UnwrapKey, real->C_UnwrapKey(c->a, c->m, c->b, c->in, c->len, c->t, c->n, &c->first))      \
    X(C_EncryptInit, real->C_EncryptInit(c->a, c->m, c->b))                                        \
    X(C_Encrypt, real->C_Encrypt(c->a, c->in, c->len, c->out, &c->room))                           \
    X(C_DecryptInit, real->C_DecryptInit(c->a, c->m, c->b))                                        \
    X(C_Decrypt, real->C_Decrypt(c->a, c->in, c->len, c->out, &c->room))                           \
    X(C_SignInit, real->C_SignInit(c->a, c->m, c->b))                                              \
    X(C_Sign, real->C_Sign(c->a, c->in, c->len, c->out, &c->room))

enum which {
#define X(name, run) AT_##name,
    CALLS(X)
#undef X
};

typedef struct {
    sem_t turn, asked, answered;
    enum which which;
    CK_RV rv;
    size_t used;
    call c;
    _Alignas(16) CK_BYTE bytes[ROOM];
} wire;

static inline void remote_wait(sem_t *what)
{
    while (sem_wait(what) != 0)
        ;
}

/* The other process: it answers until its parent ends. */
_Noreturn void remote_serve(wire *shared);

#endif
