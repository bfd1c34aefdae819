/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pkcs11/maker.h"
#include "pkcs11/rsa.h"

/* The public half is an object of this session, destroyed at once (else it goes with it): its
 * numbers stand in the private one, and an object that everybody sees would only help those who
 * want to make sessions. */
static kfe_error generate(kfe_p11_session *session, const kfe_p11_id *id, const void *name,
                          CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ULONG bits = KFE_P11_RSA_MADE_BITS;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BYTE exponent[] = {1, 0, 1};
    void *label = (void *)(uintptr_t)name;
    CK_ATTRIBUTE public[] = {{CKA_MODULUS_BITS, &bits, sizeof(bits)},
                             {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)},
                             {CKA_TOKEN, &no, sizeof(no)},
                             {CKA_ENCRYPT, &yes, sizeof(yes)},
                             {CKA_VERIFY, &no, sizeof(no)},
                             {CKA_WRAP, &no, sizeof(no)}};
    CK_ATTRIBUTE private[] = {
        {CKA_LABEL, label, strlen(name)},   {CKA_ID, (void *)(uintptr_t)id->bytes, id->len},
        {CKA_TOKEN, &yes, sizeof(yes)},     {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &yes, sizeof(yes)}, {CKA_EXTRACTABLE, &no, sizeof(no)},
        {CKA_DECRYPT, &yes, sizeof(yes)},   {CKA_UNWRAP, &no, sizeof(no)},
        {CKA_SIGN, &no, sizeof(no)},        {CKA_SIGN_RECOVER, &no, sizeof(no)}};
    CK_OBJECT_HANDLE half = CK_INVALID_HANDLE;
    CK_RV rv = session->calls->C_GenerateKeyPair(session->handle, &mechanism, public,
                                                 sizeof(public) / sizeof(public[0]), private,
                                                 sizeof(private) / sizeof(private[0]), &half, out);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_GenerateKeyPair");
    (void)session->calls->C_DestroyObject(session->handle, half);
    return KFE_OK;
}

kfe_error kfe_p11_rsa_create(kfe_p11_session *session, const kfe_key_ref *ref)
{
    return kfe_p11_make_key(session, CKO_PRIVATE_KEY, ref, generate, ref->name);
}
