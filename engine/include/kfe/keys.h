/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KEYS_H
#define KFE_KEYS_H

/* The two seams of KIP-317: where keys come from (KeyProvider) and which key a record
 * gets (KeyManager). Both are const tables whose first member is their size, so an old
 * library meets a new table safely: members are only ever added at the end, and one that
 * the size does not reach counts as NULL.
 *
 * A class is named in the configuration: `file`, `pkcs11`, `topic`, or
 * `/path/library.so:symbol`, where the symbol is such a table, exported and const.
 *
 * Threads: every function but open and free may be called by any thread at any time, also by one of
 * the engine's own, on which all signals are blocked. kfe_engine_free() waits for a call under way.
 *
 * Fork: a child that goes on with an engine opens its KeyProvider anew (the parent's is left
 * alone); a KeyManager is not opened anew. */

#include <stdbool.h>

#include <kfe/config.h>
#include <kfe/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/* True when the table reaches `member` and it is set. */
#define KFE_HAS(table, member)                                                                     \
    ((const uint8_t *)&(table)->member + sizeof((table)->member) <=                                \
         (const uint8_t *)(table) + (table)->size &&                                               \
     (table)->member != NULL)

typedef enum {
    KFE_KEY_ACTIVE = 1,
    KFE_KEY_DECRYPT_ONLY = 2, /* retired: opens, seals nothing */
    KFE_KEY_DESTROYED = 3,
} kfe_key_state;

/* "active", "decrypt-only", "destroyed"; "unknown state" for a number that is none. */
KFE_API const char *kfe_key_state_name(kfe_key_state state);

/* ---- A key, as a provider hands it out ------------------------------------------- */

typedef struct kfe_key kfe_key;

typedef struct {
    size_t size; /* sizeof(kfe_key_ops) */
    /* out = HMAC-SHA-256(master key, context): one block of SP 800-108 in counter mode,
     * whose input the engine builds. The master key never leaves the provider. */
    kfe_error (*derive)(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32]);
    void (*release)(kfe_key *self); /* once; under the engine's lock: quick, no call of kfe */
} kfe_key_ops;

/* Embed it as the first member of your own struct. */
struct kfe_key {
    const kfe_key_ops *ops;
    uint32_t version;
    kfe_key_state state; /* active or decrypt-only */
};

/* ---- KeyProvider ------------------------------------------------------------------ */

typedef struct kfe_key_provider kfe_key_provider;

typedef struct {
    size_t size; /* sizeof(kfe_key_info) */
    const char *name;
    uint32_t version;
    kfe_key_state state;
    const char *where; /* a URI or path for the operator; NULL: nothing to say */
} kfe_key_info;

typedef kfe_error kfe_key_each(void *arg, const kfe_key_info *key);

typedef struct {
    size_t size;                /* sizeof(kfe_key_provider_ops) */
    const char *name;           /* "pkcs11": for messages */
    const char *const *options; /* full names under encryption.keyprovider. that it reads, NULL at
                                   the end; any other is refused before open */
    /* Reads its options from `config`, which is borrowed and outlives the provider. */
    kfe_error (*open)(kfe_key_provider **out, const kfe_config *config);
    void (*free)(kfe_key_provider *self); /* after every key was released */

    /* The engine caches, coalesces and limits calls: a provider need not. Errors:
     * KEY_UNKNOWN and KEY_DESTROYED are definite (and cached); PROVIDER is "not now". */
    kfe_error (*get_key)(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key **out);
    kfe_error (*get_current_key)(kfe_key_provider *self, const char *name, kfe_key **out);

    /* For the operator (`kfe keys`); NULL where the provider cannot. */
    kfe_error (*list)(kfe_key_provider *self, kfe_key_each *each, void *arg);
    kfe_error (*create)(kfe_key_provider *self, const char *name); /* version 1 of a new name */
    kfe_error (*rotate)(kfe_key_provider *self, const char *name, uint32_t *version); /* the next */
    kfe_error (*set_state)(kfe_key_provider *self, const kfe_key_ref *ref, kfe_key_state state);
} kfe_key_provider_ops;

/* Embed it as the first member of your own struct. */
struct kfe_key_provider {
    const kfe_key_provider_ops *ops;
};

/* Opens the KeyProvider that `config` (borrowed) names, as an engine does for itself: for
 * tools that manage keys. Free it by kfe_key_provider_close(). */
KFE_API KFE_MUST_CHECK kfe_error kfe_key_provider_open(kfe_key_provider **out,
                                                       const kfe_config *config);
KFE_API void kfe_key_provider_close(kfe_key_provider *provider); /* NULL is fine */

/* KFE_OK for a name that a key may have: 1..255 bytes, UTF-8, no control characters. */
KFE_API KFE_MUST_CHECK kfe_error kfe_key_name_check(const char *name);

/* ---- KeyManager ------------------------------------------------------------------- */

typedef struct kfe_key_manager kfe_key_manager;

/* Key names without version: the engine takes the current one. "" is KIP-317's "none". */
typedef struct {
    char record[KFE_NAME_MAX + 1];  /* for key and value */
    char headers[KFE_NAME_MAX + 1]; /* for headers; the same name makes one group of both */
} kfe_key_choice;

typedef struct {
    size_t size;                /* sizeof(kfe_key_manager_ops) */
    const char *name;           /* "topic" */
    const char *const *options; /* as for a provider, under encryption.keymanager. */
    kfe_error (*open)(kfe_key_manager **out, const kfe_config *config);
    void (*free)(kfe_key_manager *self);
    /* Sees the whole plaintext record; `out` comes zeroed. Must be quick: it runs for each record.
     */
    kfe_error (*choose)(kfe_key_manager *self, const kfe_record *record, kfe_key_choice *out);
    /* True: the choice depends on the topic alone, and stands for all records of a call that share
     * it. NULL, or false: choose() sees every record. */
    bool (*by_topic)(const kfe_key_manager *self);
} kfe_key_manager_ops;

struct kfe_key_manager {
    const kfe_key_manager_ops *ops;
};

#ifdef __cplusplus
}
#endif
#endif
