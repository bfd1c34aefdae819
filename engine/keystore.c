/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/keystore.h"
#include "engine/secret.h"

enum { MARK = 0xa5 }; /* anything but zero */

kfe_master *kfe_master_new(void)
{
    kfe_master *master = kfe_secret_alloc(sizeof(*master));
    if (master != NULL)
        master->mark = MARK;
    return master;
}

bool kfe_master_alive(const kfe_master *master)
{
    return master != NULL && *(const volatile uint8_t *)&master->mark == MARK;
}

kfe_master *kfe_master_copy(const kfe_master *from)
{
    kfe_master *master = kfe_master_new();
    if (master == NULL)
        return NULL;
    kfe_secret_copy(master, from, sizeof(*master));
    if (kfe_master_alive(master))
        return master;
    kfe_secret_free(master);
    (void)kfe_fail(KFE_E_MEMORY, "a key of the parent process is gone after the fork");
    return NULL;
}

void kfe_master_free(kfe_master *master)
{
    kfe_secret_free(master);
}

kfe_error kfe_keystore_new(kfe_keystore **out)
{
    kfe_keystore *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a key store");
    atomic_init(&store->holders, 1);
    *out = store;
    return KFE_OK;
}

void kfe_keystore_hold(kfe_keystore *store)
{
    atomic_fetch_add(&store->holders, 1);
}

void kfe_keystore_free(kfe_keystore *store)
{
    if (store == NULL || atomic_fetch_sub(&store->holders, 1) != 1)
        return;
    for (size_t i = 0; i < store->n; i++) {
        free(store->keys[i].name);
        kfe_master_free(store->keys[i].master);
    }
    free(store->keys);
    free(store);
}

static int compare(const kfe_keystore_key *key, const char *name, uint32_t version)
{
    int order = strcmp(key->name, name);
    if (order != 0)
        return order;
    return key->version < version ? -1 : key->version > version;
}

/* The place of the first key that is not below (name, version). */
static size_t place_of(const kfe_keystore *store, const char *name, uint32_t version)
{
    size_t low = 0, high = store->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&store->keys[middle], name, version) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

kfe_keystore_key *kfe_keystore_find(const kfe_keystore *store, const char *name, uint32_t version)
{
    size_t at = place_of(store, name, version);
    bool found = at < store->n && compare(&store->keys[at], name, version) == 0;
    return found ? &store->keys[at] : NULL;
}

kfe_keystore_key *kfe_keystore_newest(const kfe_keystore *store, const char *name)
{
    kfe_keystore_key *last = kfe_keystore_find(store, name, UINT32_MAX);
    size_t at = place_of(store, name, UINT32_MAX);
    if (last != NULL || at == 0)
        return last;
    return strcmp(store->keys[at - 1].name, name) == 0 ? &store->keys[at - 1] : NULL;
}

kfe_keystore_key *kfe_keystore_current(const kfe_keystore *store, const char *name)
{
    kfe_keystore_key *key = kfe_keystore_newest(store, name);
    if (key == NULL)
        return NULL;
    for (; key->state != KFE_KEY_ACTIVE; key--)
        if (key == store->keys || strcmp(key[-1].name, name) != 0)
            return NULL;
    return key;
}

static kfe_error make_room(kfe_keystore *store)
{
    if (store->n < store->cap)
        return KFE_OK;
    size_t cap = store->cap == 0 ? 16 : 2 * store->cap;
    kfe_keystore_key *keys = realloc(store->keys, cap * sizeof(*keys));
    if (keys == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %zu keys", cap);
    store->keys = keys;
    store->cap = cap;
    return KFE_OK;
}

kfe_error kfe_keystore_append(kfe_keystore *store, const kfe_keystore_key *key)
{
    kfe_error err = make_room(store);
    if (err)
        return err;
    store->keys[store->n++] = *key;
    return KFE_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const kfe_keystore_key *other = b;
    return compare(a, other->name, other->version);
}

const kfe_keystore_key *kfe_keystore_sort(kfe_keystore *store)
{
    if (store->n > 1)
        qsort(store->keys, store->n, sizeof(*store->keys), compare_keys);
    for (size_t i = 1; i < store->n; i++)
        if (compare_keys(&store->keys[i - 1], &store->keys[i]) == 0)
            return &store->keys[i];
    return NULL;
}

kfe_error kfe_keystore_add(kfe_keystore *store, const char *name, uint32_t version,
                           const uint8_t *bytes)
{
    kfe_keystore_key key = {.name = strdup(name), .version = version, .state = KFE_KEY_ACTIVE};
    kfe_error err = KFE_OK;
    key.master = kfe_master_new();
    if (key.name == NULL)
        err = kfe_fail(KFE_E_MEMORY, "no memory for a key's name");
    else if (key.master == NULL)
        err = KFE_E_MEMORY; /* the detail tells already */
    if (err == KFE_OK && bytes == NULL)
        err = kfe_random(key.master->key, sizeof(key.master->key));
    else if (err == KFE_OK)
        kfe_secret_copy(key.master->key, bytes, sizeof(key.master->key));
    if (err == KFE_OK)
        err = kfe_keystore_append(store, &key);
    if (err == KFE_OK) {
        (void)kfe_keystore_sort(store);
        return KFE_OK;
    }
    free(key.name);
    kfe_master_free(key.master);
    return err;
}
