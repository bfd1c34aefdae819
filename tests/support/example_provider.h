/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_EXAMPLE_PROVIDER_H
#define TESTS_SUPPORT_EXAMPLE_PROVIDER_H

/* A KeyProvider in a shared object of its own, with keys in memory, that counts its calls and can
 * be told to fail, to be slow or to wait. Chosen by
 *
 *     encryption.keyprovider.class=<path of the library>:kfe_example_provider
 *     encryption.keyprovider.example.keys=orders,payments
 *
 * where each name gets version 1 unless it is there. Keys and controls belong to the process, so
 * all providers of it share them. The master key of a version is SHA-256 of
 * "kfe example key" || 00 || name || 00 || u32(version), big endian: the same in every process.
 *
 * A test links the library (target example_provider) and calls what stands here. Threads: any. */

#include <kfe/keys.h>

extern const kfe_key_provider_ops kfe_example_provider;

/* Tables for tests of loading: one of an older kfe, whose size ends before `list`; one that ends
 * before `get_current_key`; one without `get_key`; something that is no table. */
extern const kfe_key_provider_ops kfe_example_older;
extern const kfe_key_provider_ops kfe_example_short;
extern const kfe_key_provider_ops kfe_example_bare;
extern const kfe_key_provider_ops
    kfe_example_hollow; /* opens as nothing, and says that it is fine */
extern const char kfe_example_text[];

typedef struct {
    unsigned open, free;               /* providers */
    unsigned get_key, get_current_key; /* calls, failed ones too */
    unsigned derive, release;          /* of keys */
    unsigned wrap, unwrap;             /* of keys */
    unsigned fields_sealed, fields_opened;
    unsigned handed_out; /* keys given to callers */
} kfe_example_counts;

/* No keys, counts at zero, no failure, no delay, gate open. No call may be under way. */
void kfe_example_reset(void);
kfe_example_counts kfe_example_counted(void);

/* The next `calls` calls of get_key and get_current_key (of derive, wrap, unwrap, seal and open)
 * fail with `error`. */
void kfe_example_fail(kfe_error error, unsigned calls);
void kfe_example_fail_derive(kfe_error error, unsigned calls);

/* Keys handed out from now on open those kinds of sessions (bit k: kind k) and seal by `sealing`:
 * wrapped into `form` 1 or 2, direct with IVs of `iv_len` bytes. After a reset they derive. */
void kfe_example_kinds(unsigned kinds, kfe_session_kind sealing, unsigned form, unsigned iv_len);
/* A version with bytes of its own: 16 (for the direct kind alone) or 32. */
kfe_error kfe_example_put(const char *name, uint32_t version, const uint8_t *key, unsigned len);

/* Keys handed out from now on say this state and version, whatever they are; 0: the truth. */
void kfe_example_lie(kfe_key_state state, uint32_t version);

/* Statistics say this besides what is counted above; `size` does not matter. */
void kfe_example_tell(const kfe_key_provider_statistics *statistics);

/* Every get_key and get_current_key takes this long. */
void kfe_example_delay(unsigned ms);

/* From close to open, every get_key and get_current_key waits. kfe_example_await() returns once
 * `callers` of them do. */
void kfe_example_gate_close(void);
void kfe_example_gate_open(void);
void kfe_example_await(unsigned callers);

/* What the operator would do, without a provider at hand: version 1 or the next one. */
kfe_error kfe_example_add(const char *name, uint32_t *version);
kfe_error kfe_example_set_state(const char *name, uint32_t version, kfe_key_state state);

#endif
