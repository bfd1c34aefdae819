/* SPDX-License-Identifier: Apache-2.0 */

/* The KeyProvider over a key file (docs/keys.md).
 *
 * Everything that changes stands in one block of secret memory, its lock included. A forked child
 * finds that block zeroed, which reads as "unlocked, nothing loaded, no passphrase", and starts
 * afresh. What the parent had loaded is left alone there: another thread of the parent may have
 * been half way through it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/config.h"
#include "engine/keystore.h"
#include "engine/lock.h"
#include "engine/secret.h"

#define PATH_OPTION "encryption.keyprovider.file.path"

enum { LOCK_WAIT_MS = 30000 };

typedef struct {
    kfe_lock lock;
    kfe_keystore *store; /* NULL: nothing loaded */
    kfe_keyfile_id id;   /* what it was loaded from */
    /* The file that the passphrase did not open: not tried again until the file changes. */
    kfe_keyfile_id refused;
    kfe_keyseal seal;
} changing;

typedef struct {
    kfe_key_provider base;
    kfe_crypto *crypto;
    char *path;
    changing *now;
    kfe_keystore_place place;
} provider;

typedef struct {
    kfe_key base;
    const kfe_crypto *crypto; /* the provider's: it outlives its keys */
    kfe_master *master;
} file_key;

static provider *provider_of(kfe_key_provider *self)
{
    return (provider *)self;
}

/* ---- Keys --------------------------------------------------------------------------------- */

static kfe_error key_derive(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32])
{
    const file_key *key = (const file_key *)self;
    kfe_error err = kfe_hmac_sha256(key->crypto, key->master->key, context, len, out);
    /* Looked at last: a fork in between would have made this a key of zeros. */
    if (err == KFE_OK && kfe_master_alive(key->master))
        return KFE_OK;
    kfe_wipe(out, 32);
    return err ? err
               : kfe_fail(KFE_E_PROVIDER, "this key was fetched before a fork: fetch it again");
}

static void key_release(kfe_key *self)
{
    file_key *key = (file_key *)self;
    kfe_master_free(key->master);
    free(key);
}

static const kfe_key_ops key_ops = {
    .size = sizeof(key_ops), .derive = key_derive, .release = key_release};

static kfe_error hand_out(const provider *p, const kfe_keystore_key *from, kfe_key **out)
{
    file_key *key = calloc(1, sizeof(*key));
    if (key == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a key");
    key->base = (kfe_key){&key_ops, from->version, from->state};
    key->crypto = p->crypto;
    key->master = kfe_master_copy(from->master);
    if (key->master == NULL) {
        free(key);
        return KFE_E_MEMORY; /* the detail tells already */
    }
    *out = &key->base;
    return KFE_OK;
}

/* ---- Loading ------------------------------------------------------------------------------- */

static void forget(provider *p)
{
    kfe_keystore_free(p->now->store);
    p->now->store = NULL;
}

static kfe_error load(provider *p, const kfe_keyfile_id *seen, kfe_keystore **out,
                      kfe_keyfile_id *id)
{
    if (p->now->refused.exists && kfe_keyfile_same(seen, &p->now->refused))
        return kfe_fail(KFE_E_CREDENTIALS,
                        "the passphrase did not open the key file, and is not "
                        "tried again until the file changes (%s)",
                        p->path);
    kfe_error err = kfe_keystore_load(&p->place, out, id);
    p->now->refused = err == KFE_E_CREDENTIALS ? *seen : (kfe_keyfile_id){0};
    return err;
}

/* What it takes to answer now: the store of the file as it is at this moment. An old store does
 * not outlive its file: a key that was destroyed must not go on working. */
static kfe_error refresh(provider *p)
{
    changing *now = p->now;
    kfe_keyfile_id seen;
    kfe_error err = kfe_keyfile_identify(p->path, &seen);
    if (err == KFE_OK && now->store != NULL && kfe_keyfile_same(&seen, &now->id))
        return KFE_OK;
    forget(p);
    if (err == KFE_OK && !seen.exists)
        return kfe_fail(KFE_E_PROVIDER,
                        "there is no key file: `kfe keys create NAME` makes one (%s)", p->path);
    if (err == KFE_OK)
        err = load(p, &seen, &now->store, &now->id);
    /* For whoever asks for a key, a file that cannot be read may be readable in a moment. */
    return err == KFE_E_IO ? kfe_fail(KFE_E_PROVIDER, "%s", kfe_error_detail()) : err;
}

static kfe_error unknown(const char *name)
{
    return kfe_fail(KFE_E_KEY_UNKNOWN, "the key file has no key %s: `kfe keys create` makes it",
                    name);
}

static kfe_error pick_exact(const provider *p, const kfe_key_ref *ref, kfe_key **out)
{
    const kfe_keystore_key *key = kfe_keystore_find(p->now->store, ref->name, ref->version);
    if (key == NULL)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "the key file has no key %s version %u", ref->name,
                        ref->version);
    if (key->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %s version %u was destroyed", ref->name,
                        ref->version);
    return hand_out(p, key, out);
}

static kfe_error pick_current(const provider *p, const char *name, kfe_key **out)
{
    const kfe_keystore *store = p->now->store;
    const kfe_keystore_key *key = kfe_keystore_current(store, name);
    if (key != NULL)
        return hand_out(p, key, out);
    key = kfe_keystore_newest(store, name);
    if (key == NULL)
        return unknown(name);
    if (key->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED,
                        "key %s has no active version, the newest was "
                        "destroyed: `kfe keys rotate` makes the next",
                        name);
    return kfe_fail(KFE_E_KEY_DENIED,
                    "key %s has no active version: `kfe keys rotate` makes the next", name);
}

static kfe_error get_current_key(kfe_key_provider *self, const char *name, kfe_key **out)
{
    provider *p = provider_of(self);
    kfe_lock_take(&p->now->lock);
    kfe_error err = refresh(p);
    if (err == KFE_OK)
        err = pick_current(p, name, out);
    kfe_lock_drop(&p->now->lock);
    return err;
}

static kfe_error get_key(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key **out)
{
    if (ref->version == 0)
        return get_current_key(self, ref->name, out);
    provider *p = provider_of(self);
    kfe_lock_take(&p->now->lock);
    kfe_error err = refresh(p);
    if (err == KFE_OK)
        err = pick_exact(p, ref, out);
    kfe_lock_drop(&p->now->lock);
    return err;
}

/* ---- For the operator ------------------------------------------------------------------------ */

static kfe_error list(kfe_key_provider *self, kfe_key_each *each, void *arg)
{
    provider *p = provider_of(self);
    kfe_keystore *store = NULL;
    kfe_lock_take(&p->now->lock);
    kfe_error err = refresh(p);
    if (err == KFE_OK) {
        store = p->now->store;
        kfe_keystore_hold(store);
    }
    kfe_lock_drop(&p->now->lock);
    /* Without the lock: `each` may call us. */
    for (size_t i = 0; err == KFE_OK && i < store->n; i++) {
        const kfe_keystore_key *key = &store->keys[i];
        const kfe_key_info info = {sizeof(info), key->name, key->version,
                                   key->state,   p->path,   NULL};
        err = each(arg, &info);
    }
    kfe_keystore_free(store);
    return err;
}

typedef struct change change;
struct change {
    kfe_error (*apply)(kfe_keystore *store, change *self);
    const char *name;
    uint32_t version;     /* rotate, import: written */
    const uint8_t *bytes; /* import: the key */
    kfe_key_state state;
    bool creates; /* makes a missing file */
    bool nothing; /* written: it is so already */
};

/* A store of our own, to be changed: the file as it is, or an empty one. */
static kfe_error load_to_change(provider *p, bool creates, kfe_keystore **out)
{
    kfe_keyfile_id seen, id;
    kfe_error err = kfe_keyfile_identify(p->path, &seen);
    if (err)
        return err;
    if (seen.exists)
        return load(p, &seen, out, &id);
    if (!creates)
        return kfe_fail(KFE_E_IO, "there is no key file: `kfe keys create NAME` makes one (%s)",
                        p->path);
    err = kfe_keystore_new(out);
    if (err == KFE_OK)
        (*out)->sealed = kfe_keyseal_wanted(p->place.config);
    return err;
}

/* Reads, changes and writes the file under its lock, so that nothing another process wrote in
 * between is lost. The store in memory is dropped: the next look reads what was written. */
static kfe_error make_change(provider *p, change *what)
{
    kfe_keystore *store = NULL;
    int lock = -1;
    kfe_error err = kfe_keyfile_lock(p->path, LOCK_WAIT_MS, &lock);
    if (err)
        return err;
    kfe_lock_take(&p->now->lock);
    err = load_to_change(p, what->creates, &store);
    if (err == KFE_OK)
        err = what->apply(store, what);
    if (err == KFE_OK && !what->nothing)
        err = kfe_keystore_save(&p->place, store);
    kfe_keystore_free(store);
    forget(p);
    kfe_lock_drop(&p->now->lock);
    kfe_keyfile_unlock(lock);
    return err;
}

static kfe_error apply_create(kfe_keystore *store, change *self)
{
    if (kfe_keystore_newest(store, self->name) != NULL)
        return kfe_fail(KFE_E_ARGUMENT,
                        "key %s is there already: `kfe keys rotate` makes its next "
                        "version",
                        self->name);
    return kfe_keystore_add(store, self->name, 1, NULL);
}

static kfe_error apply_rotate(kfe_keystore *store, change *self)
{
    const kfe_keystore_key *newest = kfe_keystore_newest(store, self->name);
    if (newest == NULL && self->bytes == NULL)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "the key file has no key %s: `kfe keys create` makes it",
                        self->name);
    if (newest != NULL && newest->version == UINT32_MAX)
        return kfe_fail(KFE_E_KEY_DENIED, "key %s has used up all versions", self->name);
    self->version = newest == NULL ? 1 : newest->version + 1;
    return kfe_keystore_add(store, self->name, self->version, self->bytes);
}

static kfe_error apply_state(kfe_keystore *store, change *self)
{
    kfe_keystore_key *key = kfe_keystore_find(store, self->name, self->version);
    if (key == NULL)
        return kfe_fail(KFE_E_KEY_UNKNOWN, "the key file has no key %s version %u", self->name,
                        self->version);
    if (key->state == KFE_KEY_DESTROYED && self->state != KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %s version %u was destroyed", self->name,
                        self->version);
    if (self->state < key->state)
        return kfe_fail(KFE_E_KEY_DENIED, "key %s version %u is decrypt-only, which is not undone",
                        self->name, self->version);
    self->nothing = self->state == key->state;
    key->state = self->state;
    if (key->state == KFE_KEY_DESTROYED) {
        kfe_master_free(key->master);
        key->master = NULL;
    }
    return KFE_OK;
}

static kfe_error create(kfe_key_provider *self, const char *name)
{
    kfe_error err = kfe_key_name_check(name);
    if (err)
        return err;
    change what = {.apply = apply_create, .name = name, .creates = true};
    return make_change(provider_of(self), &what);
}

static kfe_error rotate(kfe_key_provider *self, const char *name, uint32_t *version)
{
    change what = {.apply = apply_rotate, .name = name};
    kfe_error err = make_change(provider_of(self), &what);
    if (err == KFE_OK && version != NULL)
        *version = what.version;
    return err;
}

static kfe_error import(kfe_key_provider *self, const char *name, const uint8_t key[32],
                        uint32_t *version)
{
    change what = {.apply = apply_rotate, .name = name, .bytes = key, .creates = true};
    kfe_error err = kfe_key_name_check(name);
    if (err == KFE_OK)
        err = make_change(provider_of(self), &what);
    if (err == KFE_OK)
        *version = what.version;
    return err;
}

static kfe_error set_state(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key_state state)
{
    if (ref->version == 0)
        return kfe_fail(KFE_E_ARGUMENT, "a state is set for one version: NAME@VERSION");
    if (state < KFE_KEY_ACTIVE || state > KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_ARGUMENT, "%d is no state of a key", (int)state);
    change what = {
        .apply = apply_state, .name = ref->name, .version = ref->version, .state = state};
    return make_change(provider_of(self), &what);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void close_provider(kfe_key_provider *self)
{
    provider *p = provider_of(self);
    if (p->now != NULL)
        forget(p);
    kfe_secret_free(p->now);
    kfe_crypto_free(p->crypto);
    free(p->path);
    free(p);
}

/* A process that changes its folder later must still find its keys. */
static kfe_error absolute(const char *path, char **out)
{
    bool relative = path[0] != '/';
    char *folder = relative ? getcwd(NULL, 0) : NULL;
    if (relative && folder == NULL)
        return kfe_fail(KFE_E_IO, "the current folder cannot be told: %s", strerror(errno));
    size_t size = (relative ? strlen(folder) : 0) + strlen(path) + 2;
    *out = malloc(size);
    if (*out != NULL)
        (void)snprintf(*out, size, "%s%s%s", relative ? folder : "", relative ? "/" : "", path);
    free(folder);
    return *out != NULL ? KFE_OK : kfe_fail(KFE_E_MEMORY, "no memory for a path");
}

static kfe_error set_up(provider *p, const kfe_config *config)
{
    const char *path = kfe_config_get(config, PATH_OPTION);
    if (path == NULL || path[0] == '\0')
        return kfe_fail(KFE_E_CONFIG, "the KeyProvider `file` needs " PATH_OPTION);
    kfe_error err = absolute(path, &p->path);
    if (err)
        return err;
    err = kfe_crypto_new(&p->crypto, kfe_config_get(config, "encryption.openssl.propquery"));
    if (err)
        return err;
    p->now = kfe_secret_alloc(sizeof(*p->now));
    if (p->now == NULL)
        return KFE_E_MEMORY; /* the detail tells already */
    p->place = (kfe_keystore_place){p->path, config, p->crypto, &p->now->seal};
    /* A file that is there must be good; one that is missing may yet be created. */
    kfe_keyfile_id seen;
    err = kfe_keyfile_identify(p->path, &seen);
    return err || !seen.exists ? err : refresh(p);
}

static kfe_error open_provider(kfe_key_provider **out, const kfe_config *config)
{
    provider *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a KeyProvider");
    p->base.ops = &kfe_file_provider;
    kfe_error err = set_up(p, config);
    if (err)
        close_provider(&p->base);
    else
        *out = &p->base;
    return err;
}

static const char *const options[] = {PATH_OPTION, "encryption.keyprovider.file.passphrase", NULL};

const kfe_key_provider_ops kfe_file_provider = {
    .size = sizeof(kfe_file_provider),
    .name = "file",
    .options = options,
    .open = open_provider,
    .free = close_provider,
    .get_key = get_key,
    .get_current_key = get_current_key,
    .list = list,
    .create = create,
    .rotate = rotate,
    .set_state = set_state,
    .import = import,
};
