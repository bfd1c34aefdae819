/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_FIND_H
#define KFE_PKCS11_FIND_H

/* Searching a token for objects and reading their attributes. */

#include "pkcs11/session.h"

typedef struct {
    CK_OBJECT_HANDLE *at;
    size_t n;
} kfe_p11_found;

/* Every object that has those attributes; free(out->at) afterwards. None is no error. */
kfe_error kfe_p11_find(kfe_p11_session *session, CK_ATTRIBUTE *attributes, CK_ULONG n,
                       kfe_p11_found *out);

/* Reads attributes into the buffers given. One that the object lacks, hides, or that does not fit
 * gets the length CK_UNAVAILABLE_INFORMATION. All do when the object is gone: somebody may destroy
 * it after it was found. */
kfe_error kfe_p11_read(kfe_p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
                       CK_ULONG n);
/* The same of an object that was found earlier: that it is gone is an error then, which has it
 * found again. */
kfe_error kfe_p11_read_known(kfe_p11_session *session, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE *attributes, CK_ULONG n);

#endif
