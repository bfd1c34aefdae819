/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in whoever's memory: without the arena of secrets and without OpenSSL, for the OpenSSL
 * provider has neither. */
#include <stdlib.h>
#include <string.h>

#include <kfe/config.h>

#include "engine/aead.h"

kfe_error kfe_aead_key_expand(kfe_aead_key *key, const kfe_backend *backend,
                              const struct kfe_crypto *crypto, unsigned suite, const uint8_t *raw)
{
    if (suite > 31 || (backend->suites >> suite & 1) == 0)
        return kfe_fail(KFE_E_BACKEND, "backend %s does not do suite %u", backend->name, suite);
    key->backend = backend;
    return backend->key_init(key, crypto, suite, raw);
}

static void wipe_plain(kfe_aead_key *key, const kfe_backend *backend)
{
    kfe_wipe(key, backend->key_size);
    free(key);
}

kfe_error kfe_aead_key_new_plain(kfe_aead_key **out, const kfe_backend *backend,
                                 const struct kfe_crypto *crypto, unsigned suite,
                                 const uint8_t *raw)
{
    kfe_aead_key *key = aligned_alloc(64, backend->key_size);
    if (key == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    memset(key, 0, backend->key_size);
    kfe_error err = kfe_aead_key_expand(key, backend, crypto, suite, raw);
    if (err)
        wipe_plain(key, backend);
    else
        *out = key;
    return err;
}

void kfe_aead_key_free_plain(kfe_aead_key *key)
{
    if (key == NULL)
        return;
    const kfe_backend *backend = key->backend;
    if (backend->key_wipe != NULL)
        backend->key_wipe(key);
    wipe_plain(key, backend);
}
