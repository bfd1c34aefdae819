/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/config.h"

#include <stdlib.h>
#include <string.h>

#include "engine/config_entry.h"
#include "engine/options.h"

kfe_error kfe_config_new(kfe_config **out)
{
    kfe_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a configuration");
    *out = config;
    return KFE_OK;
}

void kfe_config_free(kfe_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->n; i++) {
        free(config->entries[i].name);
        free(config->entries[i].value);
    }
    free(config->entries);
    free(config);
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool kfe_config_owns(const char *name)
{
    return name != NULL && starts_with(name, "encryption.");
}

/* ---- Names -------------------------------------------------------------------------- */

struct spelling {
    const kfe_option *option; /* NULL: one that only the class knows */
    const char *name;         /* the dotted one */
    bool dashed;
};

static struct spelling spell(const char *name)
{
    const kfe_option *option = kfe_option_find(name);
    if (option != NULL)
        return (struct spelling){option, option->name, false};
    option = kfe_option_find_dashed(name);
    if (option != NULL)
        return (struct spelling){option, option->name, true};
    return (struct spelling){NULL, name, false};
}

/* A class may be a library of somebody else's: its names are checked once it is loaded. */
static bool belongs_to_class(const char *name)
{
    return (starts_with(name, KFE_PROVIDER_PREFIX) && name[strlen(KFE_PROVIDER_PREFIX)] != '\0') ||
           (starts_with(name, KFE_MANAGER_PREFIX) && name[strlen(KFE_MANAGER_PREFIX)] != '\0');
}

static struct kfe_entry *find(const kfe_config *config, const char *name)
{
    for (size_t i = 0; i < config->n; i++)
        if (strcmp(config->entries[i].name, name) == 0)
            return &config->entries[i];
    return NULL;
}

/* ---- Setting ------------------------------------------------------------------------ */

static kfe_error check(const struct spelling *spelling, const char *value)
{
    if (spelling->option != NULL)
        return kfe_option_check(spelling->option, value);
    if (belongs_to_class(spelling->name))
        return KFE_OK;
    if (!kfe_config_owns(spelling->name))
        return kfe_fail(KFE_E_CONFIG, "'%s' is not an encryption.* option", spelling->name);
    return kfe_fail(KFE_E_CONFIG, "there is no option '%s': the nearest is %s", spelling->name,
                    kfe_option_nearest(spelling->name));
}

static kfe_error add(kfe_config *config, const struct spelling *spelling, char *name, char *value)
{
    if (config->n == config->cap) {
        size_t cap = config->cap == 0 ? 16 : config->cap * 2;
        struct kfe_entry *more = realloc(config->entries, cap * sizeof(*more));
        if (more == NULL)
            return kfe_fail(KFE_E_MEMORY, "no memory for %s", spelling->name);
        config->entries = more;
        config->cap = cap;
    }
    config->entries[config->n++] = (struct kfe_entry){
        .option = spelling->option, .name = name, .value = value, .dashed = spelling->dashed};
    return KFE_OK;
}

static kfe_error insert(kfe_config *config, const struct spelling *spelling, const char *value)
{
    char *name_copy = strdup(spelling->name), *value_copy = strdup(value);
    kfe_error err;
    if (name_copy != NULL && value_copy != NULL)
        err = add(config, spelling, name_copy, value_copy);
    else
        err = kfe_fail(KFE_E_MEMORY, "no memory for %s", spelling->name);
    if (err) {
        free(name_copy);
        free(value_copy);
    }
    return err;
}

static kfe_error replace(struct kfe_entry *entry, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", entry->name);
    free(entry->value);
    entry->value = copy;
    return KFE_OK;
}

kfe_error kfe_config_set(kfe_config *config, const char *name, const char *value)
{
    if (config == NULL || name == NULL || value == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_config_set: config, name and value must be given");
    struct spelling spelling = spell(name);
    kfe_error err = check(&spelling, value);
    if (err)
        return err;
    struct kfe_entry *entry = find(config, spelling.name);
    if (entry == NULL)
        return insert(config, &spelling, value);
    if (entry->dashed != spelling.dashed)
        return kfe_fail(KFE_E_CONFIG, "%s is set both with dots and with dashes: keep one",
                        spelling.name);
    return replace(entry, value);
}

kfe_error kfe_config_copy(kfe_config **out, const kfe_config *config)
{
    kfe_config *copy = NULL;
    kfe_error err = kfe_config_new(&copy);
    for (size_t i = 0; !err && i < config->n; i++) {
        const struct kfe_entry *e = &config->entries[i];
        err = insert(copy, &(struct spelling){e->option, e->name, e->dashed}, e->value);
    }
    if (err) {
        kfe_config_free(copy);
        return err;
    }
    kfe_config_on_secret(copy, config->ask, config->ask_arg);
    *out = copy;
    return KFE_OK;
}

/* ---- Reading ------------------------------------------------------------------------ */

const char *kfe_config_get(const kfe_config *config, const char *name)
{
    if (config == NULL || name == NULL)
        return NULL;
    struct spelling spelling = spell(name);
    const struct kfe_entry *entry = find(config, spelling.name);
    if (entry != NULL)
        return entry->value;
    return spelling.option != NULL ? spelling.option->initial : NULL;
}

uint64_t kfe_config_number(const kfe_config *config, const char *name)
{
    const char *value = kfe_config_get(config, name);
    uint64_t n;
    return value != NULL && kfe_option_number(value, &n) ? n : 0;
}

bool kfe_config_flag(const kfe_config *config, const char *name)
{
    const char *value = kfe_config_get(config, name);
    return value != NULL && strcmp(value, "true") == 0;
}
