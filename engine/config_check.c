/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "engine/config_entry.h"

static bool listed(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool is_generic(const struct kfe_entry *entry)
{
    return entry->option != NULL && entry->option->generic;
}

kfe_error kfe_config_check_class(const kfe_config *config, const char *prefix,
                                 const char *const *options)
{
    for (size_t i = 0; i < config->n; i++) {
        const struct kfe_entry *entry = &config->entries[i];
        if (strncmp(entry->name, prefix, strlen(prefix)) != 0 || is_generic(entry) ||
            listed(options, entry->name))
            continue;
        char class[64];
        snprintf(class, sizeof(class), "%sclass", prefix);
        const char *value = kfe_config_get(config, class);
        return kfe_fail(KFE_E_CONFIG, "%s=%s has no option '%s': the nearest is %s", class,
                        value != NULL ? value : "", entry->name,
                        kfe_option_nearest_of(entry->name, options, prefix));
    }
    return KFE_OK;
}

/* ---- Contradictions ----------------------------------------------------------------- */

static bool is(const kfe_config *config, const char *name, const char *value)
{
    const char *set = kfe_config_get(config, name);
    return set != NULL && strcmp(set, value) == 0;
}

static kfe_error check_deterministic(const kfe_config *config)
{
    bool wanted = is(config, "encryption.encrypt.keys", "deterministic");
    bool named = kfe_config_get(config, "encryption.keymanager.deterministic.key") != NULL;
    if (wanted && !named)
        return kfe_fail(KFE_E_CONFIG, "encryption.encrypt.keys=deterministic needs "
                                      "encryption.keymanager.deterministic.key=NAME@VERSION");
    if (named && !wanted)
        return kfe_fail(KFE_E_CONFIG, "encryption.keymanager.deterministic.key needs "
                                      "encryption.encrypt.keys=deterministic");
    return KFE_OK;
}

/* Without a KeyManager these names would say nothing. The engine itself reads the generic ones. */
static kfe_error check_manager(const kfe_config *config)
{
    if (kfe_config_get(config, "encryption.keymanager.class") != NULL)
        return KFE_OK;
    for (size_t i = 0; i < config->n; i++) {
        const struct kfe_entry *entry = &config->entries[i];
        if (strncmp(entry->name, KFE_MANAGER_PREFIX, strlen(KFE_MANAGER_PREFIX)) == 0 &&
            !is_generic(entry))
            return kfe_fail(KFE_E_CONFIG, "%s needs encryption.keymanager.class", entry->name);
    }
    return KFE_OK;
}

static kfe_error check_cover(const kfe_config *config)
{
    if (is(config, "encryption.encrypt.keys", "false") &&
        !kfe_config_flag(config, "encryption.encrypt.values") &&
        is(config, "encryption.encrypt.headers", ""))
        return kfe_fail(KFE_E_CONFIG,
                        "encryption.encrypt.keys, .values and .headers leave nothing to seal: "
                        "topics that stay in clear belong in encryption.unencrypted.topics");
    return KFE_OK;
}

static kfe_error check_label(const kfe_config *config)
{
    if (kfe_config_get(config, "encryption.aad.topic.map") != NULL &&
        !is(config, "encryption.aad.topic", "exact"))
        return kfe_fail(KFE_E_CONFIG, "encryption.aad.topic.map needs encryption.aad.topic=exact: "
                                      "there is no topic's name to map otherwise");
    return KFE_OK;
}

/* For all keys, or for one. */
static bool asks_for_direct(const char *kinds)
{
    for (const char *item = kinds; item != NULL; item = strchr(item, ',')) {
        item += *item == ',';
        size_t len = strcspn(item, ",");
        const char *equals = memrchr(item, '=', len), *kind = equals ? equals + 1 : item;
        if ((size_t)(item + len - kind) == 6 && memcmp(kind, "direct", 6) == 0)
            return true;
    }
    return false;
}

/* What no key can do that stays in its token; of keys that another option makes such, the engine
 * finds it out with the first session. */
static kfe_error check_direct(const kfe_config *config)
{
    static const char option[] = "encryption.keyprovider.pkcs11.session";
    const char *suites = kfe_config_get(config, "encryption.algorithms");
    if (!asks_for_direct(kfe_config_get(config, option)))
        return KFE_OK;
    const char *other = kfe_config_flag(config, "encryption.commit") ? "encryption.commit=true"
                        : is(config, "encryption.encrypt.keys", "deterministic")
                            ? "encryption.encrypt.keys=deterministic"
                        : suites != NULL && strncmp(suites, "C20P1305", 8) == 0
                            ? "C20P1305 as the first of encryption.algorithms"
                            : NULL;
    return other == NULL ? KFE_OK
                         : kfe_fail(KFE_E_CONFIG, "%s=direct does not go with %s", option, other);
}

kfe_error kfe_config_check(const kfe_config *config)
{
    static kfe_error (*const checks[])(const kfe_config *) = {
        check_deterministic, check_manager, check_cover, check_label, check_direct};
    if (kfe_config_get(config, "encryption.keyprovider.class") == NULL)
        return kfe_fail(KFE_E_CONFIG, "encryption.keyprovider.class is not set: file, pkcs11 or "
                                      "/path/library.so:symbol");
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        kfe_error err = checks[i](config);
        if (err)
            return err;
    }
    return KFE_OK;
}
