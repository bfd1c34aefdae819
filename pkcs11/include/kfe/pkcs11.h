/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_H
#define KFE_PKCS11_H

/* The KeyProvider over a PKCS#11 token (docs/keys.md). Chosen by
 * encryption.keyprovider.class=pkcs11: an engine loads this library by itself then, so a
 * program needs neither this header nor to link it. */

#include <kfe/keys.h>

#ifdef __cplusplus
extern "C" {
#endif

extern KFE_API const kfe_key_provider_ops kfe_pkcs11;

#ifdef __cplusplus
}
#endif
#endif
