/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_PATTERN_H
#define KFE_ENGINE_PATTERN_H

/* PCRE2 patterns, matched against the whole string, in byte mode, dot matching newlines.
 * Match limits bound the work of a hostile subject. Shared between threads once made. */

#include <stdbool.h>

#include <kfe/record.h>

typedef struct kfe_pattern kfe_pattern;

/* KFE_E_CONFIG: the detail quotes the pattern, PCRE2's reason and the place. `what` names the
 * option. */
kfe_error kfe_pattern_new(kfe_pattern **out, const char *what, const char *pattern);
void kfe_pattern_free(kfe_pattern *pattern); /* NULL is fine */

/* *matches: all of `text` matches. KFE_E_RECORD: it takes more work than a name is worth, so
 * nothing can be said (a caller must not take that for "no"); KFE_E_MEMORY. */
kfe_error kfe_pattern_match(const kfe_pattern *pattern, kfe_bytes text, bool *matches);

/* PCRE2 substitution of the whole match (`$1`, `${name}`): writes at most `cap` bytes, the NUL that
 * ends it included, and sets *len. KFE_E_ARGUMENT: `text` does not match; KFE_E_SPACE;
 * KFE_E_CONFIG: PCRE2 refuses `replacement`; KFE_E_MEMORY. */
kfe_error kfe_pattern_replace(const kfe_pattern *pattern, kfe_bytes text, const char *replacement,
                              char *out, size_t cap, size_t *len);

#endif
