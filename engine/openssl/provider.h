/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_OPENSSL_PROVIDER_H
#define KFE_ENGINE_OPENSSL_PROVIDER_H

/* kfe.so, an OpenSSL provider: AES-GCM from our kernels through EVP. It needs the C library alone,
 * not libcrypto: all that it wants of OpenSSL comes through the functions that the core hands to
 * OSSL_provider_init(). Source: provider(7), provider-cipher(7). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

#include "engine/backend.h"

/* One loading of the module into one library context. Read-only once made. */
typedef struct {
    const OSSL_CORE_HANDLE *core;
    const kfe_backend *backend;
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
    char build_info[64];
} kfe_provider;

/* Puts a PROV_R_ reason of <openssl/proverr.h> on the thread's error queue, with `detail` unless
 * NULL. Returns 0, which is what failed functions return to the core. */
#define KFE_RAISE(provider, reason) kfe_provider_raise(provider, __FILE__, __LINE__, reason, NULL)
int kfe_provider_raise(const kfe_provider *provider, const char *file, int line, int reason,
                       const char *detail);

/* The ciphers, ended by an entry of NULLs. */
extern const OSSL_ALGORITHM kfe_provider_ciphers[];

#endif
