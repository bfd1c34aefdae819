/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CONFIG_H
#define KFE_CONFIG_H

/* The `encryption.*` options (docs/configuration.md), KIP-317's names.
 *
 * A kfe_config is built by one thread; once built, any thread may read it. Values are
 * checked when they are set; contradictions when an engine is made of them. */

#include <stdbool.h>

#include <kfe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kfe_config kfe_config;

KFE_API KFE_MUST_CHECK kfe_error kfe_config_new(kfe_config **out);
KFE_API void kfe_config_free(kfe_config *config); /* NULL is fine */
/* The same values and the same callback, for who may need them after `config` is gone. */
KFE_API KFE_MUST_CHECK kfe_error kfe_config_copy(kfe_config **out, const kfe_config *config);

/* True for every name that belongs to kfe, known or not: `encryption.*`. */
KFE_API bool kfe_config_owns(const char *name);

/* Sets an option; a second call for the same name replaces the first. KFE_E_CONFIG: the
 * name is unknown (the detail tells the nearest known one), the value does not parse, or
 * the name is set in KIP-317's dashed spelling and the dotted one both. */
KFE_API KFE_MUST_CHECK kfe_error kfe_config_set(kfe_config *config, const char *name,
                                                const char *value);

/* Reads `name=value` lines (UTF-8; `#` starts a comment line; blanks around both are cut).
 * A name that is not ours goes to `other`; with `other` NULL it is an error.
 * KFE_E_IO: cannot be read. KFE_E_CONFIG: the detail tells file and line. */
KFE_API KFE_MUST_CHECK kfe_error kfe_config_load(kfe_config *config, const char *path,
                                                 kfe_error (*other)(void *arg, const char *name,
                                                                    const char *value),
                                                 void *arg);

/* The value of an option: as set, else its default, else NULL. Valid until it is set again. */
KFE_API const char *kfe_config_get(const kfe_config *config, const char *name);
/* The same for options that are numbers or true / false (their form was checked when set);
 * 0 or false when there is no value. */
KFE_API uint64_t kfe_config_number(const kfe_config *config, const char *name);
KFE_API bool kfe_config_flag(const kfe_config *config, const char *name);

/* Who is asked for a PIN or passphrase when its option is not set: writes up to `cap`
 * bytes to `out`, returns their number, or -1 to refuse. Called on the thread that needs it: the
 * one that opens, and later, when an HSM's login was lost, one of the KeyProvider's own. It may
 * take its time there, and may close what asks (the engine, the producer): nobody waits for it in
 * close. So one that runs when its KeyProvider is closed may end after that, and `arg` must live as
 * long; what it writes is used no more. */
typedef long kfe_secret_cb(void *arg, const char *option, uint8_t *out, size_t cap);
KFE_API void kfe_config_on_secret(kfe_config *config, kfe_secret_cb *ask, void *arg);

/* Fetches the secret that option `name` points to (`env:NAME`; `file:PATH`, whose last
 * line end is cut and which must be ours and closed to others), else asks the callback. `out`
 * gets up to `cap` bytes; the caller wipes it (<kfe/secret.h> has memory for it). KFE_E_CONFIG: not
 * set and no callback. */
KFE_API KFE_MUST_CHECK kfe_error kfe_config_secret(const kfe_config *config, const char *name,
                                                   uint8_t *out, size_t cap, size_t *len);

/* Overwrites memory in a way that no compiler leaves out. */
KFE_API void kfe_wipe(void *secret, size_t len);

#ifdef __cplusplus
}
#endif
#endif
