/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_SHIM_CALLS_H
#define KFE_TESTS_PKCS11_SHIM_CALLS_H

/* The functions that the shim stands in for: X(name, parameters, arguments). Among the arguments
 * slots are L(slot), handles of sessions S(s), those of objects O(o): whoever lists them says what
 * these are. */

#include <p11-kit/pkcs11.h>

#define SHIM_CALLS(X)                                                                              \
    X(C_Initialize, (CK_VOID_PTR args), (args))                                                    \
    X(C_Finalize, (CK_VOID_PTR reserved), (reserved))                                              \
    X(C_GetInfo, (CK_INFO * info), (info))                                                         \
    X(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID * out, CK_ULONG * n), (present, out, n))        \
    X(C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO * info), (L(slot), info))                      \
    X(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO * info), (L(slot), info))                    \
    X(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO * info),        \
      (L(slot), m, info))                                                                          \
    X(C_OpenSession,                                                                               \
      (CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,                         \
       CK_SESSION_HANDLE * out),                                                                   \
      (L(slot), flags, app, notify, out))                                                          \
    X(C_CloseSession, (CK_SESSION_HANDLE s), (S(s)))                                               \
    X(C_CloseAllSessions, (CK_SLOT_ID slot), (L(slot)))                                            \
    X(C_GetSessionInfo, (CK_SESSION_HANDLE s, CK_SESSION_INFO * info), (S(s), info))               \
    X(C_Login, (CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE * pin, CK_ULONG len),              \
      (S(s), user, pin, len))                                                                      \
    X(C_Logout, (CK_SESSION_HANDLE s), (S(s)))                                                     \
    X(C_FindObjectsInit, (CK_SESSION_HANDLE s, CK_ATTRIBUTE * a, CK_ULONG n), (S(s), a, n))        \
    X(C_FindObjects, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE * out, CK_ULONG max, CK_ULONG * n),    \
      (S(s), out, max, n))                                                                         \
    X(C_FindObjectsFinal, (CK_SESSION_HANDLE s), (S(s)))                                           \
    X(C_GetAttributeValue,                                                                         \
      (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE * a, CK_ULONG n), (S(s), O(o), a, n)) \
    X(C_SetAttributeValue,                                                                         \
      (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE * a, CK_ULONG n), (S(s), O(o), a, n)) \
    X(C_CreateObject, (CK_SESSION_HANDLE s, CK_ATTRIBUTE * a, CK_ULONG n, CK_OBJECT_HANDLE * out), \
      (S(s), a, n, out))                                                                           \
    X(C_DestroyObject, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o), (S(s), O(o)))                    \
    X(C_GenerateKey,                                                                               \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_ATTRIBUTE * a, CK_ULONG n,                        \
       CK_OBJECT_HANDLE * out),                                                                    \
      (S(s), m, a, n, out))                                                                        \
    X(C_GenerateKeyPair,                                                                           \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_ATTRIBUTE * a, CK_ULONG n, CK_ATTRIBUTE * b,      \
       CK_ULONG k, CK_OBJECT_HANDLE * out, CK_OBJECT_HANDLE * other),                              \
      (S(s), m, a, n, b, k, out, other))                                                           \
    X(C_CopyObject,                                                                                \
      (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE * a, CK_ULONG n,                      \
       CK_OBJECT_HANDLE * out),                                                                    \
      (S(s), O(o), a, n, out))                                                                     \
    X(C_WrapKey,                                                                                   \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE o,             \
       CK_BYTE * out, CK_ULONG * n),                                                               \
      (S(s), m, O(by), O(o), out, n))                                                              \
    X(C_UnwrapKey,                                                                                 \
      (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE by, CK_BYTE * in, CK_ULONG len,     \
       CK_ATTRIBUTE * a, CK_ULONG n, CK_OBJECT_HANDLE * out),                                      \
      (S(s), m, O(by), in, len, a, n, out))                                                        \
    X(C_EncryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE o), (S(s), m, O(o))) \
    X(C_Encrypt, (CK_SESSION_HANDLE s, CK_BYTE * in, CK_ULONG len, CK_BYTE * out, CK_ULONG * n),   \
      (S(s), in, len, out, n))                                                                     \
    X(C_DecryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE o), (S(s), m, O(o))) \
    X(C_Decrypt, (CK_SESSION_HANDLE s, CK_BYTE * in, CK_ULONG len, CK_BYTE * out, CK_ULONG * n),   \
      (S(s), in, len, out, n))                                                                     \
    X(C_SignInit, (CK_SESSION_HANDLE s, CK_MECHANISM * m, CK_OBJECT_HANDLE o), (S(s), m, O(o)))    \
    X(C_Sign, (CK_SESSION_HANDLE s, CK_BYTE * in, CK_ULONG len, CK_BYTE * out, CK_ULONG * n),      \
      (S(s), in, len, out, n))

#endif
