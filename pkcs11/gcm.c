/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include <kfe/secret.h>

#include "pkcs11/ckr.h"
#include "pkcs11/gcm.h"

enum { IV_LEN = 12, SPARE = 16, AAD_USUAL = 4096 };

static_assert(sizeof(CK_GCM_PARAMS) == 6 * sizeof(CK_ULONG), "the form with ulIvBits");

static kfe_error random_iv(uint8_t iv[IV_LEN])
{
    return getrandom(iv, IV_LEN, 0) == IV_LEN
               ? KFE_OK
               : kfe_fail(KFE_E_RANDOM, "the system gives no random bytes");
}

static CK_GCM_PARAMS params_of(kfe_p11_message *m)
{
    return (CK_GCM_PARAMS){.pIv = m->iv,
                           .ulIvLen = m->iv_size,
                           .ulIvBits = 8 * m->iv_size,
                           .pAAD = (CK_BYTE_PTR)(uintptr_t)m->aad,
                           .ulAADLen = m->aad_size,
                           .ulTagBits = 8 * KFE_P11_TAG_LEN};
}

/* Takes apart what the token made. */
static kfe_error take(kfe_p11_message *m, CK_ULONG got)
{
    const uint8_t *end = m->work + m->len + KFE_P11_TAG_LEN;
    CK_ULONG plain = m->len + KFE_P11_TAG_LEN;
    if (got < plain || (got > plain && (got - plain < IV_LEN || got - plain > KFE_P11_IV_MAX)))
        return kfe_fail(KFE_E_KEY_DENIED,
                        "C_Encrypt with CKM_AES_GCM made %lu bytes of %zu: an unknown form", got,
                        m->len);
    if (got > plain) {
        m->iv_size = (unsigned)(got - plain);
        memcpy(m->iv, end, m->iv_size);
    }
    memcpy(m->out, m->work, m->len);
    memcpy(m->tag, m->work + m->len, KFE_P11_TAG_LEN);
    return KFE_OK;
}

kfe_error kfe_p11_gcm_seal(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_message *m)
{
    memset(m->iv, 0, sizeof(m->iv));
    m->iv_size = IV_LEN;
    kfe_error err = random_iv(m->iv);
    if (err)
        return err;
    CK_GCM_PARAMS params = params_of(m);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
    CK_ULONG got = m->len + KFE_P11_TAG_LEN + SPARE;
    CK_RV rv = session->calls->C_EncryptInit(session->handle, &mechanism, key);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_EncryptInit with CKM_AES_GCM");
    rv = session->calls->C_Encrypt(session->handle, (CK_BYTE_PTR)(uintptr_t)m->in, m->len, m->work,
                                   &got);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_Encrypt with CKM_AES_GCM");
    return take(m, got);
}

/* IV and associated data of a record are its writer's. A token that refuses an odd length of these
 * says something of that record, which must not fail the others of its batch; refusing what every
 * record has, it says that it cannot do AES-GCM. */
static bool blames_parameters(kfe_p11_session *session, const kfe_p11_message *m, CK_RV rv)
{
    if (m->iv_size == IV_LEN && m->aad_size <= AAD_USUAL)
        return false;
    return rv == CKR_MECHANISM_PARAM_INVALID || rv == CKR_ARGUMENTS_BAD ||
           kfe_p11_bad_data(session, rv);
}

static kfe_error forged(kfe_p11_message *m)
{
    m->forged = true;
    memset(m->out, 0, m->len);
    return KFE_OK;
}

kfe_error kfe_p11_gcm_open(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_message *m)
{
    CK_GCM_PARAMS params = params_of(m);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
    /* A decrypting token may want room for the tag as well. */
    uint8_t *sealed = m->work, *opened = m->work + m->len + KFE_P11_TAG_LEN;
    CK_ULONG got = m->len + KFE_P11_TAG_LEN + SPARE;
    m->forged = false;
    session->doubt = CKR_OK;
    memcpy(sealed, m->in, m->len);
    memcpy(sealed + m->len, m->tag, KFE_P11_TAG_LEN);
    CK_RV rv = session->calls->C_DecryptInit(session->handle, &mechanism, key);
    if (rv != CKR_OK)
        return blames_parameters(session, m, rv)
                   ? forged(m)
                   : kfe_p11_session_fail(session, rv, "C_DecryptInit with CKM_AES_GCM");
    rv = session->calls->C_Decrypt(session->handle, sealed, m->len + KFE_P11_TAG_LEN, opened, &got);
    if (rv != CKR_OK)
        return kfe_p11_bad_data(session, rv) || blames_parameters(session, m, rv)
                   ? forged(m)
                   : kfe_p11_session_fail(session, rv, "C_Decrypt with CKM_AES_GCM");
    if (got != m->len)
        return kfe_p11_session_fail(session, CKR_GENERAL_ERROR, "C_Decrypt with CKM_AES_GCM");
    kfe_secret_copy(m->out, opened, m->len);
    return KFE_OK;
}

kfe_error kfe_p11_gcm_probe(kfe_p11_session *session, CK_OBJECT_HANDLE key, bool opens,
                            unsigned *iv_size)
{
    static const uint8_t text[] = "kfe: a look at how this token makes IVs";
    static const uint8_t aad[] = "kfe1 probe";
    uint8_t out[sizeof(text)], back[sizeof(text)], work[2 * (sizeof(text) + 48)];
    kfe_p11_message m = {.aad = aad,
                         .aad_size = sizeof(aad),
                         .in = text,
                         .len = sizeof(text),
                         .out = out,
                         .work = work};
    kfe_error err = kfe_p11_gcm_seal(session, key, &m);
    *iv_size = m.iv_size;
    if (err || !opens)
        return err;
    m.in = out;
    m.out = back;
    err = kfe_p11_gcm_open(session, key, &m);
    if (!err && (m.forged || memcmp(back, text, sizeof(text)) != 0)) /* public */
        return kfe_fail(KFE_E_KEY_DENIED,
                        "the token does not open by CKM_AES_GCM what it sealed itself");
    return err;
}
