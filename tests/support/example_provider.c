/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/example_keys.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/hmac.h>
#include <openssl/sha.h>

static const char keys_option[] = "encryption.keyprovider.example.keys";
static const char *const options[] = {keys_option, NULL};

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* ---- Controls ----------------------------------------------------------------------- */

static struct {
    kfe_example_counts counts;
    kfe_error error, derive_error;
    unsigned failures, derive_failures;
    kfe_key_state told_state;
    uint32_t told_version;
    unsigned delay_ms, waiting;
    kfe_key_provider_statistics told;
    bool closed;
    example_ability can;
} control = {.can = {.kinds = 1u << KFE_DERIVED}};

EXPORT void kfe_example_reset(void)
{
    pthread_mutex_lock(&example_lock);
    memset(&control, 0, sizeof(control));
    control.can.kinds = 1u << KFE_DERIVED;
    memset(example_entries, 0, sizeof(example_entries));
    example_n = 0;
    pthread_mutex_unlock(&example_lock);
}

EXPORT kfe_example_counts kfe_example_counted(void)
{
    pthread_mutex_lock(&example_lock);
    kfe_example_counts counts = control.counts;
    pthread_mutex_unlock(&example_lock);
    return counts;
}

EXPORT void kfe_example_fail(kfe_error error, unsigned calls)
{
    pthread_mutex_lock(&example_lock);
    control.error = error;
    control.failures = calls;
    pthread_mutex_unlock(&example_lock);
}

EXPORT void kfe_example_fail_derive(kfe_error error, unsigned calls)
{
    pthread_mutex_lock(&example_lock);
    control.derive_error = error;
    control.derive_failures = calls;
    pthread_mutex_unlock(&example_lock);
}

EXPORT void kfe_example_kinds(unsigned kinds, kfe_session_kind sealing, unsigned form,
                              unsigned iv_len)
{
    pthread_mutex_lock(&example_lock);
    control.can = (example_ability){kinds, sealing, form, iv_len};
    pthread_mutex_unlock(&example_lock);
}

EXPORT void kfe_example_lie(kfe_key_state state, uint32_t version)
{
    pthread_mutex_lock(&example_lock);
    control.told_state = state;
    control.told_version = version;
    pthread_mutex_unlock(&example_lock);
}

EXPORT void kfe_example_tell(const kfe_key_provider_statistics *statistics)
{
    pthread_mutex_lock(&example_lock);
    control.told = *statistics;
    pthread_mutex_unlock(&example_lock);
}

EXPORT void kfe_example_delay(unsigned ms)
{
    pthread_mutex_lock(&example_lock);
    control.delay_ms = ms;
    pthread_mutex_unlock(&example_lock);
}

static void set_gate(bool closed)
{
    pthread_mutex_lock(&example_lock);
    control.closed = closed;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&example_lock);
}

EXPORT void kfe_example_gate_close(void)
{
    set_gate(true);
}

EXPORT void kfe_example_gate_open(void)
{
    set_gate(false);
}

EXPORT void kfe_example_await(unsigned callers)
{
    pthread_mutex_lock(&example_lock);
    while (control.waiting < callers)
        pthread_cond_wait(&changed, &example_lock);
    pthread_mutex_unlock(&example_lock);
}

static void count(unsigned *counter)
{
    pthread_mutex_lock(&example_lock);
    ++*counter;
    pthread_mutex_unlock(&example_lock);
}

static void wait_for(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

/* What happens to every look-up before it is answered; leaves with the lock held. */
static kfe_error enter(unsigned *counter)
{
    pthread_mutex_lock(&example_lock);
    ++*counter;
    unsigned ms = control.delay_ms;
    if (ms > 0) {
        pthread_mutex_unlock(&example_lock);
        wait_for(ms);
        pthread_mutex_lock(&example_lock);
    }
    control.waiting++;
    pthread_cond_broadcast(&changed);
    while (control.closed)
        pthread_cond_wait(&changed, &example_lock);
    control.waiting--;
    if (control.failures == 0)
        return KFE_OK;
    control.failures--;
    return kfe_fail(control.error, "the example provider was told to fail");
}

/* ---- A key -------------------------------------------------------------------------- */

static void derive_master(example_key *key)
{
    static const char domain[] = "kfe example key";
    uint8_t text[sizeof(domain) + sizeof(key->name) + 4];
    size_t len = strlen(key->name) + 1;
    memcpy(text, domain, sizeof(domain));
    memcpy(text + sizeof(domain), key->name, len);
    len += sizeof(domain);
    for (int shift = 24; shift >= 0; shift -= 8)
        text[len++] = (uint8_t)(key->base.version >> shift);
    SHA256(text, len, key->bytes);
    key->len = sizeof(key->bytes);
}

/* Counts a call; the error that it was told to fail with. */
kfe_error example_called(unsigned *counter, size_t n)
{
    pthread_mutex_lock(&example_lock);
    *counter += (unsigned)n;
    bool fail = control.derive_failures > 0;
    control.derive_failures -= fail;
    kfe_error error = control.derive_error;
    pthread_mutex_unlock(&example_lock);
    return fail ? kfe_fail(error, "the example provider was told to fail") : KFE_OK;
}

static kfe_error key_derive(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32])
{
    const example_key *key = (const example_key *)self;
    kfe_error err = example_called(&control.counts.derive, 1);
    if (!err)
        HMAC(EVP_sha256(), key->bytes, (int)key->len, context, len, out, NULL);
    return err;
}

static void key_release(kfe_key *self)
{
    count(&control.counts.release);
    kfe_wipe(self, sizeof(example_key));
    free(self);
}

static const kfe_key_ops key_ops = {
    .size = sizeof(key_ops),
    .derive = key_derive,
    .release = key_release,
    .ability = example_key_ability,
    .wrap = example_key_wrap,
    .unwrap = example_key_unwrap,
    .iv_size = example_key_iv_size,
    .seal = example_key_seal,
    .open = example_key_open,
};

static kfe_error hand_out(const example_entry *entry, kfe_key **out)
{
    example_key *key = calloc(1, sizeof(*key));
    if (key == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a key");
    key->base = (kfe_key){&key_ops, entry->version, entry->state};
    if (control.told_state != 0)
        key->base.state = control.told_state;
    if (control.told_version != 0)
        key->base.version = control.told_version;
    memcpy(key->name, entry->name, sizeof(key->name));
    memcpy(key->bytes, entry->bytes, sizeof(key->bytes));
    key->len = entry->len;
    if (key->len == 0)
        derive_master(key);
    key->can = control.can;
    key->counts = &control.counts;
    control.counts.handed_out++;
    *out = &key->base;
    return KFE_OK;
}

/* ---- The provider ------------------------------------------------------------------- */

static kfe_error add_listed(const char *list)
{
    char name[KFE_NAME_MAX + 1];
    for (const char *item = list;; item++) {
        size_t len = strcspn(item, ",");
        if (len >= sizeof(name))
            return kfe_fail(KFE_E_CONFIG, "%s: a name is too long", keys_option);
        memcpy(name, item, len);
        name[len] = '\0';
        kfe_error err = example_newest(name) == 0 ? example_append(name, 1) : KFE_OK;
        if (err)
            return err;
        item += len;
        if (*item == '\0')
            return KFE_OK;
    }
}

static kfe_error provider_open(kfe_key_provider **out, const kfe_config *config)
{
    const char *list = kfe_config_get(config, keys_option);
    kfe_key_provider *provider = calloc(1, sizeof(*provider));
    if (provider == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for the provider");
    provider->ops = &kfe_example_provider;
    pthread_mutex_lock(&example_lock);
    control.counts.open++;
    kfe_error err = list != NULL ? add_listed(list) : KFE_OK;
    pthread_mutex_unlock(&example_lock);
    if (err) {
        free(provider);
        return err;
    }
    *out = provider;
    return KFE_OK;
}

static void provider_free(kfe_key_provider *self)
{
    count(&control.counts.free);
    free(self);
}

static kfe_error look_up(const char *name, uint32_t version, kfe_key **out)
{
    const example_entry *entry = example_find(name, version);
    if (entry == NULL)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "no key %s version %u", name, version);
    if (entry->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %s version %u is destroyed", name, version);
    return hand_out(entry, out);
}

static kfe_error provider_get_key(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key **out)
{
    (void)self;
    kfe_error err = enter(&control.counts.get_key);
    if (!err)
        err = look_up(ref->name, ref->version, out);
    pthread_mutex_unlock(&example_lock);
    return err;
}

static kfe_error provider_get_current_key(kfe_key_provider *self, const char *name, kfe_key **out)
{
    (void)self;
    kfe_error err = enter(&control.counts.get_current_key);
    if (!err)
        err = look_up(name, 0, out);
    pthread_mutex_unlock(&example_lock);
    return err;
}

static kfe_error provider_list(kfe_key_provider *self, kfe_key_each *each, void *arg)
{
    (void)self;
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&example_lock);
        bool more = i < example_n;
        example_entry entry = more ? example_entries[i] : example_entries[0];
        pthread_mutex_unlock(&example_lock);
        if (!more)
            return KFE_OK;
        kfe_key_info info = {.size = sizeof(info),
                             .name = entry.name,
                             .version = entry.version,
                             .state = entry.state};
        kfe_error err = each(arg, &info);
        if (err)
            return err;
    }
}

static kfe_error provider_create(kfe_key_provider *self, const char *name)
{
    (void)self;
    pthread_mutex_lock(&example_lock);
    kfe_error err = example_newest(name) == 0
                        ? example_append(name, 1)
                        : kfe_fail(KFE_E_ARGUMENT, "there is a key %s already", name);
    pthread_mutex_unlock(&example_lock);
    return err;
}

static kfe_error provider_rotate(kfe_key_provider *self, const char *name, uint32_t *version)
{
    (void)self;
    pthread_mutex_lock(&example_lock);
    uint32_t next = example_newest(name) + 1;
    kfe_error err =
        next == 1 ? kfe_fail(KFE_E_KEY_UNKNOWN, "no key %s", name) : example_append(name, next);
    pthread_mutex_unlock(&example_lock);
    if (!err)
        *version = next;
    return err;
}

static kfe_error provider_set_state(kfe_key_provider *self, const kfe_key_ref *ref,
                                    kfe_key_state state)
{
    (void)self;
    return kfe_example_set_state(ref->name, ref->version, state);
}

static void provider_statistics(kfe_key_provider *self, kfe_key_provider_statistics *out)
{
    (void)self;
    pthread_mutex_lock(&example_lock);
    const size_t size = out->size;
    *out = control.told;
    out->size = size;
    out->calls[KFE_CALL_FIND] += control.counts.get_key + control.counts.get_current_key;
    out->calls[KFE_CALL_MAC] += control.counts.derive;
    pthread_mutex_unlock(&example_lock);
}

#define MANDATORY                                                                                  \
    .name = "example", .options = options, .open = provider_open, .free = provider_free

EXPORT const kfe_key_provider_ops kfe_example_provider = {
    MANDATORY,
    .size = sizeof(kfe_key_provider_ops),
    .get_key = provider_get_key,
    .get_current_key = provider_get_current_key,
    .list = provider_list,
    .create = provider_create,
    .rotate = provider_rotate,
    .set_state = provider_set_state,
    .statistics = provider_statistics,
};

EXPORT const kfe_key_provider_ops kfe_example_older = {
    MANDATORY,
    .size = offsetof(kfe_key_provider_ops, list),
    .get_key = provider_get_key,
    .get_current_key = provider_get_current_key,
};

EXPORT const kfe_key_provider_ops kfe_example_short = {
    MANDATORY,
    .size = offsetof(kfe_key_provider_ops, get_current_key),
    .get_key = provider_get_key,
    .get_current_key = provider_get_current_key,
};

EXPORT const kfe_key_provider_ops kfe_example_bare = {
    MANDATORY,
    .size = sizeof(kfe_key_provider_ops),
    .get_current_key = provider_get_current_key,
};

static kfe_error open_nothing(kfe_key_provider **out, const kfe_config *config)
{
    (void)config;
    *out = NULL;
    return KFE_OK;
}

EXPORT const kfe_key_provider_ops kfe_example_hollow = {
    .name = "hollow",
    .options = options,
    .open = open_nothing,
    .free = provider_free,
    .size = sizeof(kfe_key_provider_ops),
    .get_key = provider_get_key,
    .get_current_key = provider_get_current_key,
};

EXPORT const char kfe_example_text[] = "no table of functions at all";
