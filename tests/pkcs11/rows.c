/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pkcs11/rows.h"

const row_outcome row_seen[N_ACTIONS] = {
    [RECONNECT] = {KFE_OK, KFE_E_PROVIDER, 2, 0, 1, 0, false, true},
    [FIND] = {KFE_OK, KFE_E_PROVIDER, 2, 0, 0, 0, true, true},
    [REPLACE] = {KFE_OK, KFE_E_PROVIDER, 2, 0, 1, 1, false, false},
    [FORGED] = {KFE_E_AUTH, KFE_E_AUTH, 1, 0, 0, 0, false, false},
    [ASK_TWICE] = {KFE_OK, KFE_E_PROVIDER, 3, 0, 0, 0, false, true},
    [OPAQUE] = {KFE_OK, KFE_E_PROVIDER, 2, 1, 0, 0, false, false},
    [PERMIT] = {KFE_OK, KFE_E_KEY_DENIED, 2, 0, 0, 0, true, true},
    [DENIED] = {KFE_E_KEY_DENIED, KFE_E_KEY_DENIED, 1, 0, 0, 0, false, false},
    [DOUBT] = {KFE_OK, KFE_E_PROVIDER, 2, 0, 1, 1, true, true},
    [GIVE_UP] = {KFE_E_PROVIDER, KFE_E_PROVIDER, 1, 0, 0, 0, false, false},
    [LEAVE] = {KFE_E_PROVIDER, KFE_E_PROVIDER, 1, 0, 0, 0, false, true},
    [DROP] = {KFE_E_PROVIDER, KFE_E_PROVIDER, 1, 0, 0, 1, false, false},
    [MEMORY] = {KFE_E_MEMORY, KFE_E_MEMORY, 1, 0, 0, 0, false, false},
};

/* What is done with a code of a call that USES, OPENS, WRITES, LEADS there. */
const table_row row_table[] = {
    /* as good as success */
    {CKR_USER_ALREADY_LOGGED_IN, {NEVER, NEVER, NEVER, FINE}, "C_Login"},
    {CKR_CRYPTOKI_ALREADY_INITIALIZED, {NEVER, NEVER, NEVER, FINE}, "C_Initialize"},
    /* the PIN is refused */
    {CKR_PIN_INCORRECT, {NEVER, NEVER, NEVER, LATCH}, "C_Login"},
    {CKR_PIN_INVALID, {NEVER, NEVER, NEVER, LATCH}, "C_Login"},
    {CKR_PIN_LEN_RANGE, {NEVER, NEVER, NEVER, LATCH}, "C_Login"},
    {CKR_PIN_EXPIRED, {NEVER, NEVER, NEVER, LATCH}, "C_Login"},
    {CKR_PIN_LOCKED, {NEVER, NEVER, NEVER, LATCH}, "C_Login"},
    {CKR_USER_PIN_NOT_INITIALIZED, {NEVER, NEVER, NEVER, LATCH}, "C_Login"},
    /* session or login are gone */
    {CKR_SESSION_HANDLE_INVALID, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    {CKR_SESSION_CLOSED, {RECONNECT, RECONNECT, LEAVE, OUTAGE}, NULL},
    {CKR_USER_NOT_LOGGED_IN, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    /* the handle is stale */
    {CKR_OBJECT_HANDLE_INVALID, {FIND, FIND, GIVE_UP, NEVER}, NULL},
    {CKR_KEY_HANDLE_INVALID, {FIND, FIND, GIVE_UP, NEVER}, NULL},
    /* no session for the login; for a worker: those that we have serve all (test_p11_sessions.c) */
    {CKR_SESSION_COUNT, {NEVER, NEVER, NEVER, OUTAGE}, "C_OpenSession"},
    /* the session is stuck */
    {CKR_OPERATION_ACTIVE, {REPLACE, REPLACE, DROP, NEVER}, NULL},
    {CKR_OPERATION_NOT_INITIALIZED, {REPLACE, REPLACE, DROP, NEVER}, NULL},
    /* bad data; of what we gave ourselves: the token cannot */
    {CKR_ENCRYPTED_DATA_INVALID, {DENIED, FORGED, DENIED, NEVER}, NULL},
    {CKR_ENCRYPTED_DATA_LEN_RANGE, {DENIED, FORGED, DENIED, NEVER}, NULL},
    {0x42, {DENIED, FORGED, DENIED, NEVER}, NULL}, /* CKR_AEAD_DECRYPT_FAILED, of PKCS#11 3.0 */
    {CKR_SIGNATURE_INVALID, {DENIED, FORGED, DENIED, NEVER}, NULL},
    {CKR_DATA_INVALID, {DENIED, FORGED, DENIED, NEVER}, NULL},
    {CKR_DATA_LEN_RANGE, {DENIED, FORGED, DENIED, NEVER}, NULL},
    {CKR_WRAPPED_KEY_INVALID, {DENIED, FORGED, DENIED, NEVER}, NULL},
    {CKR_WRAPPED_KEY_LEN_RANGE, {DENIED, FORGED, DENIED, NEVER}, NULL},
    /* the token cannot or may not */
    {CKR_FUNCTION_NOT_SUPPORTED, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_KEY_TYPE_INCONSISTENT, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_MECHANISM_INVALID, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_MECHANISM_PARAM_INVALID, {DENIED, DENIED, DENIED, NEVER}, NULL},
    /* the same; and what some say of a stale handle, in wrapping and unwrapping */
    {CKR_WRAPPING_KEY_HANDLE_INVALID, {PERMIT, PERMIT, DENIED, NEVER}, NULL},
    {CKR_UNWRAPPING_KEY_HANDLE_INVALID, {PERMIT, PERMIT, DENIED, NEVER}, NULL},
    /* bad data, or a token that is busy or dead */
    {CKR_GENERAL_ERROR, {DOUBT, ASK_TWICE, LEAVE, OUTAGE}, NULL},
    {CKR_FUNCTION_FAILED, {DOUBT, ASK_TWICE, LEAVE, OUTAGE}, NULL},
    {CKR_DEVICE_ERROR, {DOUBT, ASK_TWICE, LEAVE, OUTAGE}, NULL},
    {CKR_DEVICE_MEMORY, {DOUBT, ASK_TWICE, LEAVE, OUTAGE}, NULL},
    /* the token or the module are gone: an outage, if it is true */
    {CKR_DEVICE_REMOVED, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    {CKR_TOKEN_NOT_PRESENT, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    {CKR_TOKEN_NOT_RECOGNIZED, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    {CKR_CRYPTOKI_NOT_INITIALIZED, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    {CKR_SLOT_ID_INVALID, {RECONNECT, RECONNECT, RECONNECT, OUTAGE}, NULL},
    /* codes of which the table says nothing */
    {CKR_HOST_MEMORY, {MEMORY, MEMORY, MEMORY, NEVER}, NULL},
    {CKR_ARGUMENTS_BAD, {GIVE_UP, OPAQUE, GIVE_UP, NEVER}, NULL},
    {CKR_BUFFER_TOO_SMALL, {GIVE_UP, OPAQUE, GIVE_UP, NEVER}, NULL},
    {CKR_VENDOR_DEFINED + 7, {DROP, OPAQUE, DROP, NEVER}, NULL},
    {CKR_ATTRIBUTE_SENSITIVE, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_ATTRIBUTE_TYPE_INVALID, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_ATTRIBUTE_VALUE_INVALID, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_ACTION_PROHIBITED, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_KEY_SIZE_RANGE, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_TEMPLATE_INCOMPLETE, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_TEMPLATE_INCONSISTENT, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_ATTRIBUTE_READ_ONLY, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_SESSION_READ_ONLY, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_TOKEN_WRITE_PROTECTED, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_KEY_NOT_WRAPPABLE, {DENIED, DENIED, DENIED, NEVER}, NULL},
    {CKR_KEY_UNEXTRACTABLE, {DENIED, DENIED, DENIED, NEVER}, NULL},
};

const size_t row_n = sizeof(row_table) / sizeof(row_table[0]);

const row_place row_places[] = {
    {WORK_DERIVE, "C_GetAttributeValue", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_DERIVE, "C_SignInit", SHIM_INSTEAD, USES, true, 0, 0},
    {WORK_DERIVE, "C_Sign", SHIM_AFTER, USES, false, 0, 0},
    {WORK_WRAP_GCM, "C_EncryptInit", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_WRAP_GCM, "C_Encrypt", SHIM_AFTER, USES, false, 0, 0},
    {WORK_UNWRAP_GCM, "C_DecryptInit", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_UNWRAP_GCM, "C_Decrypt", SHIM_AFTER, OPENS, true, 0, 0},
    {WORK_WRAP_RFC3394, "C_CreateObject", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_WRAP_RFC3394, "C_WrapKey", SHIM_INSTEAD, USES, true, 0, 0},
    {WORK_WRAP_RFC3394, "C_DestroyObject", SHIM_AFTER, USES, false, 0, 1},
    {WORK_UNWRAP_RFC3394, "C_UnwrapKey", SHIM_INSTEAD, OPENS, true, 0, 0},
    {WORK_UNWRAP_RFC3394, "C_GetAttributeValue", SHIM_INSTEAD, USES, false, 1, 0},
    {WORK_UNWRAP_RFC3394, "C_DestroyObject", SHIM_AFTER, USES, false, 0, 0},
    {WORK_WRAP_RSA, "C_GetAttributeValue", SHIM_INSTEAD, USES, false, 1, 0},
    {WORK_UNWRAP_RSA, "C_GetAttributeValue", SHIM_INSTEAD, USES, false, 1, 0},
    {WORK_UNWRAP_RSA, "C_DecryptInit", SHIM_INSTEAD, USES, false, 0, 1},
    {WORK_UNWRAP_RSA, "C_Decrypt", SHIM_AFTER, OPENS, true, 0, 0},
    {WORK_SEAL, "C_EncryptInit", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_SEAL, "C_Encrypt", SHIM_AFTER, USES, true, 0, 0},
    {WORK_OPEN, "C_DecryptInit", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_OPEN, "C_Decrypt", SHIM_AFTER, OPENS, true, 0, 0},
    {WORK_FIND, "C_FindObjectsInit", SHIM_INSTEAD, USES, true, 0, 0},
    {WORK_FIND, "C_FindObjects", SHIM_INSTEAD, USES, false, 0, 0},
    {WORK_FIND, "C_FindObjectsFinal", SHIM_AFTER, USES, false, 0, 0},
    {WORK_FIND, "C_GetAttributeValue", SHIM_INSTEAD, USES, false, 1, 0},
    {WORK_MAKE, "C_FindObjectsInit", SHIM_INSTEAD, WRITES, false, 0, 0},
    {WORK_MAKE, "C_GenerateKey", SHIM_INSTEAD, WRITES, true, 0, 0},
};

const size_t row_n_places = sizeof(row_places) / sizeof(row_places[0]);
