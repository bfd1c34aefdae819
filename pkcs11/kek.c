/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <kfe/config.h>
#include <kfe/secret.h>

#include "pkcs11/find.h"
#include "pkcs11/gcm.h"
#include "pkcs11/kek.h"

enum { IV_LEN = 12, ROOM = 2 * (KFE_P11_SECRET_LEN + 48) };

/* The secret as an object of the session: it has to be readable, since it is for us, and is gone
 * within the call. */
static CK_RV destroy(kfe_p11_session *session, CK_OBJECT_HANDLE object)
{
    return session->calls->C_DestroyObject(session->handle, object);
}

kfe_error kfe_p11_kek_refused(void)
{
    return kfe_fail(KFE_E_AUTH, "the session secret does not unwrap");
}

kfe_error kfe_p11_kek_wrap_gcm(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_bytes aad,
                               const uint8_t secret[KFE_P11_SECRET_LEN],
                               uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len)
{
    uint8_t *work = kfe_secret_alloc(ROOM);
    if (!work)
        return KFE_E_MEMORY;
    kfe_p11_message m = {.aad = aad.data,
                         .aad_size = aad.len,
                         .in = secret,
                         .len = KFE_P11_SECRET_LEN,
                         .out = out + 1 + IV_LEN,
                         .work = work};
    kfe_error err = kfe_p11_gcm_seal(session, kek, &m);
    kfe_secret_free(work);
    if (err)
        return err;
    if (m.iv_size != IV_LEN)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "the token appends IVs of its own, of %u bytes: the "
                        "wrapped form has room for 12",
                        m.iv_size);
    out[0] = 2;
    memcpy(out + 1, m.iv, IV_LEN);
    memcpy(out + 1 + IV_LEN + KFE_P11_SECRET_LEN, m.tag, KFE_P11_TAG_LEN);
    *len = 1 + IV_LEN + KFE_P11_SECRET_LEN + KFE_P11_TAG_LEN;
    return KFE_OK;
}

void kfe_p11_kek_message(kfe_bytes aad, const uint8_t *wrapped, kfe_p11_message *m)
{
    const uint8_t *at = wrapped + 1;
    *m = (kfe_p11_message){.aad = aad.data,
                           .aad_size = aad.len,
                           .in = at + IV_LEN,
                           .len = KFE_P11_SECRET_LEN,
                           .iv_size = IV_LEN};
    memcpy(m->iv, at, IV_LEN);
    memcpy(m->tag, at + IV_LEN + KFE_P11_SECRET_LEN, KFE_P11_TAG_LEN);
}

static kfe_error unwrap_gcm(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_bytes aad,
                            const uint8_t *wrapped, uint8_t secret[KFE_P11_SECRET_LEN])
{
    uint8_t *work = kfe_secret_alloc(ROOM);
    if (!work)
        return KFE_E_MEMORY;
    kfe_p11_message m;
    kfe_p11_kek_message(aad, wrapped, &m);
    m.out = secret;
    m.work = work;
    kfe_error err = kfe_p11_gcm_open(session, kek, &m);
    kfe_secret_free(work);
    return !err && m.forged ? kfe_p11_kek_refused() : err;
}

kfe_error kfe_p11_kek_wrap_rfc3394(kfe_p11_session *session, CK_OBJECT_HANDLE kek,
                                   const uint8_t secret[KFE_P11_SECRET_LEN],
                                   uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_KEY_TYPE, &type, sizeof(type)},
                          {CKA_TOKEN, &no, sizeof(no)},
                          {CKA_PRIVATE, &yes, sizeof(yes)},
                          {CKA_SENSITIVE, &no, sizeof(no)},
                          {CKA_EXTRACTABLE, &yes, sizeof(yes)},
                          {CKA_VALUE, (void *)(uintptr_t)secret, KFE_P11_SECRET_LEN}};
    CK_OBJECT_HANDLE object;
    CK_RV rv =
        session->calls->C_CreateObject(session->handle, key, sizeof(key) / sizeof(key[0]), &object);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_CreateObject of a session secret");
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    uint8_t wrapped[KFE_P11_RFC3394_LEN + 16];
    CK_ULONG got = sizeof(wrapped);
    rv = session->calls->C_WrapKey(session->handle, &mechanism, kek, object, wrapped, &got);
    CK_RV gone = destroy(session, object);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_WrapKey with CKM_AES_KEY_WRAP");
    if (gone != CKR_OK)
        return kfe_p11_session_fail(session, gone, "C_DestroyObject of a session secret");
    if (got != KFE_P11_RFC3394_LEN)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "the token's CKM_AES_KEY_WRAP is not RFC 3394: it made "
                        "%lu bytes of 32",
                        got);
    out[0] = 1;
    memcpy(out + 1, wrapped, KFE_P11_RFC3394_LEN);
    *len = 1 + KFE_P11_RFC3394_LEN;
    return KFE_OK;
}

static kfe_error read_secret(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                             uint8_t secret[KFE_P11_SECRET_LEN])
{
    const size_t room = KFE_P11_SECRET_LEN + 16;
    uint8_t *value = kfe_secret_alloc(room);
    if (!value)
        return KFE_E_MEMORY;
    CK_ATTRIBUTE a[] = {{CKA_VALUE, value, room}};
    kfe_error err = kfe_p11_read_known(session, object, a, 1);
    if (!err && a[0].ulValueLen == CK_UNAVAILABLE_INFORMATION)
        err = kfe_fail(KFE_E_KEY_DENIED, "the token does not give out what it unwrapped: use a key "
                                         "that may decrypt by CKM_AES_GCM");
    if (!err && a[0].ulValueLen != KFE_P11_SECRET_LEN)
        err = kfe_fail(KFE_E_AUTH, "the session secret has %lu bytes", a[0].ulValueLen);
    if (!err)
        kfe_secret_copy(secret, value, KFE_P11_SECRET_LEN);
    kfe_secret_free(value);
    return err;
}

static kfe_error unwrap_rfc3394(kfe_p11_session *session, CK_OBJECT_HANDLE kek, const uint8_t *at,
                                uint8_t secret[KFE_P11_SECRET_LEN])
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_KEY_TYPE, &type, sizeof(type)},
                          {CKA_TOKEN, &no, sizeof(no)},       {CKA_PRIVATE, &yes, sizeof(yes)},
                          {CKA_SENSITIVE, &no, sizeof(no)},   {CKA_EXTRACTABLE, &yes, sizeof(yes)}};
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE object;
    CK_RV rv = session->calls->C_UnwrapKey(session->handle, &mechanism, kek,
                                           (CK_BYTE_PTR)(uintptr_t)at, KFE_P11_RFC3394_LEN, key,
                                           sizeof(key) / sizeof(key[0]), &object);
    if (rv != CKR_OK && kfe_p11_bad_data(session, rv))
        return kfe_p11_kek_refused();
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_UnwrapKey with CKM_AES_KEY_WRAP");
    kfe_error err = read_secret(session, object, secret);
    rv = destroy(session, object);
    if (!err && rv != CKR_OK)
        err = kfe_p11_session_fail(session, rv, "C_DestroyObject of a session secret");
    if (err)
        kfe_wipe(secret, KFE_P11_SECRET_LEN);
    return err;
}

kfe_error kfe_p11_kek_unwrap(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_bytes aad,
                             kfe_bytes wrapped, uint8_t secret[KFE_P11_SECRET_LEN])
{
    switch (wrapped.data[0]) {
    case 1:
        return unwrap_rfc3394(session, kek, wrapped.data + 1, secret);
    case 2:
        return unwrap_gcm(session, kek, aad, wrapped.data, secret);
    default:
        return kfe_fail(KFE_E_KEY_DENIED,
                        "the session secret is wrapped by RSA, the key is an AES key");
    }
}
