/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/front/front.h"

#include <stdbool.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

kfe_p11_front_show_fn kfe_p11_front_show;

enum { SLOT = 1 };

/* A libp11 context is made, used and freed on one thread, within one piece of work. */
static _Thread_local kfe_p11_front *shown;
static _Thread_local CK_FUNCTION_LIST list;
static _Thread_local bool to_be_found;

/* ---- Of the module: none of it goes further ----------------------------------------------- */

static CK_RV initialize(void *args)
{
    (void)args;
    return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
    (void)reserved;
    return CKR_OK;
}

static CK_RV get_info(CK_INFO *info)
{
    memset(info, ' ', sizeof(*info));
    info->cryptokiVersion = (CK_VERSION){2, 40};
    info->libraryVersion = (CK_VERSION){1, 0};
    info->flags = 0;
    return CKR_OK;
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *n)
{
    (void)present;
    if (slots != NULL && *n < 1)
        return CKR_BUFFER_TOO_SMALL;
    if (slots != NULL)
        slots[0] = SLOT;
    *n = 1;
    return CKR_OK;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    memset(info, ' ', sizeof(*info));
    info->flags = CKF_TOKEN_PRESENT;
    info->hardwareVersion = info->firmwareVersion = (CK_VERSION){1, 0};
    return CKR_OK;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    (void)slot;
    memset(info, ' ', sizeof(*info));
    info->flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;
    info->ulMaxSessionCount = info->ulMaxRwSessionCount = CK_UNAVAILABLE_INFORMATION;
    info->ulSessionCount = info->ulRwSessionCount = CK_UNAVAILABLE_INFORMATION;
    info->ulMaxPinLen = info->ulMinPinLen = 0;
    info->hardwareVersion = info->firmwareVersion = (CK_VERSION){1, 0};
    return CKR_OK;
}

/* ---- Of the session: it is open and logged in, and stays so ------------------------------- */

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session)
{
    (void)slot;
    (void)flags;
    (void)application;
    (void)notify;
    *session = shown->session;
    return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_RV close_all_sessions(CK_SLOT_ID slot)
{
    (void)slot;
    return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    (void)session;
    (void)user;
    (void)pin;
    (void)len;
    return CKR_USER_ALREADY_LOGGED_IN;
}

static CK_RV logout(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

/* ---- Of the key: what is known of it already ---------------------------------------------- */

static CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG n)
{
    (void)session;
    to_be_found = false;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_OBJECT_CLASS class = CKO_DATA;
        if (wanted[i].type != CKA_CLASS || wanted[i].ulValueLen != sizeof(class))
            continue;
        memcpy(&class, wanted[i].pValue, sizeof(class));
        to_be_found = class == CKO_PRIVATE_KEY;
    }
    return CKR_OK;
}

static CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max,
                          CK_ULONG *n)
{
    (void)session;
    *n = to_be_found && max > 0 ? 1 : 0;
    if (*n == 1)
        objects[0] = shown->key;
    to_be_found = false;
    return CKR_OK;
}

static CK_RV find_objects_final(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_RV put(CK_ATTRIBUTE *out, const void *value, CK_ULONG len)
{
    CK_RV rv = out->pValue != NULL && out->ulValueLen < len ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    if (out->pValue != NULL && rv == CKR_OK)
        memcpy(out->pValue, value, len);
    out->ulValueLen = rv == CKR_OK ? len : CK_UNAVAILABLE_INFORMATION;
    return rv;
}

static CK_RV get_attribute(CK_ATTRIBUTE *out)
{
    static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    static const CK_KEY_TYPE type = CKK_RSA;
    static const CK_BBOOL no = CK_FALSE;
    switch (out->type) {
    case CKA_CLASS:
        return put(out, &class, sizeof(class));
    case CKA_KEY_TYPE:
        return put(out, &type, sizeof(type));
    case CKA_ALWAYS_AUTHENTICATE:
        return put(out, &no, sizeof(no));
    case CKA_MODULUS:
        return put(out, shown->modulus, shown->modulus_len);
    case CKA_PUBLIC_EXPONENT:
        return put(out, shown->exponent, shown->exponent_len);
    case CKA_LABEL:
    case CKA_ID:
        return put(out, "kfe", 3);
    default:
        out->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *out, CK_ULONG n)
{
    CK_RV rv = CKR_OK;
    (void)session;
    (void)object;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_RV one = get_attribute(&out[i]);
        rv = rv == CKR_OK ? one : rv;
    }
    return rv;
}

/* ---- To the token ------------------------------------------------------------------------- */

static CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    shown->init_rv = shown->calls->C_DecryptInit(session, mechanism, key);
    return shown->init_rv;
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                     CK_ULONG *out_len)
{
    shown->rv = shown->calls->C_Decrypt(session, in, len, out, out_len);
    shown->decrypted = shown->rv == CKR_OK;
    return shown->rv;
}

/* ------------------------------------------------------------------------------------------- */

EXPORTED CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR *out)
{
    if (shown == NULL)
        return CKR_GENERAL_ERROR;
    *out = &list;
    return CKR_OK;
}

EXPORTED void kfe_p11_front_show(kfe_p11_front *front)
{
    shown = front;
    if (front == NULL)
        return;
    list = *front->calls;
    list.C_Initialize = initialize;
    list.C_Finalize = finalize;
    list.C_GetInfo = get_info;
    list.C_GetSlotList = get_slot_list;
    list.C_GetSlotInfo = get_slot_info;
    list.C_GetTokenInfo = get_token_info;
    list.C_OpenSession = open_session;
    list.C_CloseSession = close_session;
    list.C_CloseAllSessions = close_all_sessions;
    list.C_Login = login;
    list.C_Logout = logout;
    list.C_FindObjectsInit = find_objects_init;
    list.C_FindObjects = find_objects;
    list.C_FindObjectsFinal = find_objects_final;
    list.C_GetAttributeValue = get_attribute_value;
    list.C_DecryptInit = decrypt_init;
    list.C_Decrypt = decrypt;
}
