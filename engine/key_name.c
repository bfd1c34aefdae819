/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/key_name.h"

#include <string.h>

#include <kfe/keys.h>

#include "engine/envelope.h"
#include "engine/options.h"

kfe_error kfe_key_name_check(const char *name)
{
    size_t len = name != NULL ? strnlen(name, KFE_NAME_MAX + 1) : 0;
    if (len == 0 || !kfe_key_name_ok((kfe_bytes){(const uint8_t *)name, len}))
        return kfe_fail(KFE_E_ARGUMENT,
                        "a key's name has 1 to %d bytes of UTF-8 and no control characters",
                        KFE_NAME_MAX);
    return KFE_OK;
}

const char *kfe_key_state_name(kfe_key_state state)
{
    switch (state) {
    case KFE_KEY_ACTIVE:
        return "active";
    case KFE_KEY_DECRYPT_ONLY:
        return "decrypt-only";
    case KFE_KEY_DESTROYED:
        return "destroyed";
    }
    return "unknown state";
}

kfe_error kfe_key_ref_parse(const char *what, const char *text, char name[KFE_NAME_MAX + 1],
                            uint32_t *version)
{
    const char *at = strrchr(text, '@');
    uint64_t n;
    if (at == NULL || at[1] == '0' || !kfe_option_number(at + 1, &n) || n > UINT32_MAX)
        return kfe_fail(KFE_E_CONFIG,
                        "%s: '%s' is not of the form NAME@VERSION with a version from 1", what,
                        text);
    kfe_bytes view = {(const uint8_t *)text, (size_t)(at - text)};
    if (view.len == 0 || !kfe_key_name_ok(view))
        return kfe_fail(KFE_E_CONFIG,
                        "%s: a key's name has 1 to %d bytes of UTF-8 and no control characters",
                        what, KFE_NAME_MAX);
    memcpy(name, text, view.len);
    name[view.len] = '\0';
    *version = (uint32_t)n;
    return KFE_OK;
}
