/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/secret.h>

#include "pkcs11/ckr.h"
#include "pkcs11/direct.h"
#include "pkcs11/key.h"
#include "pkcs11/lookup.h"
#include "pkcs11/secretkey.h"
#include "pkcs11/wrapping.h"

struct key {
    kfe_key base;
    kfe_p11_keys *keys;
    kfe_p11_object *object;
    kfe_p11_use use;
};

static const struct key *key_of(const kfe_key *self)
{
    return (const struct key *)self;
}

/* ---- Derived ------------------------------------------------------------------------------ */

enum { MAC_LEN = 32 };

struct mac {
    kfe_p11_object *object; /* owned, as what follows */
    uint8_t *in;
    size_t len;
    uint8_t *out; /* 32 bytes of memory for secrets */
};

static kfe_error mac_work(kfe_p11_session *session, void *arg)
{
    struct mac *job = arg;
    CK_OBJECT_HANDLE handle;
    kfe_error err = kfe_p11_object_handle(job->object, session, &handle);
    if (!err)
        err = kfe_p11_secretkey_mac(session, handle, job->in, job->len, job->out);
    return kfe_p11_object_end(job->object, session, err);
}

static void mac_drop(void *arg)
{
    struct mac *job = arg;
    free(job->in);
    kfe_secret_free(job->out);
    kfe_p11_object_put(job->object);
}

static const kfe_p11_task mac_task = {mac_work, sizeof(struct mac), mac_drop, KFE_P11_MAC};

static kfe_error derive(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32])
{
    const struct key *key = key_of(self);
    if (key->use.type != CKK_GENERIC_SECRET)
        return kfe_fail(KFE_E_KEY_DENIED, "key %.80s@%lu is an %s key: it does not derive",
                        key->object->name, (unsigned long)self->version,
                        key->use.type == CKK_RSA ? "RSA" : "AES");
    struct mac job = {.in = malloc(len + 1), .len = len, .out = kfe_secret_alloc(MAC_LEN)};
    kfe_error err = job.in ? KFE_OK : kfe_fail(KFE_E_MEMORY, "no memory for a derivation");
    if (!err && !job.out)
        err = KFE_E_MEMORY; /* the detail tells already */
    if (!err && len > 0)
        memcpy(job.in, context, len);
    job.object = kfe_p11_object_ref(key->object);
    if (!err)
        err = kfe_p11_token_read(key->keys->token, &mac_task, &job);
    memset(out, 0, MAC_LEN);
    if (!err)
        kfe_secret_copy(out, job.out, MAC_LEN);
    mac_drop(&job);
    return err;
}

/* ---- Wrapped ------------------------------------------------------------------------------ */

static kfe_error wrap(kfe_key *self, kfe_bytes aad, const uint8_t secret[32],
                      uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len)
{
    const struct key *key = key_of(self);
    kfe_p11_wrapped wrapped = {.len = 0};
    kfe_error err = kfe_p11_wrap(key->keys->token, key->object, &key->use, aad, secret, &wrapped);
    memcpy(out, wrapped.bytes, sizeof(wrapped.bytes));
    *len = wrapped.len;
    return err;
}

static kfe_error unwrap(kfe_key *self, kfe_bytes aad, kfe_bytes wrapped, uint8_t secret[32])
{
    const struct key *key = key_of(self);
    return kfe_p11_unwrap(key->keys->token, key->object, &key->use, aad, wrapped, secret);
}

/* ---- Direct ------------------------------------------------------------------------------- */

static kfe_error iv_size_of(kfe_key *self, unsigned *len)
{
    const struct key *key = key_of(self);
    return kfe_p11_direct_iv_size(key->keys->token, key->object, key->use.decrypt, len);
}

static kfe_error seal(kfe_key *self, kfe_key_field *fields, size_t n)
{
    const struct key *key = key_of(self);
    return kfe_p11_direct_seal(key->keys->token, key->object, fields, n);
}

static kfe_error open(kfe_key *self, kfe_key_field *fields, size_t n)
{
    const struct key *key = key_of(self);
    return kfe_p11_direct_open(key->keys->token, key->object, fields, n);
}

/* ---- The key ------------------------------------------------------------------------------ */

static void ability(kfe_key *self, kfe_key_ability *out)
{
    static const kfe_session_kind sealing[] = {[KFE_P11_DERIVED] = KFE_DERIVED,
                                               [KFE_P11_WRAPPED] = KFE_WRAPPED,
                                               [KFE_P11_DIRECT] = KFE_DIRECT};
    const struct key *key = key_of(self);
    const kfe_p11_use *use = &key->use;
    const bool rsa = use->type == CKK_RSA, aes = use->type == CKK_AES,
               full = use->len == KFE_P11_KEY_LEN;
    out->kinds = 1u << KFE_DERIVED;
    if (aes)
        out->kinds = (full ? 1u << KFE_WRAPPED : 0) | (use->decrypt ? 1u << KFE_DIRECT : 0);
    if (rsa)
        out->kinds = 1u << KFE_WRAPPED;
    out->key_len = aes ? (unsigned)use->len : 0;
    out->sealing = aes || rsa ? KFE_WRAPPED : KFE_DERIVED;
    const kfe_p11_session_kind wanted = kfe_p11_keys_kind(key->keys, key->object->name);
    if (wanted != KFE_P11_AUTO)
        out->sealing = sealing[wanted];
}

static void release(kfe_key *self)
{
    struct key *key = (struct key *)self;
    kfe_p11_object_put(key->object);
    free(key);
}

static const kfe_key_ops ops = {
    .size = sizeof(kfe_key_ops),
    .derive = derive,
    .release = release,
    .ability = ability,
    .wrap = wrap,
    .unwrap = unwrap,
    .iv_size = iv_size_of,
    .seal = seal,
    .open = open,
};

/* ---- Finding it --------------------------------------------------------------------------- */

struct finding {
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    kfe_p11_object *object; /* owned; NULL: the key was never seen, or is not named exactly */
    kfe_p11_entry entry;
    kfe_p11_use use;
    uint64_t logins;
};

static kfe_error find_work(kfe_p11_session *session, void *arg)
{
    struct finding *job = arg;
    const kfe_key_ref ref = {job->name, job->version};
    job->logins = session->logins;
    const bool expected = job->object || job->version == 0; /* no record names the current one */
    kfe_error err = kfe_p11_lookup(session, &ref, expected, &job->entry, &job->use);
    if ((err == KFE_E_KEY_DESTROYED || err == KFE_E_KEY_UNKNOWN) && job->object)
        kfe_p11_object_destroy_copy(job->object, session);
    return err;
}

static void find_drop(void *arg)
{
    struct finding *job = arg;
    kfe_p11_object_put(job->object);
}

static const kfe_p11_task find_task = {find_work, sizeof(struct finding), find_drop, KFE_P11_FIND};

static kfe_error hand_out(kfe_key **out, kfe_p11_keys *keys, const struct finding *found)
{
    struct key *key = calloc(1, sizeof(*key));
    if (key)
        key->object = kfe_p11_object_get(&keys->objects, found->entry.name, found->entry.version);
    if (!key || !key->object) {
        free(key);
        return kfe_fail(KFE_E_MEMORY, "no memory for a key");
    }
    kfe_p11_object_found(key->object, found->logins, found->entry.key);
    key->base = (kfe_key){&ops, found->entry.version, found->entry.state};
    key->keys = keys;
    key->use = found->use;
    key->object->may_encrypt = found->use.encrypt;
    *out = &key->base;
    return KFE_OK;
}

kfe_error kfe_p11_key_new(kfe_key **out, kfe_p11_keys *keys, const kfe_key_ref *ref)
{
    struct finding job = {.version = ref->version};
    kfe_error err = kfe_p11_token_ours(keys->token);
    if (err)
        return err;
    snprintf(job.name, sizeof(job.name), "%s", ref->name);
    if (ref->version != 0)
        job.object = kfe_p11_object_find(&keys->objects, ref->name, ref->version);
    err = kfe_p11_token_find(keys->token, &find_task, &job);
    if (!err)
        err = hand_out(out, keys, &job);
    find_drop(&job);
    return err;
}

kfe_error kfe_p11_keys_init(kfe_p11_keys *keys, kfe_p11_token *token, const kfe_config *config)
{
    const char *kinds = kfe_config_get(config, "encryption.keyprovider.pkcs11.session");
    keys->token = token;
    keys->kinds = strdup(kinds ? kinds : "auto");
    if (!keys->kinds)
        return kfe_fail(KFE_E_MEMORY, "no memory for a KeyProvider");
    kfe_p11_objects_init(&keys->objects);
    return KFE_OK;
}

/* The configuration was checked when it was set. */
static kfe_p11_session_kind kind_of(const char *kind, size_t len)
{
    static const char *const names[] = {"auto", "derived", "wrapped", "direct"};
    kfe_p11_session_kind i = KFE_P11_DIRECT;
    while (i > KFE_P11_AUTO && (strlen(names[i]) != len || strncmp(names[i], kind, len) != 0))
        i--;
    return i;
}

kfe_p11_session_kind kfe_p11_keys_kind(const kfe_p11_keys *keys, const char *name)
{
    const size_t name_len = strlen(name);
    kfe_p11_session_kind all = KFE_P11_AUTO;
    for (const char *item = keys->kinds; item; item = strchr(item, ',')) {
        item += *item == ',';
        const size_t len = strcspn(item, ",");
        const char *equals = memrchr(item, '=', len); /* a name may hold another one */
        const char *kind = equals ? equals + 1 : item;
        if (!equals)
            all = kind_of(kind, len);
        else if ((size_t)(equals - item) == name_len && strncmp(item, name, name_len) == 0)
            return kind_of(kind, (size_t)(item + len - kind));
    }
    return all;
}

void kfe_p11_keys_wipe(kfe_p11_keys *keys)
{
    kfe_p11_objects_wipe(&keys->objects);
    free(keys->kinds);
}
