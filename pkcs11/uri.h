/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_URI_H
#define KFE_PKCS11_URI_H

/* The PKCS#11 URI that names module and token (RFC 7512):
 *
 *     pkcs11:token=LABEL;serial=NUMBER?module-path=/usr/lib/module.so
 *
 * Immutable once made: share it between threads. */

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include <stdbool.h>

#include <kfe/error.h>

#include "pkcs11/id.h"

typedef struct {
    P11KitUri *parsed;
    const char *module_path; /* absolute; lives as long as `parsed` */
} kfe_p11_uri;

/* KFE_E_CONFIG, never quoting the text (somebody may have put a PIN there): it does not parse,
 * has an attribute unknown to RFC 7512, repeated, or of no use here (object, id, type, slot,
 * library, PIN), lacks module-path, or has neither token nor serial. */
kfe_error kfe_p11_uri_init(kfe_p11_uri *uri, const char *text);
void kfe_p11_uri_wipe(kfe_p11_uri *uri);

bool kfe_p11_uri_matches(const kfe_p11_uri *uri, const CK_TOKEN_INFO *token);

/* Writes the URI of that token, by its label and serial, cut to `cap` bytes with the NUL. */
void kfe_p11_uri_of_token(const CK_TOKEN_INFO *token, char *out, size_t cap);

/* Writes the URI of the key with that name and id, an object of that class, in that token, cut to
 * `cap` bytes with the NUL. */
void kfe_p11_uri_of_key(const CK_TOKEN_INFO *token, CK_OBJECT_CLASS class, const char *name,
                        const kfe_p11_id *id, char *out, size_t cap);

#endif
