/* SPDX-License-Identifier: Apache-2.0 */
/* A KeyManager in a shared object of its own: the header `use-key` names the record's key,
 * encryption.keymanager.example.key that of a record without it (none when it is not set);
 * headers get the same. A record with the header `fail` is refused. Chosen by
 *
 *     encryption.keymanager.class=<path of the library>:kfe_example_manager
 */
#include <stdlib.h>
#include <string.h>

#include <kfe/keys.h>

#define EXPORT __attribute__((visibility("default")))

static const char key_option[] = "encryption.keymanager.example.key";
static const char *const options[] = {key_option, NULL};

struct manager {
    kfe_key_manager base;
    const char *key; /* of the configuration, which outlives us; "": none */
};

extern const kfe_key_manager_ops kfe_example_manager, kfe_example_silent_manager;

static kfe_error manager_open(kfe_key_manager **out, const kfe_config *config)
{
    struct manager *manager = calloc(1, sizeof(*manager));
    if (manager == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for the manager");
    const char *key = kfe_config_get(config, key_option);
    manager->base.ops = &kfe_example_manager;
    manager->key = key != NULL ? key : "";
    *out = &manager->base;
    return KFE_OK;
}

static void manager_free(kfe_key_manager *self)
{
    free(self);
}

static const kfe_header *find(const kfe_record *record, const char *name)
{
    for (size_t i = 0; i < record->n_headers; i++) {
        kfe_bytes found = record->headers[i].name;
        if (found.len == strlen(name) && memcmp(found.data, name, found.len) == 0)
            return &record->headers[i];
    }
    return NULL;
}

static kfe_error manager_choose(kfe_key_manager *self, const kfe_record *record,
                                kfe_key_choice *out)
{
    const struct manager *manager = (const struct manager *)self;
    kfe_bytes key = {(const uint8_t *)manager->key, strlen(manager->key)};
    const kfe_header *header = find(record, "use-key");
    if (header != NULL)
        key = header->value;
    if (find(record, "fail") != NULL || key.len > KFE_NAME_MAX)
        return kfe_fail(KFE_E_NO_KEY, "the example manager refuses this record");
    if (key.len > 0)
        memcpy(out->record, key.data, key.len);
    memcpy(out->headers, out->record, sizeof(out->headers));
    return KFE_OK;
}

EXPORT const kfe_key_manager_ops kfe_example_manager = {
    .size = sizeof(kfe_key_manager_ops),
    .name = "example",
    .options = options,
    .open = manager_open,
    .free = manager_free,
    .choose = manager_choose,
};

/* For tests of loading: a table without `choose`. */
EXPORT const kfe_key_manager_ops kfe_example_silent_manager = {
    .size = sizeof(kfe_key_manager_ops),
    .name = "silent",
    .options = options,
    .open = manager_open,
    .free = manager_free,
};

/* Opens as something that has no table, and says that it is fine. */
static kfe_error open_hollow(kfe_key_manager **out, const kfe_config *config)
{
    static kfe_key_manager hollow;
    (void)config;
    *out = &hollow;
    return KFE_OK;
}

static void free_hollow(kfe_key_manager *self)
{
    (void)self;
}

static kfe_error choose_nothing(kfe_key_manager *self, const kfe_record *record,
                                kfe_key_choice *out)
{
    (void)self;
    (void)record;
    (void)out;
    return KFE_OK;
}

EXPORT const kfe_key_manager_ops kfe_example_hollow_manager = {
    .size = sizeof(kfe_key_manager_ops),
    .name = "hollow",
    .open = open_hollow,
    .free = free_hollow,
    .choose = choose_nothing,
};
