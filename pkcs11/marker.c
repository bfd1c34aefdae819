/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "pkcs11/ckr.h"
#include "pkcs11/id.h"
#include "pkcs11/marker.h"

size_t kfe_p11_marker_format(kfe_key_state state, uint32_t version, char text[KFE_P11_MARKER_MAX])
{
    if (state != KFE_KEY_DECRYPT_ONLY && state != KFE_KEY_DESTROYED)
        return 0; /* what is active needs no marker */
    return (size_t)snprintf(text, KFE_P11_MARKER_MAX, "%s %lu", kfe_key_state_name(state),
                            (unsigned long)version);
}

/* Leading zeros, signs and so on are caught by writing it again and comparing. */
bool kfe_p11_marker_parse(const uint8_t *text, size_t len, kfe_key_state *state, uint32_t *version)
{
    char again[KFE_P11_MARKER_MAX];
    uint64_t number = 0;
    size_t at = 0;
    while (at < len && text[at] != ' ')
        at++;
    for (size_t i = at + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
        if (number > UINT32_MAX)
            return false;
    }
    if (number == 0)
        return false;
    *version = (uint32_t)number;
    for (int s = KFE_KEY_DECRYPT_ONLY; s <= KFE_KEY_DESTROYED; s++) {
        *state = (kfe_key_state)s;
        size_t full = kfe_p11_marker_format(*state, *version, again);
        if (full == len && memcmp(again, text, len) == 0) /* public */
            return true;
    }
    return false;
}

static CK_RV add_data(kfe_p11_session *session, const kfe_key_ref *ref, kfe_key_state state)
{
    char text[KFE_P11_MARKER_MAX];
    CK_OBJECT_HANDLE made;
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    char application[] = KFE_P11_MARKER_APPLICATION;
    CK_ATTRIBUTE marker[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_TOKEN, &yes, sizeof(yes)},
                             {CKA_PRIVATE, &yes, sizeof(yes)},
                             {CKA_MODIFIABLE, &no, sizeof(no)},
                             {CKA_APPLICATION, application, sizeof(application) - 1},
                             {CKA_LABEL, (void *)(uintptr_t)ref->name, strlen(ref->name)},
                             {CKA_VALUE, text, kfe_p11_marker_format(state, ref->version, text)}};
    return session->calls->C_CreateObject(session->handle, marker,
                                          sizeof(marker) / sizeof(marker[0]), &made);
}

/* Generated, as many tokens take no key from outside. Its bytes are of no use to anybody. */
static CK_RV add_key(kfe_p11_session *session, const kfe_key_ref *ref, kfe_key_state state)
{
    static const CK_MECHANISM_TYPE kinds[] = {CKM_GENERIC_SECRET_KEY_GEN, CKM_AES_KEY_GEN};
    static const CK_ATTRIBUTE_TYPE usages[] = {CKA_SIGN, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT,
                                               CKA_WRAP, CKA_UNWRAP, CKA_DERIVE};
    CK_OBJECT_HANDLE made;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ULONG len = 32, n = 8;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    kfe_p11_id id;
    kfe_p11_id_of_state(ref, state, &id);
    CK_ATTRIBUTE marker[16] = {{CKA_CLASS, &class, sizeof(class)},
                               {CKA_TOKEN, &yes, sizeof(yes)},
                               {CKA_PRIVATE, &yes, sizeof(yes)},
                               {CKA_SENSITIVE, &yes, sizeof(yes)},
                               {CKA_EXTRACTABLE, &no, sizeof(no)},
                               {CKA_VALUE_LEN, &len, sizeof(len)},
                               {CKA_LABEL, (void *)(uintptr_t)ref->name, strlen(ref->name)},
                               {CKA_ID, id.bytes, id.len}};
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
        marker[n++] = (CK_ATTRIBUTE){usages[i], &no, sizeof(no)};
    CK_RV rv = CKR_MECHANISM_INVALID;
    for (int i = 0; i < 2 && rv == CKR_MECHANISM_INVALID; i++) {
        CK_MECHANISM mechanism = {kinds[i], NULL, 0};
        rv = session->calls->C_GenerateKey(session->handle, &mechanism, marker, n, &made);
    }
    return rv;
}

kfe_error kfe_p11_marker_write(kfe_p11_session *session, const kfe_key_ref *ref,
                               kfe_key_state state)
{
    CK_RV rv = add_data(session, ref, state);
    if (kfe_p11_ckr_error(rv) == KFE_E_KEY_DENIED)
        rv = add_key(session, ref, state);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "writing a key state marker");
    session->changed = true;
    return KFE_OK;
}
