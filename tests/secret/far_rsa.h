/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_FAR_RSA_H
#define TESTS_SECRET_FAR_RSA_H

#include "tests/secret/far.h"

#include <p11-kit/pkcs11.h>

/* In a child that is logged in: makes the key "rsa" in the token. */
void far_rsa_import(CK_FUNCTION_LIST_PTR calls, CK_SESSION_HANDLE session);

#endif
