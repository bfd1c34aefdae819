/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_KEYSTORE_H
#define KFE_ENGINE_KEYSTORE_H

/* The keys of a key file (docs/keys.md), in memory:
 *
 *     {"version":1,"keys":[{"name":"orders","version":1,"state":"active","key":"<32 bytes>"}]}
 *
 * or the same within a passphrase (engine/keyseal.h). Unchanging once it is shared: to change
 * it, load it again, change that one and save it. */

#include <stdatomic.h>
#include <stdbool.h>

#include <kfe/keys.h>

#include "engine/keyfile.h"
#include "engine/keyseal.h"

/* ---- A master key ---------------------------------------------------------------------- */

/* A block of kfe_secret_alloc(), zero in a forked child: then kfe_master_alive() is false. */
typedef struct {
    uint8_t key[32];
    uint8_t mark;
} kfe_master;

/* Alive, with a key of zeros to be filled in. NULL: no memory, kfe_error_detail() tells. */
kfe_master *kfe_master_new(void);
/* NULL when there is no memory (kfe_error_detail() tells), or `from` is not alive. */
kfe_master *kfe_master_copy(const kfe_master *from);
bool kfe_master_alive(const kfe_master *master);
void kfe_master_free(kfe_master *master); /* wipes; NULL is fine */

/* ---- Keys ------------------------------------------------------------------------------- */

typedef struct {
    char *name;
    uint32_t version;
    kfe_key_state state;
    kfe_master *master; /* NULL when destroyed */
} kfe_keystore_key;

/* Sorted by name (bytes) and version, no two alike. */
typedef struct {
    kfe_keystore_key *keys;
    size_t n, cap;
    atomic_size_t holders;
    bool sealed; /* by a passphrase */
} kfe_keystore;

kfe_error kfe_keystore_new(kfe_keystore **out);
void kfe_keystore_hold(kfe_keystore *store);
void kfe_keystore_free(kfe_keystore *store); /* lets go; the last one wipes. NULL is fine */

/* NULL when there is none. */
kfe_keystore_key *kfe_keystore_find(const kfe_keystore *store, const char *name, uint32_t version);
kfe_keystore_key *kfe_keystore_newest(const kfe_keystore *store, const char *name);
/* The highest version that is active. */
kfe_keystore_key *kfe_keystore_current(const kfe_keystore *store, const char *name);

/* Adds a key of these 32 bytes, or a random one when that is NULL; active. `name` and `version` are
 * new and valid. */
kfe_error kfe_keystore_add(kfe_keystore *store, const char *name, uint32_t version,
                           const uint8_t *bytes);

/* For whoever fills a store: append keys in any order (name and master are taken over on success
 * only), then sort. Returns a key that is there twice, or NULL. */
kfe_error kfe_keystore_append(kfe_keystore *store, const kfe_keystore_key *key);
const kfe_keystore_key *kfe_keystore_sort(kfe_keystore *store);

/* ---- On the disk ------------------------------------------------------------------------- */

typedef struct {
    const char *path;
    const kfe_config *config; /* for the passphrase */
    const kfe_crypto *crypto;
    kfe_keyseal *seal;
} kfe_keystore_place;

/* Besides the errors of kfe_keyfile_read() and kfe_keyseal_open(): KFE_E_CONFIG when anything in
 * the file is not as it must be, or it is not sealed although a passphrase is set. */
kfe_error kfe_keystore_load(const kfe_keystore_place *place, kfe_keystore **out,
                            kfe_keyfile_id *id);
/* As kfe_keyfile_replace(). */
kfe_error kfe_keystore_save(const kfe_keystore_place *place, const kfe_keystore *store);

/* The text of a store, not sealed, and back. kfe_secret_text_free() the text. */
kfe_error kfe_keystore_write(const kfe_keystore *store, char **text, size_t *len);
kfe_error kfe_keystore_read(kfe_keystore **out, const char *text, size_t len);

#endif
