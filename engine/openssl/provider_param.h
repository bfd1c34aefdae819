/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_PROVIDER_PARAM_H
#define KFE_ENGINE_OPENSSL_PROVIDER_PARAM_H

/* Parameters as the core passes them, read and written without libcrypto. Source: OSSL_PARAM(3).
 * False: of another type, does not fit, or is not there; nothing is changed then, but for
 * `return_size`, which tells what would do. A `data` of NULL asks for that size alone: true. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/core.h>

bool kfe_param_get_size(const OSSL_PARAM *param, size_t *out);
bool kfe_param_set_size(OSSL_PARAM *param, size_t value);
bool kfe_param_set_text(OSSL_PARAM *param, const char *text); /* static storage: by pointer */

/* Copies the bytes, or points to them where the caller asks for a pointer. */
bool kfe_param_set_octets(OSSL_PARAM *param, const uint8_t *bytes, size_t len);

#endif
