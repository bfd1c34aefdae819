/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/rsa.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <kfe/secret.h>

#include "pkcs11/find.h"
#include "pkcs11/kek.h"
#include "pkcs11/rsa_evp.h"

enum { FORM = 3, SPARE = 16 };

/* ---- The public half ---------------------------------------------------------------------- */

static CK_ULONG without_zeros(uint8_t *number, CK_ULONG len)
{
    CK_ULONG zeros = 0;
    while (zeros < len && number[zeros] == 0)
        zeros++;
    memmove(number, number + zeros, len - zeros);
    return len - zeros;
}

kfe_error kfe_p11_rsa_public_read(kfe_p11_session *session, CK_OBJECT_HANDLE key,
                                  kfe_p11_rsa_public *out)
{
    static const uint8_t usual[] = {1, 0, 1};
    CK_ATTRIBUTE a[] = {{CKA_MODULUS, out->modulus, sizeof(out->modulus)},
                        {CKA_PUBLIC_EXPONENT, out->exponent, sizeof(out->exponent)}};
    kfe_error err = kfe_p11_read_known(session, key, a, 2);
    if (err)
        return err;
    if (a[0].ulValueLen > sizeof(out->modulus))
        a[0].ulValueLen = 0; /* not told, or too long */
    out->modulus_len = without_zeros(out->modulus, a[0].ulValueLen);
    if (out->modulus_len < KFE_P11_RSA_MIN || out->modulus_len > KFE_P11_RSA_MAX)
        return kfe_fail(KFE_E_KEY_DENIED, "an RSA key that is not of 2048 to 4096 bits");
    if (a[1].ulValueLen == 0 || a[1].ulValueLen > sizeof(out->exponent)) {
        /* Not every token tells it of a private key; that it is another one shows when the first
         * secret does not unwrap. */
        memcpy(out->exponent, usual, sizeof(usual));
        a[1].ulValueLen = sizeof(usual);
    }
    out->exponent_len = without_zeros(out->exponent, a[1].ulValueLen);
    return KFE_OK;
}

static EVP_PKEY *public_new(const kfe_p11_rsa_public *public)
{
    BIGNUM *n = BN_bin2bn(public->modulus, (int)public->modulus_len, NULL);
    BIGNUM *e = BN_bin2bn(public->exponent, (int)public->exponent_len, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (n != NULL && e != NULL && build != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    if (params == NULL || c == NULL || EVP_PKEY_fromdata_init(c) != 1 ||
        EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(e);
    BN_free(n);
    return key;
}

static bool encrypt(EVP_PKEY *key, const uint8_t secret[KFE_P11_SECRET_LEN], uint8_t *out,
                    size_t *len)
{
    EVP_PKEY_CTX *c = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool good = c != NULL && EVP_PKEY_encrypt_init(c) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 &&
                EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1 &&
                EVP_PKEY_encrypt(c, out, len, secret, KFE_P11_SECRET_LEN) == 1;
    EVP_PKEY_CTX_free(c);
    return good;
}

kfe_error kfe_p11_rsa_wrap(kfe_p11_session *session, CK_OBJECT_HANDLE key, const uint8_t secret[32],
                           uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len)
{
    kfe_p11_rsa_public public;
    kfe_error err = kfe_p11_rsa_public_read(session, key, &public);
    if (err)
        return err;
    EVP_PKEY *half = public_new(&public);
    size_t got = KFE_KEY_WRAPPED_MAX - 1;
    bool good = encrypt(half, secret, out + 1, &got) && got == public.modulus_len;
    EVP_PKEY_free(half);
    if (!good)
        return kfe_fail(KFE_E_KEY_DENIED, "OpenSSL does not encrypt under the RSA key's public "
                                          "half (RSA-OAEP with SHA-256)");
    out[0] = FORM;
    *len = 1 + got;
    return KFE_OK;
}

/* ---- The private half --------------------------------------------------------------------- */

/* What a token says that does RSA-OAEP, but not with SHA-256, or not at all. None of it can mean
 * the data: they are said of the mechanism and its parameters. */
static bool lacks_it(CK_RV rv)
{
    return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID ||
           rv == CKR_FUNCTION_NOT_SUPPORTED;
}

/* `text`: room for a block and a bit more. */
static kfe_error by_token(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_bytes in, bool *lacks,
                          uint8_t text[KFE_P11_RSA_MAX + SPARE])
{
    CK_RSA_PKCS_OAEP_PARAMS params = {
        .hashAlg = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .source = CKZ_DATA_SPECIFIED};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof(params)};
    CK_ULONG got = KFE_P11_RSA_MAX + SPARE;
    CK_RV rv = session->calls->C_DecryptInit(session->handle, &mechanism, key);
    *lacks = lacks_it(rv) || rv == CKR_ARGUMENTS_BAD;
    if (*lacks)
        return KFE_OK;
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_DecryptInit with CKM_RSA_PKCS_OAEP");
    rv = session->calls->C_Decrypt(session->handle, (CK_BYTE_PTR)(uintptr_t)in.data, in.len, text,
                                   &got);
    *lacks = lacks_it(rv);
    if (rv == CKR_OK && got == KFE_P11_SECRET_LEN)
        return KFE_OK;
    if (rv == CKR_OK || kfe_p11_bad_data(session, rv))
        return kfe_p11_kek_refused();
    return *lacks ? KFE_OK : kfe_p11_session_fail(session, rv, "C_Decrypt with CKM_RSA_PKCS_OAEP");
}

static kfe_error unwrap_by_token(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_bytes in,
                                 bool *lacks, uint8_t secret[KFE_P11_SECRET_LEN])
{
    uint8_t *text = kfe_secret_alloc(KFE_P11_RSA_MAX + SPARE);
    if (!text)
        return KFE_E_MEMORY;
    kfe_error err = by_token(session, key, in, lacks, text);
    if (!err && !*lacks)
        kfe_secret_copy(secret, text, KFE_P11_SECRET_LEN);
    kfe_secret_free(text);
    return err;
}

kfe_error kfe_p11_rsa_unwrap(kfe_p11_session *session, CK_OBJECT_HANDLE key, kfe_bytes wrapped,
                             bool *raw, uint8_t secret[32])
{
    const kfe_bytes in = {wrapped.data + 1, wrapped.len - 1};
    kfe_p11_rsa_public public;
    kfe_error err = kfe_p11_rsa_public_read(session, key, &public);
    if (err)
        return err;
    /* What is no number below the modulus is of another key: the token is not asked. */
    if (in.len != public.modulus_len || memcmp(in.data, public.modulus, in.len) >= 0) /* public */
        return kfe_p11_kek_refused();
    if (!*raw) {
        err = unwrap_by_token(session, key, in, raw, secret);
        if (err || !*raw)
            return err;
    }
    return kfe_p11_rsa_evp_open(session, key, &public, in.data, in.len, secret);
}
