/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"
#include "engine/options.h"

static const char provider_option[] = "encryption.keyprovider.class";
static const char manager_option[] = "encryption.keymanager.class";

/* ---- Libraries ---------------------------------------------------------------------- */

/* The library is never closed: threads may still run its code, and its keys may outlive the
 * engine. */
static kfe_error find_symbol(const void **out, const char *option, const char *path,
                             const char *symbol, const char *advice)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s: %s%s", option, advice, dlerror());
    void *found = dlsym(library, symbol);
    if (found == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s: %s has no symbol '%s'", option, path, symbol);
    *out = found;
    return KFE_OK;
}

/* `/path/library.so:symbol`. */
static kfe_error find_table(const void **out, const char *option, const char *value)
{
    const char *symbol = kfe_class_symbol(value);
    if (symbol == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s: '%s' is not of the form /path/library.so:symbol", option,
                        value);
    char *path = strndup(value, (size_t)(symbol - 1 - value));
    if (path == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", option);
    kfe_error err = find_symbol(out, option, path, symbol, "");
    free(path);
    return err;
}

/* A size that no table has tells a symbol that is something else, a function say. */
static bool plausible(size_t size)
{
    return size % sizeof(void *) == 0 && size <= 4096;
}

static kfe_error fail_table(const char *option, const char *value)
{
    return kfe_fail(KFE_E_CONFIG, "%s: '%s' is not the table of such a class, or lacks a function",
                    option, value);
}

/* ---- KeyProvider -------------------------------------------------------------------- */

static bool provider_complete(const kfe_key_provider_ops *ops)
{
    return plausible(ops->size) && KFE_HAS(ops, name) && KFE_HAS(ops, open) && KFE_HAS(ops, free) &&
           KFE_HAS(ops, get_key) && KFE_HAS(ops, get_current_key);
}

static kfe_error find_provider(const void **out, const char *value)
{
    if (strcmp(value, "file") == 0) {
        *out = &kfe_file_provider;
        return KFE_OK;
    }
    if (strcmp(value, "pkcs11") == 0)
        return find_symbol(out, provider_option, "libkfe-pkcs11.so.1", "kfe_pkcs11",
                           "pkcs11 needs libkfe-pkcs11: install it. ");
    return find_table(out, provider_option, value);
}

kfe_error kfe_class_provider(const kfe_config *config, const kfe_key_provider_ops **out)
{
    const char *value = kfe_config_get(config, provider_option);
    if (value == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s is not set: file, pkcs11 or /path/library.so:symbol",
                        provider_option);
    const void *table = NULL;
    kfe_error err = find_provider(&table, value);
    if (err)
        return err;
    if (!provider_complete(table))
        return fail_table(provider_option, value);
    *out = table;
    return KFE_OK;
}

kfe_error kfe_key_provider_open(kfe_key_provider **out, const kfe_config *config)
{
    if (out == NULL || config == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_key_provider_open: an argument is missing");
    const kfe_key_provider_ops *ops;
    kfe_error err = kfe_class_provider(config, &ops);
    if (err)
        return err;
    err = kfe_config_check_class(config, KFE_PROVIDER_PREFIX,
                                 KFE_HAS(ops, options) ? ops->options : NULL);
    if (err)
        return err;
    kfe_key_provider *provider = NULL;
    err = ops->open(&provider, config);
    if (!err && (provider == NULL || provider->ops == NULL))
        err = kfe_fail(KFE_E_PROVIDER, "the KeyProvider %s opened as nothing", ops->name);
    if (!err)
        *out = provider;
    return err;
}

void kfe_key_provider_close(kfe_key_provider *provider)
{
    if (provider != NULL)
        provider->ops->free(provider);
}

/* ---- KeyManager --------------------------------------------------------------------- */

static bool manager_complete(const kfe_key_manager_ops *ops)
{
    return plausible(ops->size) && KFE_HAS(ops, name) && KFE_HAS(ops, open) && KFE_HAS(ops, free) &&
           KFE_HAS(ops, choose);
}

kfe_error kfe_class_manager(const kfe_config *config, const kfe_key_manager_ops **out)
{
    const char *value = kfe_config_get(config, manager_option);
    const void *table = NULL;
    if (value != NULL && strcmp(value, "topic") == 0)
        table = &kfe_topic_manager;
    else if (value != NULL) {
        kfe_error err = find_table(&table, manager_option, value);
        if (err)
            return err;
    }
    if (table != NULL && !manager_complete(table))
        return fail_table(manager_option, value);
    *out = table;
    return KFE_OK;
}

kfe_error kfe_key_manager_open(kfe_key_manager **out, const kfe_config *config)
{
    const kfe_key_manager_ops *ops = NULL;
    kfe_key_manager *manager = NULL;
    kfe_error err = kfe_class_manager(config, &ops);
    if (err || ops == NULL)
        return err;
    err = kfe_config_check_class(config, KFE_MANAGER_PREFIX,
                                 KFE_HAS(ops, options) ? ops->options : NULL);
    if (!err)
        err = ops->open(&manager, config);
    if (!err && (manager == NULL || manager->ops == NULL))
        err = kfe_fail(KFE_E_CONFIG, "the KeyManager %s opened as nothing", ops->name);
    if (!err)
        *out = manager;
    return err;
}

void kfe_key_manager_close(kfe_key_manager *manager)
{
    if (manager != NULL)
        manager->ops->free(manager);
}
