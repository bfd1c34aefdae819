/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KFE_H
#define KFE_KFE_H

/* Seals Kafka records field by field and opens them again (KIP-317). Knows no network
 * and no HSM: <kfe/kafka.h> is the layer over librdkafka.
 *
 *     kfe_config_new(&config);
 *     kfe_config_set(config, "encryption.keyprovider.class", "file"); ...
 *     kfe_engine_new(&engine, config);
 *     kfe_seal(engine, records, sealed, n, space, kfe_seal_space(records, n, 0), 0);
 */

#include <kfe/config.h>
#include <kfe/error.h>
#include <kfe/keys.h>
#include <kfe/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Configuration, KeyProvider, KeyManager, a cipher backend and the sessions in use.
 * Made once, then shared: every call below may run on any thread at any time. A child
 * after fork() may go on using it: it starts new sessions and never continues a parent's. */
typedef struct kfe_engine kfe_engine;

/* `config` is borrowed: it must outlive the engine and not be changed meanwhile. */
KFE_API KFE_MUST_CHECK kfe_error kfe_engine_new(kfe_engine **out, const kfe_config *config);
KFE_API void kfe_engine_free(kfe_engine *engine);                 /* wipes its keys; NULL is fine */
KFE_API const char *kfe_engine_backend(const kfe_engine *engine); /* "openssl", ... */

enum {
    /* Sealed bytes replace plaintext (or the other way round) in the memory that the views of
     * `in` point to, const or not: no two fields of the batch may share a byte, and all must be
     * writable. Deterministic keys and envelopes still go to `space`. */
    KFE_IN_PLACE = 1,
};

/* Bytes of `space` that are enough for any outcome; no key is looked up. */
KFE_API size_t kfe_seal_space(const kfe_record *in, size_t n, unsigned flags);
KFE_API size_t kfe_open_space(const kfe_record *in, size_t n, unsigned flags);

/* Seals (opens) n records in one go. out[i] gets the whole record: views into `space`, or
 * into in[i]'s memory where nothing was changed (or KFE_IN_PLACE is given); it lives as long as
 * both. `out` may be `in`. Sealing puts the `kfe` headers first, opening takes them away.
 *
 * A record that must stay in clear (encryption.unencrypted.topics) is passed through.
 * out[i].error tells each result, whatever the call returns; the return value is the first error
 * met, the others are done all the same. A failed record comes out with null fields and no headers,
 * and every field that was written for it is zero (in place: also its own).
 *
 * No memory is allocated per record once a thread's batches have reached their size (but OpenSSL
 * allocates for each deterministic key).
 * KFE_E_SPACE: `cap` is below what kfe_*_space() said; nothing was done. */
KFE_API KFE_MUST_CHECK kfe_error kfe_seal(kfe_engine *engine, const kfe_record *in, kfe_record *out,
                                          size_t n, void *space, size_t cap, unsigned flags);
KFE_API KFE_MUST_CHECK kfe_error kfe_open(kfe_engine *engine, const kfe_record *in, kfe_record *out,
                                          size_t n, void *space, size_t cap, unsigned flags);

/* ---- Statistics -------------------------------------------------------------------- */

/* What the engine did since it was made (a child: since its own first call), as one line of JSON
 * (docs/statistics.md), to be freed by free(). No key, PIN or plaintext is in it. Asks nothing of
 * an HSM. */
KFE_API KFE_MUST_CHECK kfe_error kfe_engine_statistics(kfe_engine *engine, char **json);

/* Has `report` called with that line every encryption.statistics.interval.ms, on a thread of the
 * engine's own, in place of one asked for before; NULL: no more. No call of the one before is
 * under way when this returns, and none after kfe_engine_free(), but one that calls either itself:
 * it is the last. An interval of 0 reports nothing. A child after fork() has to ask anew. */
typedef void kfe_statistics_cb(void *arg, const char *json, size_t len);
KFE_API KFE_MUST_CHECK kfe_error kfe_engine_on_statistics(kfe_engine *engine,
                                                          kfe_statistics_cb *report, void *arg);

/* ---- Envelopes without keys -------------------------------------------------------- */

typedef enum {
    KFE_KEY_UNCOVERED,
    KFE_KEY_SEALED,
    KFE_KEY_DETERMINISTIC,
    KFE_KEY_NULL
} kfe_key_cover;
typedef enum { KFE_VALUE_UNCOVERED, KFE_VALUE_SEALED, KFE_VALUE_NULL } kfe_value_cover;

/* One envelope (docs/format.md), read but not verified: whoever can write to the topic
 * can make it say anything. */
typedef struct {
    unsigned format, group, n_groups;
    const char *suite; /* "A256GCM"; static storage */
    bool record_scope, committed;
    unsigned session_kind; /* 0 derived, 1 wrapped, 2 direct */
    kfe_key_cover key;
    kfe_value_cover value;
    unsigned n_headers;        /* counted when sealing */
    const uint8_t *header_map; /* bit i%8 of byte i/8: header i is covered; a view */
    char key_name[KFE_NAME_MAX + 1];
    uint32_t key_version;
    char deterministic_name[KFE_NAME_MAX + 1]; /* "" unless `key` is deterministic */
    uint32_t deterministic_version;
    uint64_t counter;
} kfe_envelope_info;

/* Reads the envelopes of a record as stored. *n: their number, 0 for a record in clear.
 * KFE_E_AUTH: malformed. `out` has room for KFE_GROUPS_MAX. */
KFE_API KFE_MUST_CHECK kfe_error kfe_inspect(const kfe_record *in, kfe_envelope_info *out,
                                             size_t *n);

/* ---- The build ---------------------------------------------------------------------- */

KFE_API const char *kfe_version(void); /* "1.0.0" */
/* Names of the cipher backends that this CPU can run, best first, NULL at the end. */
KFE_API const char *const *kfe_backends(void);

#ifdef __cplusplus
}
#endif
#endif
