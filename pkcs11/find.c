/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "pkcs11/find.h"

enum { BATCH = 64, FOUND_MAX = 1 << 20 };

static kfe_error collect(kfe_p11_session *session, kfe_p11_found *out)
{
    for (size_t cap = BATCH; cap <= FOUND_MAX; cap *= 2) {
        CK_OBJECT_HANDLE *more = realloc(out->at, cap * sizeof(*more));
        if (!more)
            return kfe_fail(KFE_E_MEMORY, "no memory for a list of objects");
        out->at = more;
        while (out->n < cap) {
            CK_ULONG got = 0;
            CK_RV rv = session->calls->C_FindObjects(session->handle, out->at + out->n,
                                                     cap - out->n, &got);
            if (rv != CKR_OK)
                return kfe_p11_session_fail(session, rv, "C_FindObjects");
            if (got == 0)
                return KFE_OK;
            if (got > cap - out->n)
                return kfe_p11_session_fail(session, CKR_GENERAL_ERROR, "C_FindObjects");
            out->n += got;
        }
    }
    return kfe_fail(KFE_E_PROVIDER, "the token shows more than %d objects", FOUND_MAX);
}

kfe_error kfe_p11_find(kfe_p11_session *session, CK_ATTRIBUTE *attributes, CK_ULONG n,
                       kfe_p11_found *out)
{
    *out = (kfe_p11_found){NULL, 0};
    CK_RV rv = session->calls->C_FindObjectsInit(session->handle, attributes, n);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_FindObjectsInit");
    kfe_error err = collect(session, out);
    rv = session->calls->C_FindObjectsFinal(session->handle);
    if (!err && rv != CKR_OK)
        err = kfe_p11_session_fail(session, rv, "C_FindObjectsFinal");
    if (err) {
        free(out->at);
        *out = (kfe_p11_found){NULL, 0};
    }
    return err;
}

kfe_error kfe_p11_read_known(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE *attributes, CK_ULONG n)
{
    CK_RV rv = session->calls->C_GetAttributeValue(session->handle, object, attributes, n);
    switch (rv) {
    case CKR_OK:
    case CKR_ATTRIBUTE_SENSITIVE:
    case CKR_ATTRIBUTE_TYPE_INVALID:
    case CKR_BUFFER_TOO_SMALL:
        return KFE_OK;
    default:
        return kfe_p11_session_fail(session, rv, "C_GetAttributeValue");
    }
}

kfe_error kfe_p11_read(kfe_p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
                       CK_ULONG n)
{
    CK_RV before = session->rv;
    kfe_error err = kfe_p11_read_known(session, object, attributes, n);
    if (!err || session->rv != CKR_OBJECT_HANDLE_INVALID)
        return err;
    session->rv = before;
    for (CK_ULONG i = 0; i < n; i++)
        attributes[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return KFE_OK;
}
