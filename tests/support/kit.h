/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_KIT_H
#define TESTS_SUPPORT_KIT_H

/* What every test of records needs: a folder of its own, a key file, engines, random records. Every
 * failure inside fails the test at hand. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kfe/kfe.h>

/* ---- A folder ------------------------------------------------------------------------------ */

/* This process's own, made at the first call and removed with all in it at exit. */
const char *kit_dir(void);

typedef struct {
    const char *name;
    uint32_t version;
    uint8_t key[32];
    const char *state; /* NULL: "active" */
} kit_key;

/* Writes a plain key file (mode 0600) into the folder; the path lives until exit. */
const char *kit_keystore(const char *file, const kit_key *keys, size_t n);

/* ---- Engines ------------------------------------------------------------------------------- */

/* A configuration of name, value, name, value, ..., NULL. */
kfe_config *kit_config(const char *name, ...);
void kit_set(kfe_config *config, const char *name, const char *value);
/* The same for `name` and what follows it, as in kit_config(). */
void kit_set_list(kfe_config *config, const char *name, va_list rest);
kfe_engine *kit_engine(const kfe_config *config);

/* ---- Records on the heap ------------------------------------------------------------------- */

/* A record that owns its bytes, and the space that it was made in. */
typedef struct {
    kfe_record r;
    void *space;
} kit_record;

kfe_bytes kit_text(const char *text); /* NULL: null */
bool kit_same_bytes(kfe_bytes a, kfe_bytes b);
/* Key, value, and headers in order, names and values. */
bool kit_same(const kfe_record *a, const kfe_record *b);

/* A copy with memory of its own, every field in its own allocation, so that a sanitizer sees one
 * byte too many. */
kfe_record kit_copy(const kfe_record *record);
void kit_drop(kfe_record *copy);

/* One record. `out` lives until kit_free(). Returns the call's error. */
kfe_error kit_seal(kfe_engine *engine, const kfe_record *in, kit_record *out);
kfe_error kit_open(kfe_engine *engine, const kfe_record *in, kit_record *out);
void kit_free(kit_record *record);

/* ---- Chance --------------------------------------------------------------------------------- */

/* SplitMix64 of a seed that is printed, or of KFE_SEED: a failure can be run again. */
uint64_t kit_seed(void);
uint64_t kit_random(void);
uint32_t kit_below(uint32_t n); /* 0..n-1 */

/* A record of random shape and content: null, empty and absent all occur. At most `headers`. */
kfe_record kit_random_record(const char *topic, uint32_t headers); /* drop it by kit_drop() */

#endif
