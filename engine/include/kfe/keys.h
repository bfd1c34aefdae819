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

/* How the data keys of a session come from a key (docs/format.md, section 5). A key of an HSM is
 * made for one of these ways. */
typedef enum {
    KFE_DERIVED = 0, /* computed from the key */
    KFE_WRAPPED = 1, /* from a random secret that the key wraps */
    KFE_DIRECT = 2,  /* none: the key itself seals each field, where it is */
} kfe_session_kind;

/* What a key can do; never changes. */
typedef struct {
    size_t size;              /* sizeof(kfe_key_ability), set by the caller */
    unsigned kinds;           /* bit k: it opens sessions of kind k */
    kfe_session_kind sealing; /* and seals by this one */
    unsigned key_len;         /* direct: bytes of the AES key, 16 or 32 */
} kfe_key_ability;

/* A field for a key of the direct kind: AES-GCM, 16 bytes of tag. */
typedef struct {
    const uint8_t *aad; /* never empty */
    size_t aad_size;
    const uint8_t *in; /* `len` bytes; not NULL, also for none */
    size_t len;
    uint8_t *out;     /* `len` bytes, which may be those of `in`; not NULL */
    uint8_t *iv_tag;  /* the IV, then the tag: written by seal, read by open */
    unsigned iv_size; /* 12 to 16 */
    bool forged;      /* open sets it: the tag does not verify, and `out` is zero */
} kfe_key_field;

enum { KFE_KEY_WRAPPED_MAX = 513 }; /* bytes of a wrapped secret: RSA of 4096 bits */

/* Secrets that come and go here are in memory of <kfe/secret.h>, and a provider's own copies should
 * be, as long as it has any: while an HSM hangs, somebody may want a core file. */
typedef struct {
    size_t size; /* sizeof(kfe_key_ops) */
    /* Derived: out = HMAC-SHA-256(master key, context): one block of SP 800-108 in counter mode,
     * whose input the engine builds. The master key never leaves the provider. */
    kfe_error (*derive)(kfe_key *self, const uint8_t *context, size_t len, uint8_t out[32]);
    void (*release)(kfe_key *self); /* once; under the engine's lock: quick, no call of kfe */

    /* Quick. NULL: the key derives, no more. */
    void (*ability)(kfe_key *self, kfe_key_ability *out);

    /* Wrapped: a secret in one of the forms of docs/format.md, its first byte included; form 2
     * binds `aad`. unwrap: KFE_E_AUTH when it does not unwrap to 32 bytes; anything else says
     * nothing about the wrapped bytes. */
    kfe_error (*wrap)(kfe_key *self, kfe_bytes aad, const uint8_t secret[32],
                      uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len);
    kfe_error (*unwrap)(kfe_key *self, kfe_bytes aad, kfe_bytes wrapped, uint8_t secret[32]);

    /* Direct. iv_size: that of the IVs that seal() is going to write; asked before the first.
     * After an error nothing can be said of any field, and every `out` is zero. No IV occurs twice
     * under a key: it is random or the token's own. */
    kfe_error (*iv_size)(kfe_key *self, unsigned *size);
    kfe_error (*seal)(kfe_key *self, kfe_key_field *fields, size_t n);
    kfe_error (*open)(kfe_key *self, kfe_key_field *fields, size_t n);
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
    const char *wrong; /* why it would be refused when used; NULL: nothing is known to be wrong */
} kfe_key_info;

/* What a key is made for: sessions of a kind. */
typedef enum {
    KFE_FOR_DERIVED = KFE_DERIVED,
    KFE_FOR_WRAPPED = KFE_WRAPPED,
    KFE_FOR_DIRECT = KFE_DIRECT,
    KFE_FOR_RSA = 3, /* wrapped ones, under an RSA key */
} kfe_key_purpose;

typedef kfe_error kfe_key_each(void *arg, const kfe_key_info *key);

/* A line about what a provider can do, as `kfe keys probe` prints it. `what` and `found`: text
 * without a newline, only for the call; no secret. */
typedef enum { KFE_PROBE_CAN = 1, KFE_PROBE_CANNOT = 2, KFE_PROBE_WRONG = 3 } kfe_probe_verdict;
typedef void kfe_probe_line(void *arg, kfe_probe_verdict verdict, const char *what,
                            const char *found);

/* What a provider did since it was opened. */
enum {
    KFE_CALL_LOGIN = 0,
    KFE_CALL_FIND = 1,
    KFE_CALL_MAC = 2,
    KFE_CALL_WRAP = 3,
    KFE_CALL_UNWRAP = 4,
    KFE_CALL_ENCRYPT = 5,
    KFE_CALL_DECRYPT = 6,
    KFE_CALL_GENERATE = 7,
    KFE_CALL_OTHER = 8,
    KFE_CALL_KINDS = 16, /* those above 8 stay 0 */
    KFE_LATENCY_BUCKETS = 32,
};

typedef enum {
    KFE_BREAKER_CLOSED = 0,
    KFE_BREAKER_OPEN = 1,
    KFE_BREAKER_HALF_OPEN = 2
} kfe_breaker_state;

typedef struct {
    size_t size;                    /* sizeof(kfe_key_provider_statistics), set by the caller */
    uint64_t calls[KFE_CALL_KINDS]; /* by KFE_CALL_*, failed ones too */
    uint64_t failures;              /* calls that an HSM or its module failed */
    uint64_t timeouts;              /* callers that were told at their deadline */
    uint64_t reconnects;            /* times that it was got back after an outage */
    /* latency[0]: calls of less than 1 us; [i]: of 2^(i-1) us and more, and less than 2^i us; the
     * last one without an upper bound. */
    uint64_t latency[KFE_LATENCY_BUCKETS];
    uint64_t latency_max_us;
    uint32_t breaker;  /* kfe_breaker_state */
    uint32_t sessions; /* open now */
} kfe_key_provider_statistics;

typedef struct {
    size_t size;                /* sizeof(kfe_key_provider_ops) */
    const char *name;           /* "pkcs11": for messages */
    const char *const *options; /* full names under encryption.keyprovider. that it reads, NULL at
                                   the end; any other is refused before open */
    /* Reads its options from `config`, which is borrowed and outlives the provider; not threads
     * that the provider leaves behind, which have a kfe_config_copy(). */
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

    /* Tries what it can do and says so, line by line. An error: there is no more to try. */
    kfe_error (*probe)(kfe_key_provider *self, kfe_probe_line *line, void *arg);
    /* The next version of `name` (1 of a new one) from bytes that were outside of it: 32 of them.
     */
    kfe_error (*import)(kfe_key_provider *self, const char *name, const uint8_t key[32],
                        uint32_t *version);
    /* The key, wrapped (RFC 3394) under the provider's key object `kek`; *len: room, then bytes.
     * KFE_E_KEY_DENIED: the key may not leave. */
    kfe_error (*export_wrapped)(kfe_key_provider *self, const kfe_key_ref *ref, const char *kek,
                                uint8_t *out, size_t *len);
    /* create() for that purpose. */
    kfe_error (*create_kind)(kfe_key_provider *self, const char *name, kfe_key_purpose purpose);
    /* The next version (1 of a new name) from what export_wrapped() gives. */
    kfe_error (*import_wrapped)(kfe_key_provider *self, const char *name, const char *kek,
                                kfe_bytes wrapped, uint32_t *version);

    /* Quick: no call of an HSM. */
    void (*statistics)(kfe_key_provider *self, kfe_key_provider_statistics *out);

    /* The engine is being freed: calls under way return soon, with any error, and so does each
     * that comes, up to free. Quick: it waits for none of them. Of one whose calls may take long;
     * NULL: they are waited for. */
    void (*stop)(kfe_key_provider *self);
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
