/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_PROBE_H
#define KFE_PKCS11_PROBE_H

/* `kfe keys probe`: what the token does, not what its flags claim. Works with objects of a session,
 * which are destroyed again; the keys that are configured are looked at, and not used. */

#include <kfe/keys.h>

#include "pkcs11/token.h"

/* KFE_OK also when much of it fails: the lines say so. An error: the token does not answer. */
kfe_error kfe_p11_probe(kfe_p11_token *token, kfe_probe_line *line, void *arg);

#endif
