/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the padding by itself, to know the block */
#include "tests/secret/far_rsa.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/rsa_numbers.h"

enum { BITS = 2048, LEN = BITS / 8, DER_MAX = 512 };

static const char *public_file(void)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/rsa.der", kit_dir());
    return path;
}

static void write_public(const EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    FILE *file = fopen(public_file(), "w");
    far_require(len > 0 && file && fwrite(der, (size_t)len, 1, file) == 1 && fclose(file) == 0);
    OPENSSL_free(der);
}

static EVP_PKEY *read_public(void)
{
    uint8_t der[DER_MAX];
    const uint8_t *at = der;
    FILE *file = fopen(public_file(), "r");
    far_require(file != NULL);
    size_t len = fread(der, 1, sizeof(der), file);
    fclose(file);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)len);
    far_require(key != NULL);
    return key;
}

void far_rsa_import(CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE session)
{
    enum { N_OTHERS = 8, FACTOR = N_OTHERS + RSA_PRIME };
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BYTE id[4] = {0, 0, 0, 1}, label[] = "rsa";
    uint8_t room[RSA_NUMBERS][RSA_NUMBER_MAX];
    CK_OBJECT_HANDLE made;
    CK_ATTRIBUTE a[N_OTHERS + RSA_NUMBERS] = {
        {CKA_CLASS, &class, sizeof(class)},    {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, sizeof(yes)},        {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &yes, sizeof(yes)},    {CKA_EXTRACTABLE, &no, sizeof(no)},
        {CKA_LABEL, label, sizeof(label) - 1}, {CKA_ID, id, sizeof(id)}};
    EVP_PKEY *key = EVP_RSA_gen(BITS);
    far_require(key != NULL && rsa_numbers(key, room, a + N_OTHERS));
    hunt_set(far_secrets[FAR_RSA], a[FACTOR].pValue, a[FACTOR].ulValueLen);
    far_require(calls->C_CreateObject(session, a, sizeof(a) / sizeof(a[0]), &made) == CKR_OK);
    write_public(key);
}

void far_make_oaep(void *secret)
{
    uint8_t in[32], block[LEN];
    size_t len = LEN;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(read_public(), NULL);
    far_make_random(secret);
    hunt_get(secret, in);
    far_require(RSA_padding_add_PKCS1_OAEP_mgf1(block, LEN, in, sizeof(in), NULL, 0, EVP_sha256(),
                                                EVP_sha256()) == 1);
    hunt_set(far_secrets[FAR_BLOCK], block, LEN);
    far_told[0] = 3;
    far_require(c != NULL && EVP_PKEY_encrypt_init(c) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING) == 1 &&
                EVP_PKEY_encrypt(c, far_told + 1, &len, block, LEN) == 1 && len == LEN);
}
