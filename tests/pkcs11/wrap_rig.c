/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/wrap_rig.h"

static const uint8_t aad_bytes[] = "kfe1 wrap and a context";
const uint8_t wrap_secret[32] = {9, 8, 7, 6, 5};
const kfe_bytes wrap_aad = {aad_bytes, sizeof(aad_bytes)};

void wrap_rig_open(struct wrap_rig *rig, const test_token *h)
{
    *rig = (struct wrap_rig){.h = h, .provider = test_token_open(h)};
    rig->key = aes_get(rig->provider, "kek", 1);
}

void wrap_rig_wipe(struct wrap_rig *rig)
{
    rig->key->ops->release(rig->key);
    rig->provider->ops->free(rig->provider);
}

kfe_error wrap_rig_wrap(struct wrap_rig *rig)
{
    return rig->key->ops->wrap(rig->key, wrap_aad, wrap_secret, rig->wrapped, &rig->len);
}

kfe_error wrap_rig_unwrap(struct wrap_rig *rig)
{
    memset(rig->back, 0xee, sizeof(rig->back));
    return rig->key->ops->unwrap(rig->key, wrap_aad, (kfe_bytes){rig->wrapped, rig->len},
                                 rig->back);
}

void wrap_rig_round(struct wrap_rig *rig)
{
    kfe_error err = wrap_rig_unwrap(rig);
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
    assert_memory_equal(rig->back, wrap_secret, 32);
    assert_int_equal(aes_session_objects(), 0);
}
