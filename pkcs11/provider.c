/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include <kfe/pkcs11.h>

#include "pkcs11/admin.h"
#include "pkcs11/import.h"
#include "pkcs11/key.h"
#include "pkcs11/module.h"
#include "pkcs11/probe.h"

struct provider {
    kfe_key_provider base;
    kfe_p11_token *token;
    kfe_p11_keys keys;
};

static kfe_p11_token *token_of(kfe_key_provider *self)
{
    return ((struct provider *)self)->token;
}

static kfe_p11_keys *keys_of(kfe_key_provider *self)
{
    return &((struct provider *)self)->keys;
}

static kfe_error check_ref(const kfe_key_ref *ref)
{
    if (ref->version == 0)
        return kfe_fail(KFE_E_ARGUMENT, "a key version is wanted: NAME@VERSION, from 1 up");
    return kfe_key_name_check(ref->name);
}

static kfe_error provider_open(kfe_key_provider **out, const kfe_config *config)
{
    struct provider *provider = calloc(1, sizeof(*provider));
    if (!provider)
        return kfe_fail(KFE_E_MEMORY, "no memory for a KeyProvider");
    provider->base.ops = &kfe_pkcs11;
    kfe_error err = kfe_p11_token_open(&provider->token, config);
    if (!err) {
        err = kfe_p11_keys_init(&provider->keys, provider->token, config);
        if (err)
            kfe_p11_token_close(provider->token);
    }
    if (err) {
        free(provider);
        return err;
    }
    *out = &provider->base;
    return KFE_OK;
}

static void provider_free(kfe_key_provider *self)
{
    kfe_p11_token_close(token_of(self));
    kfe_p11_keys_wipe(keys_of(self));
    free(self);
}

static void stop(kfe_key_provider *self)
{
    kfe_p11_token_stop(token_of(self));
}

static kfe_error get_key(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key **out)
{
    kfe_error err = check_ref(ref);
    return err ? err : kfe_p11_key_new(out, keys_of(self), ref);
}

static kfe_error get_current_key(kfe_key_provider *self, const char *name, kfe_key **out)
{
    const kfe_key_ref ref = {name, 0};
    kfe_error err = kfe_key_name_check(name);
    return err ? err : kfe_p11_key_new(out, keys_of(self), &ref);
}

static kfe_error list(kfe_key_provider *self, kfe_key_each *each, void *arg)
{
    return kfe_p11_admin_list(token_of(self), each, arg);
}

static kfe_error create_kind(kfe_key_provider *self, const char *name, kfe_key_purpose purpose)
{
    kfe_error err = kfe_key_name_check(name);
    return err ? err : kfe_p11_admin_create(token_of(self), name, purpose);
}

/* For what the configuration is going to use it for. */
static kfe_error create(kfe_key_provider *self, const char *name)
{
    const kfe_p11_session_kind kind = kfe_p11_keys_kind(keys_of(self), name);
    return create_kind(self, name,
                       kind == KFE_P11_WRAPPED  ? KFE_FOR_WRAPPED
                       : kind == KFE_P11_DIRECT ? KFE_FOR_DIRECT
                                                : KFE_FOR_DERIVED);
}

static kfe_error rotate(kfe_key_provider *self, const char *name, uint32_t *version)
{
    kfe_error err = kfe_key_name_check(name);
    return err ? err : kfe_p11_admin_rotate(token_of(self), name, version);
}

static kfe_error set_state(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key_state state)
{
    kfe_error err = check_ref(ref);
    return err ? err : kfe_p11_admin_set_state(token_of(self), ref, state);
}

static kfe_error probe(kfe_key_provider *self, kfe_probe_line *line, void *arg)
{
    return kfe_p11_probe(token_of(self), line, arg);
}

static kfe_error import(kfe_key_provider *self, const char *name, const uint8_t key[32],
                        uint32_t *version)
{
    kfe_error err = kfe_key_name_check(name);
    return err ? err : kfe_p11_import(token_of(self), name, key, version);
}

static kfe_error import_wrapped(kfe_key_provider *self, const char *name, const char *kek,
                                kfe_bytes wrapped, uint32_t *version)
{
    kfe_error err = kfe_key_name_check(name);
    if (!err)
        err = kfe_key_name_check(kek);
    return err ? err : kfe_p11_import_wrapped(token_of(self), name, kek, wrapped, version);
}

static kfe_error export_wrapped(kfe_key_provider *self, const kfe_key_ref *ref, const char *kek,
                                uint8_t *out, size_t *len)
{
    kfe_error err = check_ref(ref);
    if (!err)
        err = kfe_key_name_check(kek);
    return err ? err : kfe_p11_export_wrapped(token_of(self), ref, kek, out, len);
}

static void statistics(kfe_key_provider *self, kfe_key_provider_statistics *out)
{
    kfe_p11_token_statistics(token_of(self), out);
}

static const char *const options[] = {"encryption.keyprovider.pkcs11.uri",
                                      "encryption.keyprovider.pkcs11.pin",
                                      "encryption.keyprovider.pkcs11.session",
                                      KFE_P11_INIT_ARGS_OPTION,
                                      KFE_P11_TIMEOUT_OPTION,
                                      KFE_P11_SESSIONS_OPTION,
                                      NULL};

const kfe_key_provider_ops kfe_pkcs11 = {
    .size = sizeof(kfe_key_provider_ops),
    .name = "pkcs11",
    .options = options,
    .open = provider_open,
    .free = provider_free,
    .get_key = get_key,
    .get_current_key = get_current_key,
    .list = list,
    .create = create,
    .rotate = rotate,
    .set_state = set_state,
    .probe = probe,
    .import = import,
    .import_wrapped = import_wrapped,
    .export_wrapped = export_wrapped,
    .create_kind = create_kind,
    .statistics = statistics,
    .stop = stop,
};
