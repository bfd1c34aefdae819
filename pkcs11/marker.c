/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

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

kfe_error kfe_p11_marker_write(kfe_p11_session *session, const kfe_key_ref *ref,
                               kfe_key_state state)
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
    CK_RV rv = session->calls->C_CreateObject(session->handle, marker,
                                              sizeof(marker) / sizeof(marker[0]), &made);
    if (rv != CKR_OK)
        return kfe_p11_session_fail(session, rv, "C_CreateObject of a key state marker");
    session->changed = true;
    return KFE_OK;
}
