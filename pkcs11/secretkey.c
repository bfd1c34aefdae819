/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <kfe/config.h>

#include "pkcs11/find.h"
#include "pkcs11/maker.h"
#include "pkcs11/rsa.h"
#include "pkcs11/secretkey.h"

enum { MAC_LEN = 32 };

enum { LEN, SENSITIVE, EXTRACTABLE, SIGN, ENCRYPT, DECRYPT, WRAP, UNWRAP, N_READ };

/* The length of an RSA key is that of its modulus. */
static kfe_error look_at_rsa(kfe_p11_session *session, CK_OBJECT_HANDLE object, kfe_p11_use *found)
{
    kfe_p11_rsa_public public;
    kfe_error err = kfe_p11_rsa_public_read(session, object, &public);
    found->len = err ? 0 : public.modulus_len;
    return err == KFE_E_KEY_DENIED ? KFE_OK : err;
}

static const char *flaw_of_rsa(const kfe_p11_use *use)
{
    if (use->len == 0)
        return "is an RSA key that is not of 2048 to 4096 bits";
    return use->decrypt ? NULL : "is an RSA key that may not decrypt (CKA_DECRYPT)";
}

/* What is wrong with it; a flag that the token does not tell counts as the worse one. */
static const char *flaw(const kfe_p11_use *use, bool sensitive, bool extractable)
{
    const bool aes = use->type == CKK_AES, rsa = use->type == CKK_RSA;
    if (!aes && !rsa && use->type != CKK_GENERIC_SECRET)
        return "is neither a generic secret nor an AES key";
    if (use->len == 0 && aes)
        return "has a length that the token does not tell: it may seal A256GCM by 16 bytes";
    if (!rsa && use->len != KFE_P11_KEY_LEN && !(aes && use->len == KFE_P11_SHORT_LEN))
        return aes ? "is not 16 or 32 bytes long" : "is not 32 bytes long";
    if (!sensitive)
        return "is not sensitive, so it may be read out";
    if (extractable)
        return "is extractable, so it may leave the token";
    if (rsa)
        return flaw_of_rsa(use);
    if (!aes && !use->sign)
        return "may not sign (CKA_SIGN)";
    if (aes && !use->decrypt && !(use->unwrap && use->len == KFE_P11_KEY_LEN))
        return "may neither decrypt nor unwrap (CKA_DECRYPT, CKA_UNWRAP)";
    return NULL;
}

kfe_error kfe_p11_secretkey_look(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                                 const kfe_key_ref *ref, kfe_p11_use *use)
{
    CK_KEY_TYPE type = CKK_VENDOR_DEFINED;
    CK_ULONG len = 0;
    CK_BBOOL flags[N_READ] = {0};
    bool is[N_READ];
    CK_ATTRIBUTE a[] = {{CKA_VALUE_LEN, &len, sizeof(len)},
                        {CKA_SENSITIVE, &flags[SENSITIVE], 1},
                        {CKA_EXTRACTABLE, &flags[EXTRACTABLE], 1},
                        {CKA_SIGN, &flags[SIGN], 1},
                        {CKA_ENCRYPT, &flags[ENCRYPT], 1},
                        {CKA_DECRYPT, &flags[DECRYPT], 1},
                        {CKA_WRAP, &flags[WRAP], 1},
                        {CKA_UNWRAP, &flags[UNWRAP], 1},
                        {CKA_KEY_TYPE, &type, sizeof(type)}};
    kfe_error err = kfe_p11_read_known(session, object, a, sizeof(a) / sizeof(a[0]));
    if (err)
        return err;
    if (a[N_READ].ulValueLen != sizeof(type))
        type = CKK_VENDOR_DEFINED;
    for (int i = SENSITIVE; i < N_READ; i++)
        is[i] = a[i].ulValueLen == 1 && flags[i];
    is[EXTRACTABLE] |= a[EXTRACTABLE].ulValueLen != 1;
    if (a[LEN].ulValueLen != sizeof(len))
        len = 0;
    /* Some tokens tell 0 for what was unwrapped in them. Import unwraps 32 bytes or nothing; who
     * may do so by other means may as well put a key there that he knows. */
    if (len == 0 && type == CKK_GENERIC_SECRET)
        len = KFE_P11_KEY_LEN;
    kfe_p11_use found = {type, len, is[SIGN], is[ENCRYPT], is[DECRYPT], is[WRAP], is[UNWRAP]};
    if (type == CKK_RSA)
        err = look_at_rsa(session, object, &found);
    if (err)
        return err;
    if (use)
        *use = found;
    if (type == CKK_RSA && !session->allow_rsa)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "key %.80s@%lu is an RSA key, which wants " KFE_P11_ALLOW_RSA_OPTION
                        "=true",
                        ref->name, (unsigned long)ref->version);
    const char *wrong = flaw(&found, is[SENSITIVE], is[EXTRACTABLE]);
    if (wrong)
        return kfe_fail(KFE_E_KEY_DENIED,
                        "key object %.80s@%lu %s: make keys by `kfe keys create` or `kfe keys "
                        "rotate`",
                        ref->name, (unsigned long)ref->version, wrong);
    return KFE_OK;
}

kfe_p11_make kfe_p11_secretkey_make_for(kfe_p11_session *session, kfe_key_purpose purpose)
{
    CK_MECHANISM_INFO info;
    if (purpose == KFE_FOR_RSA)
        return KFE_P11_MAKE_RSA;
    if (purpose == KFE_FOR_DIRECT)
        return KFE_P11_MAKE_DIRECT;
    if (purpose != KFE_FOR_WRAPPED)
        return KFE_P11_MAKE_DERIVED;
    return session->calls->C_GetMechanismInfo(session->slot, CKM_AES_GCM, &info) == CKR_OK
               ? KFE_P11_MAKE_WRAPPED
               : KFE_P11_MAKE_KEY_WRAP;
}

kfe_p11_make kfe_p11_secretkey_make_like(const kfe_p11_use *use)
{
    if (use->type == CKK_RSA)
        return KFE_P11_MAKE_RSA;
    if (use->type != CKK_AES)
        return KFE_P11_MAKE_DERIVED;
    if (use->len == KFE_P11_SHORT_LEN)
        return KFE_P11_MAKE_DIRECT_128;
    return use->decrypt ? KFE_P11_MAKE_WRAPPED : KFE_P11_MAKE_KEY_WRAP;
}

struct wish {
    const char *name;
    kfe_p11_make kind;
};

static kfe_error generate(kfe_p11_session *session, const kfe_p11_id *id, const void *arg,
                          CK_OBJECT_HANDLE *out)
{
    const struct wish *wish = arg;
    const kfe_p11_make kind = wish->kind;
    const bool aes = kind != KFE_P11_MAKE_DERIVED;
    CK_MECHANISM mechanism = {aes ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = aes ? CKK_AES : CKK_GENERIC_SECRET;
    CK_ULONG len = kind == KFE_P11_MAKE_DIRECT_128 ? KFE_P11_SHORT_LEN : KFE_P11_KEY_LEN;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BBOOL sign = !aes, wrap = kind == KFE_P11_MAKE_KEY_WRAP, crypt = aes && !wrap;
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_KEY_TYPE, &type, sizeof(type)},
                          {CKA_VALUE_LEN, &len, sizeof(len)},
                          {CKA_LABEL, (void *)(uintptr_t)wish->name, strlen(wish->name)},
                          {CKA_ID, (void *)(uintptr_t)id->bytes, id->len},
                          {CKA_TOKEN, &yes, sizeof(yes)},
                          {CKA_PRIVATE, &yes, sizeof(yes)},
                          {CKA_SENSITIVE, &yes, sizeof(yes)},
                          {CKA_EXTRACTABLE, &no, sizeof(no)},
                          {CKA_SIGN, &sign, sizeof(sign)},
                          {CKA_VERIFY, &no, sizeof(no)},
                          {CKA_ENCRYPT, &crypt, sizeof(crypt)},
                          {CKA_DECRYPT, &crypt, sizeof(crypt)},
                          {CKA_WRAP, &wrap, sizeof(wrap)},
                          {CKA_UNWRAP, &wrap, sizeof(wrap)},
                          {CKA_DERIVE, &no, sizeof(no)}};
    CK_RV rv = session->calls->C_GenerateKey(session->handle, &mechanism, key,
                                             sizeof(key) / sizeof(key[0]), out);
    return rv == CKR_OK ? KFE_OK : kfe_p11_session_fail(session, rv, "C_GenerateKey");
}

kfe_error kfe_p11_secretkey_create(kfe_p11_session *session, const kfe_key_ref *ref,
                                   kfe_p11_make kind)
{
    const struct wish wish = {ref->name, kind};
    return kfe_p11_make_key(session, CKO_SECRET_KEY, ref, generate, &wish);
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
