/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/derive.h"

#include <string.h>

#include <kfe/secret.h>

#include "engine/wire.h"

kfe_error kfe_provider_fault(kfe_error err)
{
    if (err == KFE_E_CREDENTIALS || err == KFE_E_MEMORY || err == KFE_E_KEY_DENIED)
        return err;
    return kfe_fail(KFE_E_PROVIDER, "%s", kfe_error_detail());
}

/* C of the derivations. */
static uint8_t *put_context(uint8_t *at, const kfe_derive_context *c)
{
    *at++ = c->suite;
    at = kfe_put_varint(at, (uint32_t)strlen(c->name));
    at = kfe_put(at, c->name, strlen(c->name));
    at = kfe_put_u32(at, c->version);
    return kfe_put(at, c->salt.data, c->salt.len);
}

size_t kfe_derive_wrap_aad(uint8_t out[KFE_WRAP_AAD_MAX], const kfe_derive_context *context)
{
    return (size_t)(put_context(kfe_put(out, "kfe1 wrap", 9), context) - out);
}

/* out has bits / 8 bytes, a multiple of 32. */
static kfe_error derive(kfe_key *key, const char *label, uint32_t bits, const kfe_derive_context *c,
                        uint8_t *out)
{
    uint8_t input[4 + 32 + 1 + 1 + 2 + KFE_NAME_MAX + 4 + 16 + 4];
    if (!KFE_HAS(key->ops, derive))
        return kfe_fail(KFE_E_KEY_DENIED, "key %s version %u cannot derive", c->name, c->version);
    for (uint32_t i = 1; i <= bits / 256; i++) {
        uint8_t *at = kfe_put_u32(input, i);
        at = kfe_put(at, label, strlen(label) + 1); /* with its NUL: the separator */
        at = kfe_put_u32(put_context(at, c), bits);
        kfe_error err = key->ops->derive(key, input, (size_t)(at - input), out + 32 * (i - 1));
        if (err) {
            kfe_wipe(out, bits / 8);
            return kfe_provider_fault(err);
        }
    }
    return KFE_OK;
}

kfe_error kfe_derive_data(kfe_key *key, const kfe_derive_context *context, uint8_t out[32])
{
    return derive(key, "kfe1 data key", 256, context, out);
}

kfe_error kfe_derive_commitment(kfe_key *key, const kfe_derive_context *context, uint8_t out[16])
{
    uint8_t *block = kfe_secret_alloc(32);
    if (block == NULL)
        return KFE_E_MEMORY;
    kfe_error err = derive(key, "kfe1 commitment", 256, context, block);
    memcpy(out, block, 16); /* zero after a failure */
    kfe_secret_free(block);
    return err;
}

kfe_error kfe_derive_deterministic(kfe_key *key, const char *name, uint32_t version,
                                   uint8_t out[64])
{
    static const uint8_t zero[16];
    kfe_derive_context context = {0, name, version, {zero, sizeof(zero)}};
    return derive(key, "kfe1 deterministic", 512, &context, out);
}
