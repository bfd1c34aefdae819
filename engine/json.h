/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_JSON_H
#define KFE_ENGINE_JSON_H

/* Reads JSON (RFC 8259) of a known shape in place: no tree, no copies, so that a key in the text
 * stays where its owner can wipe it. Strict: members of an object come in any order, but each
 * name must be expected, and whole numbers are the only numbers.
 *
 * Once `bad` is set, every further call fails: check it at the end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *at, *end;
    bool bad;
} kfe_json;

/* A string as it stands between its quotes; escapes are valid, but not resolved. */
typedef struct {
    const char *at;
    size_t len;
} kfe_json_text;

kfe_json kfe_json_begin(const char *text, size_t len);

/* Steps through `{ "name": value, ... }` or `[ value, ... ]`:
 *     kfe_json_enter(j, '{');
 *     while (kfe_json_next(j, '}', &first)) { name = kfe_json_name(j); ... read the value ... }
 * `first` starts true. kfe_json_next() is false behind the closing bracket, or when bad. */
void kfe_json_enter(kfe_json *j, char open);
bool kfe_json_next(kfe_json *j, char close, bool *first);
kfe_json_text kfe_json_name(kfe_json *j); /* with its colon */

kfe_json_text kfe_json_string(kfe_json *j);
uint32_t kfe_json_number(kfe_json *j); /* 0..2^32-1; a fraction, exponent or sign is bad */
/* True when nothing went wrong and nothing but blanks follows. */
bool kfe_json_finish(kfe_json *j);

bool kfe_json_is(kfe_json_text text, const char *word);

/* Resolves escapes to UTF-8 and adds a NUL. False: no room, a NUL within, or half a surrogate. */
bool kfe_json_copy(kfe_json_text text, char *out, size_t cap);

#endif
