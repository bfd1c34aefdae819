/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/record_rig.h"

#include <string.h>

static const char *keystore;

static const kit_key keys[] = {{"orders.k", 1, {1}, NULL},
                               {"orders.k", 2, {2}, NULL},
                               {"tags", 1, {3}, NULL},
                               {"pin", 1, {4}, NULL},
                               {"old", 1, {5}, "decrypt-only"}};

rig rig_new(const char *name, ...)
{
    rig r = {kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                        keystore, NULL),
             NULL};
    bool manager = true;
    va_list args;
    va_start(args, name);
    for (; name != NULL; name = va_arg(args, const char *)) {
        const char *value = va_arg(args, const char *);
        if (strcmp(name, "no manager") == 0)
            manager = false;
        else
            kit_set(r.config, name, value);
    }
    va_end(args);
    if (manager) {
        kit_set(r.config, "encryption.keymanager.class", "topic");
        if (kfe_config_get(r.config, "encryption.keymanager.topics") == NULL)
            kit_set(r.config, "encryption.keymanager.default.key", "orders.k");
    }
    r.engine = kit_engine(r.config);
    return r;
}

void rig_free(rig *r)
{
    kfe_engine_free(r->engine);
    kfe_config_free(r->config);
}

kfe_record record_of(const char *key, const char *value, const kfe_header *headers, size_t n)
{
    return (kfe_record){.topic = kit_text("orders"),
                        .key = kit_text(key),
                        .value = kit_text(value),
                        .headers = headers,
                        .n_headers = n,
                        .partition = -1};
}

kfe_header header_of(const char *name, const char *value)
{
    return (kfe_header){.name = kit_text(name), .value = kit_text(value)};
}

kfe_error pass(rig *from, rig *to, const kfe_record *plain, kit_record *sealed, kit_record *opened)
{
    memset(opened, 0, sizeof(*opened));
    kfe_error err = kit_seal(from->engine, plain, sealed);
    return err ? err : kit_open(to->engine, &sealed->r, opened);
}

int rig_set_up(void **unused)
{
    (void)unused;
    keystore = kit_keystore("keys.json", keys, sizeof(keys) / sizeof(*keys));
    return 0;
}
