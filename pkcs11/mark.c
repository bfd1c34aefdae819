/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/random.h>

#include "pkcs11/mark.h"

static kfe_error draw(CK_BYTE label[KFE_P11_MARK_LEN])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[KFE_P11_MARK_LEN / 2];
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return kfe_fail(KFE_E_RANDOM, "getrandom gives no random bytes");
    for (size_t i = 0; i < sizeof(raw); i++) {
        label[2 * i] = (CK_BYTE)digits[raw[i] >> 4];
        label[2 * i + 1] = (CK_BYTE)digits[raw[i] & 15];
    }
    return KFE_OK;
}

static CK_RV make_data(kfe_p11_mark *mark, CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE session,
                       bool private, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL no = CK_FALSE, hidden = private ? CK_TRUE : CK_FALSE;
    char application[] = KFE_P11_MARK_NAME;
    CK_ATTRIBUTE data[] = {{CKA_CLASS, &class, sizeof(class)},
                           {CKA_TOKEN, &no, sizeof(no)},
                           {CKA_PRIVATE, &hidden, sizeof(hidden)},
                           {CKA_APPLICATION, application, sizeof(application) - 1},
                           {CKA_LABEL, mark->label, sizeof(mark->label)}};
    return calls->C_CreateObject(session, data, sizeof(data) / sizeof(data[0]), out);
}

/* For tokens that know no data objects. Nobody uses the key: its bytes need not be secret. */
static CK_RV make_key(kfe_p11_mark *mark, CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE session,
                      bool private, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL no = CK_FALSE, hidden = private ? CK_TRUE : CK_FALSE;
    char id[] = KFE_P11_MARK_NAME;
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_KEY_TYPE, &type, sizeof(type)},
                          {CKA_TOKEN, &no, sizeof(no)},
                          {CKA_PRIVATE, &hidden, sizeof(hidden)},
                          {CKA_ID, id, sizeof(id) - 1},
                          {CKA_LABEL, mark->label, sizeof(mark->label)},
                          {CKA_VALUE, mark->label, sizeof(mark->label)}};
    return calls->C_CreateObject(session, key, sizeof(key) / sizeof(key[0]), out);
}

kfe_error kfe_p11_mark_make(kfe_p11_mark *mark, CK_FUNCTION_LIST_PTR calls,
                            CK_SESSION_HANDLE session, bool private)
{
    mark->object = CK_INVALID_HANDLE;
    kfe_error err = draw(mark->label);
    if (err)
        return err;
    CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
    CK_RV rv = make_data(mark, calls, session, private, &made);
    if (rv != CKR_OK)
        rv = make_key(mark, calls, session, private, &made);
    if (rv == CKR_OK)
        mark->object = made;
    return KFE_OK;
}

CK_RV kfe_p11_mark_check(const kfe_p11_mark *mark, CK_FUNCTION_LIST_PTR calls,
                         CK_SESSION_HANDLE session)
{
    if (mark->object == CK_INVALID_HANDLE)
        return CKR_OK;
    CK_BYTE label[KFE_P11_MARK_LEN];
    CK_ATTRIBUTE read = {CKA_LABEL, label, sizeof(label)};
    CK_RV rv = calls->C_GetAttributeValue(session, mark->object, &read, 1);
    switch (rv) {
    case CKR_OK:
        return read.ulValueLen == sizeof(label) &&
                       memcmp(label, mark->label, sizeof(label)) == 0 /* public */
                   ? CKR_OK
                   : CKR_OBJECT_HANDLE_INVALID;
    case CKR_BUFFER_TOO_SMALL:
    case CKR_ATTRIBUTE_SENSITIVE:
    case CKR_ATTRIBUTE_TYPE_INVALID: /* another object, with a longer label or none */
        return CKR_OBJECT_HANDLE_INVALID;
    default:
        return rv;
    }
}
