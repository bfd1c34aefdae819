/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_DERIVE_H
#define KFE_ENGINE_DERIVE_H

/* Keys of a session from a master key: SP 800-108 in counter mode with HMAC-SHA-256,
 *   F(label, bits) = derive(u32(i) || label || 00 || C || u32(bits)) for i = 1, 2, ...
 *   C = suite || varint(length of name) || name || u32(version) || salt
 * (docs/format.md). derive() is the KeyProvider's: one call per 256 bits. In a wrapped session the
 * secret that was unwrapped is the master key, in our own hands. */

#include <kfe/keys.h>

typedef struct {
    uint8_t suite;
    const char *name;
    uint32_t version;
    kfe_bytes salt; /* 16 bytes; none in a wrapped session */
} kfe_derive_context;

kfe_error kfe_derive_data(kfe_key *key, const kfe_derive_context *context, uint8_t out[32]);
kfe_error kfe_derive_commitment(kfe_key *key, const kfe_derive_context *context, uint8_t out[16]);
/* The SIV key of a deterministic reference: suite 0 and a salt of zeros, whatever `name` seals. */
kfe_error kfe_derive_deterministic(kfe_key *key, const char *name, uint32_t version,
                                   uint8_t out[64]);

/* What a wrapping binds: "kfe1 wrap" || C. Returns its length. */
enum { KFE_WRAP_AAD_MAX = 9 + 1 + 2 + KFE_NAME_MAX + 4 + 16 };
size_t kfe_derive_wrap_aad(uint8_t out[KFE_WRAP_AAD_MAX], const kfe_derive_context *context);

/* What a provider failed with, as the engine takes it: it blames keys or itself, never a record, so
 * any other code becomes KFE_E_PROVIDER. */
kfe_error kfe_provider_fault(kfe_error err);

#endif
