/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/tries.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "pkcs11/ckr.h"
#include "pkcs11/find.h"
#include "pkcs11/rsa.h"
#include "pkcs11/secretkey.h"

enum { KEY_LEN = 32, TEXT_LEN = 48, IV_LEN = 12, TAG_LEN = 16, SPARE = 16, WRAPPED_LEN = 40 };

/* Known to everybody: these seal nothing. */
static const uint8_t key_bytes[KEY_LEN] = "kfe keys probe: a worthless key";
static const uint8_t text[TEXT_LEN] = "kfe keys probe: a worthless text";
static const uint8_t aad[] = "kfe1 probe";

static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
    return memcmp(a, b, len) == 0; /* public */
}

void kfe_p11_note(kfe_p11_findings *findings, kfe_probe_verdict verdict, const char *what,
                  const char *format, ...)
{
    if (findings->n == KFE_P11_LINES_MAX)
        return;
    va_list args;
    va_start(args, format);
    findings->lines[findings->n].verdict = verdict;
    snprintf(findings->lines[findings->n].what, sizeof(findings->lines[0].what), "%s", what);
    vsnprintf(findings->lines[findings->n].found, sizeof(findings->lines[0].found), format, args);
    va_end(args);
    findings->n++;
}

static void note_code(kfe_p11_findings *f, const char *what, const char *call, CK_RV rv)
{
    kfe_p11_note(f, KFE_PROBE_CANNOT, what, "%s: %s", call, kfe_p11_ckr_name(rv));
}

bool kfe_p11_has_mechanism(const kfe_p11_session *session, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info = {0};
    return session->calls->C_GetMechanismInfo(session->slot, type, &info) == CKR_OK;
}

/* A key of known bytes, for this session alone, with one or two usages. */
static CK_RV make_key(kfe_p11_session *session, CK_KEY_TYPE type, CK_ATTRIBUTE_TYPE usage,
                      CK_ATTRIBUTE_TYPE other, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_KEY_TYPE, &type, sizeof(type)},
                          {CKA_TOKEN, &no, sizeof(no)},
                          {CKA_PRIVATE, &yes, sizeof(yes)},
                          {CKA_SENSITIVE, &yes, sizeof(yes)},
                          {CKA_EXTRACTABLE, &no, sizeof(no)},
                          {usage, &yes, sizeof(yes)},
                          {other, &yes, sizeof(yes)},
                          {CKA_VALUE, (void *)(uintptr_t)key_bytes, sizeof(key_bytes)}};
    return session->calls->C_CreateObject(session->handle, key, sizeof(key) / sizeof(key[0]), out);
}

static void destroy(kfe_p11_session *session, CK_OBJECT_HANDLE object)
{
    (void)session->calls->C_DestroyObject(session->handle, object);
}

kfe_error kfe_p11_try_hmac(kfe_p11_session *session, void *arg)
{
    static const char what[] = "HMAC-SHA-256 (derived)";
    kfe_p11_findings *f = kfe_p11_begin(arg);
    CK_OBJECT_HANDLE key;
    uint8_t mac[32], own[32];
    CK_RV rv = make_key(session, CKK_GENERIC_SECRET, CKA_SIGN, CKA_VERIFY, &key);
    if (rv != CKR_OK) {
        note_code(f, what, "C_CreateObject", rv);
        return KFE_OK;
    }
    kfe_error err = kfe_p11_secretkey_mac(session, key, text, sizeof(text), mac);
    destroy(session, key);
    HMAC(EVP_sha256(), key_bytes, sizeof(key_bytes), text, sizeof(text), own, NULL);
    if (err)
        kfe_p11_note(f, KFE_PROBE_CANNOT, what, "%s", kfe_error_detail());
    else if (!same(mac, own, sizeof(mac)))
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "not the bytes that OpenSSL computes");
    else
        kfe_p11_note(f, KFE_PROBE_CAN, what, "equal to OpenSSL's");
    return KFE_OK;
}

/* True when OpenSSL opens it to the text. */
static bool opens(const uint8_t *sealed, const uint8_t *iv, size_t iv_len)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t out[TEXT_LEN], tag[TAG_LEN];
    int len = 0;
    memcpy(tag, sealed + TEXT_LEN, TAG_LEN);
    bool good = c != NULL && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)iv_len, NULL) == 1 &&
                EVP_DecryptInit_ex(c, NULL, NULL, key_bytes, iv) == 1 &&
                EVP_DecryptUpdate(c, NULL, &len, aad, sizeof(aad)) == 1 &&
                EVP_DecryptUpdate(c, out, &len, sealed, TEXT_LEN) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
                EVP_DecryptFinal_ex(c, out + len, &len) == 1 && same(out, text, sizeof(text));
    EVP_CIPHER_CTX_free(c);
    return good;
}

static void judge_gcm(kfe_p11_findings *f, const char *what, const uint8_t *sealed, CK_ULONG got,
                      const uint8_t iv[16])
{
    static const uint8_t ours[IV_LEN] = "kfe probe iv";
    const CK_ULONG plain = TEXT_LEN + TAG_LEN;
    if (got > plain && got <= plain + 16 && opens(sealed, sealed + plain, got - plain))
        kfe_p11_note(f, KFE_PROBE_CAN, what,
                     "equal to OpenSSL's; IV of %lu bytes appended by the token", got - plain);
    else if (got == plain && opens(sealed, iv, IV_LEN))
        kfe_p11_note(f, KFE_PROBE_CAN, what, "equal to OpenSSL's; IV %s",
                     same(iv, ours, IV_LEN) ? "as given" : "written back by the token");
    else
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "OpenSSL does not open its %lu bytes", got);
}

/* The copy must be as safe as the key. */
static void try_copy(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_findings *f)
{
    static const char what[] = "session copy of a key";
    CK_BBOOL no = CK_FALSE, sensitive = CK_FALSE, extractable = CK_TRUE;
    CK_ATTRIBUTE changed = {CKA_TOKEN, &no, sizeof(no)};
    CK_OBJECT_HANDLE copy;
    CK_RV rv = session->calls->C_CopyObject(session->handle, key, &changed, 1, &copy);
    if (rv != CKR_OK) {
        note_code(f, what, "C_CopyObject", rv);
        return;
    }
    CK_ATTRIBUTE a[] = {{CKA_SENSITIVE, &sensitive, 1}, {CKA_EXTRACTABLE, &extractable, 1}};
    kfe_error err = kfe_p11_read(session, copy, a, 2);
    destroy(session, copy);
    if (!err && a[0].ulValueLen == 1 && a[1].ulValueLen == 1 && sensitive && !extractable)
        kfe_p11_note(f, KFE_PROBE_CAN, what, "sensitive and not extractable, as the key is");
    else
        kfe_p11_note(f, KFE_PROBE_CANNOT, what, "less protected than the key: not used");
}

kfe_error kfe_p11_try_gcm(kfe_p11_session *session, void *arg)
{
    static const char what[] = "AES-256-GCM (wrapped, direct)";
    kfe_p11_findings *f = kfe_p11_begin(arg);
    CK_OBJECT_HANDLE key;
    uint8_t iv[16] = "kfe probe iv", out[TEXT_LEN + TAG_LEN + SPARE];
    CK_RV rv = make_key(session, CKK_AES, CKA_ENCRYPT, CKA_DECRYPT, &key);
    if (rv != CKR_OK) {
        note_code(f, what, "C_CreateObject", rv);
        return KFE_OK;
    }
    CK_GCM_PARAMS params = {.pIv = iv,
                            .ulIvLen = IV_LEN,
                            .ulIvBits = 8 * IV_LEN,
                            .pAAD = (CK_BYTE_PTR)(uintptr_t)aad,
                            .ulAADLen = sizeof(aad),
                            .ulTagBits = 8 * TAG_LEN};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
    CK_ULONG got = sizeof(out);
    rv = session->calls->C_EncryptInit(session->handle, &mechanism, key);
    if (rv == CKR_OK)
        rv = session->calls->C_Encrypt(session->handle, (CK_BYTE_PTR)(uintptr_t)text, TEXT_LEN, out,
                                       &got);
    if (rv != CKR_OK)
        note_code(f, what, "C_Encrypt", rv);
    else
        judge_gcm(f, what, out, got, iv);
    try_copy(session, key, f);
    destroy(session, key);
    return KFE_OK;
}

/* ---- RFC 3394 ------------------------------------------------------------------------------- */

static bool wrap_own(uint8_t out[WRAPPED_LEN])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len = 0;
    if (c != NULL)
        EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool good = c != NULL &&
                EVP_EncryptInit_ex(c, EVP_aes_256_wrap(), NULL, key_bytes, NULL) == 1 &&
                EVP_EncryptUpdate(c, out, &len, text, KEY_LEN) == 1 && len == WRAPPED_LEN;
    EVP_CIPHER_CTX_free(c);
    return good;
}

/* A secret that may leave, wrapped and not. `value` NULL: it comes out of `wrapped`. */
static CK_RV secret(kfe_p11_session *session, CK_OBJECT_HANDLE kek, const uint8_t *value,
                    uint8_t wrapped[WRAPPED_LEN], CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_KEY_TYPE, &type, sizeof(type)},
                        {CKA_TOKEN, &no, sizeof(no)},
                        {CKA_PRIVATE, &yes, sizeof(yes)},
                        {CKA_SENSITIVE, &no, sizeof(no)},
                        {CKA_EXTRACTABLE, &yes, sizeof(yes)},
                        {CKA_VALUE, (void *)(uintptr_t)value, KEY_LEN}};
    return value != NULL ? session->calls->C_CreateObject(session->handle, a, 7, out)
                         : session->calls->C_UnwrapKey(session->handle, &mechanism, kek, wrapped,
                                                       WRAPPED_LEN, a, 6, out);
}

static void wrap_one(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_p11_findings *f)
{
    static const char what[] = "RFC 3394 wrap";
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    uint8_t wrapped[WRAPPED_LEN + SPARE], own[WRAPPED_LEN];
    CK_ULONG len = sizeof(wrapped);
    CK_OBJECT_HANDLE object;
    CK_RV rv = secret(session, kek, text, NULL, &object);
    if (rv != CKR_OK) {
        note_code(f, what, "C_CreateObject", rv);
        return;
    }
    rv = session->calls->C_WrapKey(session->handle, &mechanism, kek, object, wrapped, &len);
    destroy(session, object);
    if (rv != CKR_OK)
        note_code(f, what, "C_WrapKey", rv);
    else if (!wrap_own(own) || len != sizeof(own) || !same(wrapped, own, len))
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "not the bytes that OpenSSL makes");
    else
        kfe_p11_note(f, KFE_PROBE_CAN, what, "equal to OpenSSL's");
}

static void unwrap_one(kfe_p11_session *session, CK_OBJECT_HANDLE kek, kfe_p11_findings *f)
{
    static const char what[] = "RFC 3394 unwrap";
    uint8_t own[WRAPPED_LEN], value[KEY_LEN + 1];
    CK_OBJECT_HANDLE object;
    if (!wrap_own(own))
        return;
    CK_RV rv = secret(session, kek, NULL, own, &object);
    if (rv != CKR_OK) {
        note_code(f, what, "C_UnwrapKey", rv);
        return;
    }
    CK_ATTRIBUTE a = {CKA_VALUE, value, sizeof(value)};
    kfe_error err = kfe_p11_read(session, object, &a, 1);
    destroy(session, object);
    if (err || a.ulValueLen != KEY_LEN)
        kfe_p11_note(f, KFE_PROBE_CANNOT, what, "what was unwrapped cannot be read");
    else if (!same(value, text, KEY_LEN))
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "not what OpenSSL wrapped");
    else
        kfe_p11_note(f, KFE_PROBE_CAN, what, "opens what OpenSSL wrapped");
}

kfe_error kfe_p11_try_wrap(kfe_p11_session *session, void *arg)
{
    kfe_p11_findings *f = kfe_p11_begin(arg);
    CK_OBJECT_HANDLE kek;
    CK_RV rv = make_key(session, CKK_AES, CKA_WRAP, CKA_UNWRAP, &kek);
    if (rv != CKR_OK) {
        note_code(f, "RFC 3394", "C_CreateObject", rv);
        return KFE_OK;
    }
    wrap_one(session, kek, f);
    unwrap_one(session, kek, f);
    destroy(session, kek);
    return KFE_OK;
}

/* ---- RSA-OAEP ------------------------------------------------------------------------------- */

static CK_RV make_pair(kfe_p11_session *session, CK_OBJECT_HANDLE *public,
                       CK_OBJECT_HANDLE *private)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG bits = 2048;
    CK_BYTE exponent[] = {1, 0, 1};
    CK_ATTRIBUTE pub[] = {{CKA_TOKEN, &no, sizeof(no)},
                          {CKA_ENCRYPT, &yes, sizeof(yes)},
                          {CKA_MODULUS_BITS, &bits, sizeof(bits)},
                          {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};
    CK_ATTRIBUTE priv[] = {{CKA_TOKEN, &no, sizeof(no)},
                           {CKA_PRIVATE, &yes, sizeof(yes)},
                           {CKA_SENSITIVE, &yes, sizeof(yes)},
                           {CKA_EXTRACTABLE, &no, sizeof(no)},
                           {CKA_DECRYPT, &yes, sizeof(yes)}};
    return session->calls->C_GenerateKeyPair(session->handle, &mechanism, pub, 4, priv, 5, public,
                                             private);
}

static CK_RV round_trip(kfe_p11_session *session, CK_OBJECT_HANDLE public, CK_OBJECT_HANDLE private,
                        CK_MECHANISM *mechanism)
{
    uint8_t sealed[512], back[512];
    CK_ULONG sealed_len = sizeof(sealed), back_len = sizeof(back);
    CK_RV rv = session->calls->C_EncryptInit(session->handle, mechanism, public);
    if (rv == CKR_OK)
        rv = session->calls->C_Encrypt(session->handle, (CK_BYTE_PTR)(uintptr_t)text, KEY_LEN,
                                       sealed, &sealed_len);
    if (rv == CKR_OK)
        rv = session->calls->C_DecryptInit(session->handle, mechanism, private);
    if (rv == CKR_OK)
        rv = session->calls->C_Decrypt(session->handle, sealed, sealed_len, back, &back_len);
    return rv != CKR_OK || (back_len == KEY_LEN && same(back, text, KEY_LEN)) ? rv
                                                                              : CKR_GENERAL_ERROR;
}

/* As keys of RSA are used, by the token or by libp11. */
static void try_rsa_key(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_p11_findings *f)
{
    static const char what[] = "RSA keys (wrapped)";
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX], back[KEY_LEN];
    size_t len = 0;
    bool raw = false;
    kfe_error err = kfe_p11_rsa_wrap(session, key, text, wrapped, &len);
    if (!err)
        err = kfe_p11_rsa_unwrap(session, key, (kfe_bytes){wrapped, len}, &raw, back);
    if (err)
        kfe_p11_note(f, KFE_PROBE_CANNOT, what, "%s", kfe_error_detail());
    else if (!same(back, text, sizeof(back)))
        kfe_p11_note(f, KFE_PROBE_WRONG, what, "not what OpenSSL encrypted");
    else
        kfe_p11_note(f, KFE_PROBE_CAN, what, "open what OpenSSL encrypted with SHA-256, %s",
                     raw ? "by libp11: the token does raw RSA" : "in the token");
}

kfe_error kfe_p11_try_oaep(kfe_p11_session *session, void *arg)
{
    static const struct {
        CK_MECHANISM_TYPE hash;
        CK_RSA_PKCS_MGF_TYPE mgf;
        const char *what;
    } hashes[] = {{CKM_SHA_1, CKG_MGF1_SHA1, "RSA-OAEP with SHA-1"},
                  {CKM_SHA256, CKG_MGF1_SHA256, "RSA-OAEP with SHA-256"},
                  {CKM_SHA384, CKG_MGF1_SHA384, "RSA-OAEP with SHA-384"},
                  {CKM_SHA512, CKG_MGF1_SHA512, "RSA-OAEP with SHA-512"}};
    kfe_p11_findings *f = kfe_p11_begin(arg);
    CK_OBJECT_HANDLE public, private;
    CK_RV rv = make_pair(session, &public, &private);
    if (rv != CKR_OK) {
        note_code(f, "RSA-OAEP", "C_GenerateKeyPair", rv);
        return KFE_OK;
    }
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        CK_RSA_PKCS_OAEP_PARAMS params = {
            .hashAlg = hashes[i].hash, .mgf = hashes[i].mgf, .source = CKZ_DATA_SPECIFIED};
        CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof(params)};
        rv = round_trip(session, public, private, &mechanism);
        if (rv == CKR_OK)
            kfe_p11_note(f, KFE_PROBE_CAN, hashes[i].what, "opens what it sealed");
        else
            note_code(f, hashes[i].what, "round trip", rv);
    }
    try_rsa_key(session, private, f);
    destroy(session, public);
    destroy(session, private);
    return KFE_OK;
}
