/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <kfe/config.h>

#include "pkcs11/find.h"
#include "pkcs11/secretkey.h"

enum { MAC_LEN = 32 };

/* What a key must be; a flag that the token does not tell counts as wrong. */
static const char *flaw(const CK_ATTRIBUTE a[5], CK_KEY_TYPE type, CK_ULONG len,
                        const CK_BBOOL flags[3])
{
    bool flag_known[3];
    for (size_t i = 0; i < 3; i++)
        flag_known[i] = a[2 + i].ulValueLen == sizeof(CK_BBOOL);
    if (a[0].ulValueLen != sizeof(type) || type != CKK_GENERIC_SECRET)
        return "is not of type generic secret";
    if (a[1].ulValueLen == sizeof(len) && len != KFE_P11_KEY_LEN)
        return "is not 32 bytes long";
    if (!flag_known[0] || !flags[0])
        return "is not sensitive, so it may be read out";
    if (!flag_known[1] || flags[1])
        return "is extractable, so it may leave the token";
    if (!flag_known[2] || !flags[2])
        return "may not sign (CKA_SIGN)";
    return NULL;
}

kfe_error kfe_p11_secretkey_check(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                                  const kfe_key_ref *ref)
{
    CK_KEY_TYPE type = 0;
    CK_ULONG len = 0;
    CK_BBOOL flags[3] = {0};
    CK_ATTRIBUTE a[] = {{CKA_KEY_TYPE, &type, sizeof(type)},
                        {CKA_VALUE_LEN, &len, sizeof(len)},
                        {CKA_SENSITIVE, &flags[0], sizeof(flags[0])},
                        {CKA_EXTRACTABLE, &flags[1], sizeof(flags[1])},
                        {CKA_SIGN, &flags[2], sizeof(flags[2])}};
    kfe_error err = kfe_p11_read(session, object, a, sizeof(a) / sizeof(a[0]));
    if (err)
        return err;
    const char *wrong = flaw(a, type, len, flags);
    if (!wrong)
        return KFE_OK;
    return kfe_fail(KFE_E_KEY_DENIED,
                    "key object %.80s@%lu %s: make keys by `kfe keys create` or `kfe keys rotate`",
                    ref->name, (unsigned long)ref->version, wrong);
}

kfe_error kfe_p11_secretkey_create(kfe_p11_session *session, const kfe_key_ref *ref,
                                   CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_ULONG len = KFE_P11_KEY_LEN;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    uint32_t v = ref->version;
    CK_BYTE id[4] = {(CK_BYTE)(v >> 24), (CK_BYTE)(v >> 16), (CK_BYTE)(v >> 8), (CK_BYTE)v};
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_KEY_TYPE, &type, sizeof(type)},
                          {CKA_VALUE_LEN, &len, sizeof(len)},
                          {CKA_LABEL, (void *)(uintptr_t)ref->name, strlen(ref->name)},
                          {CKA_ID, id, sizeof(id)},
                          {CKA_TOKEN, &yes, sizeof(yes)},
                          {CKA_PRIVATE, &yes, sizeof(yes)},
                          {CKA_SENSITIVE, &yes, sizeof(yes)},
                          {CKA_EXTRACTABLE, &no, sizeof(no)},
                          {CKA_SIGN, &yes, sizeof(yes)},
                          {CKA_VERIFY, &no, sizeof(no)},
                          {CKA_ENCRYPT, &no, sizeof(no)},
                          {CKA_DECRYPT, &no, sizeof(no)},
                          {CKA_WRAP, &no, sizeof(no)},
                          {CKA_UNWRAP, &no, sizeof(no)},
                          {CKA_DERIVE, &no, sizeof(no)}};
    CK_RV rv = session->calls->C_GenerateKey(session->handle, &mechanism, key,
                                             sizeof(key) / sizeof(key[0]), out);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_GenerateKey");
    session->changed = true;
    return KFE_OK;
}

kfe_error kfe_p11_secretkey_mac(kfe_p11_session *session, CK_OBJECT_HANDLE key, const uint8_t *in,
                                size_t len, uint8_t out[32])
{
    CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
    CK_ULONG got = MAC_LEN;
    memset(out, 0, MAC_LEN);
    if (!in)
        in = (const uint8_t *)""; /* tokens refuse a null pointer, for no bytes too */
    CK_RV rv = session->calls->C_SignInit(session->handle, &mechanism, key);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_SignInit with CKM_SHA256_HMAC");
    rv = session->calls->C_Sign(session->handle, (CK_BYTE_PTR)(uintptr_t)in, len, out, &got);
    if (rv == CKR_OK && got == MAC_LEN)
        return KFE_OK;
    kfe_wipe(out, MAC_LEN);
    return kfe_p11_session_fail(session, rv == CKR_OK ? CKR_GENERAL_ERROR : rv, "C_Sign");
}
