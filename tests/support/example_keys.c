/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/example_keys.h"

#include <string.h>

pthread_mutex_t example_lock = PTHREAD_MUTEX_INITIALIZER;
example_entry example_entries[EXAMPLE_KEYS_MAX];
size_t example_n;

example_entry *example_find(const char *name, uint32_t version)
{
    example_entry *found = NULL;
    for (size_t i = 0; i < example_n; i++) {
        example_entry *entry = &example_entries[i];
        if (strcmp(entry->name, name) != 0)
            continue;
        if (version == 0 ? entry->state == KFE_KEY_ACTIVE : entry->version == version)
            found = entry;
    }
    return found;
}

uint32_t example_newest(const char *name)
{
    uint32_t version = 0;
    for (size_t i = 0; i < example_n; i++)
        if (strcmp(example_entries[i].name, name) == 0)
            version = example_entries[i].version;
    return version;
}

kfe_error example_append(const char *name, uint32_t version)
{
    kfe_error err = kfe_key_name_check(name);
    if (err)
        return err;
    if (example_n == EXAMPLE_KEYS_MAX)
        return kfe_fail(KFE_E_MEMORY, "the example provider holds %d keys at most",
                        EXAMPLE_KEYS_MAX);
    example_entry *entry = &example_entries[example_n++];
    memcpy(entry->name, name, strlen(name) + 1);
    entry->version = version;
    entry->state = KFE_KEY_ACTIVE;
    return KFE_OK;
}

EXPORT kfe_error kfe_example_add(const char *name, uint32_t *version)
{
    pthread_mutex_lock(&example_lock);
    uint32_t next = example_newest(name) + 1;
    kfe_error err = example_append(name, next);
    pthread_mutex_unlock(&example_lock);
    if (!err && version != NULL)
        *version = next;
    return err;
}

EXPORT kfe_error kfe_example_put(const char *name, uint32_t version, const uint8_t *key,
                                 unsigned len)
{
    pthread_mutex_lock(&example_lock);
    kfe_error err = example_append(name, version);
    if (!err) {
        example_entry *entry = &example_entries[example_n - 1];
        memcpy(entry->bytes, key, len);
        entry->len = len;
    }
    pthread_mutex_unlock(&example_lock);
    return err;
}

EXPORT kfe_error kfe_example_set_state(const char *name, uint32_t version, kfe_key_state state)
{
    pthread_mutex_lock(&example_lock);
    example_entry *entry = example_find(name, version);
    if (entry != NULL)
        entry->state = state;
    pthread_mutex_unlock(&example_lock);
    if (entry == NULL)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "no key %s version %u", name, version);
    return KFE_OK;
}
