/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_RULES_H
#define KFE_ENGINE_RULES_H

/* `PATTERN=KEY;PATTERN=KEY;...`: which key a topic gets, the first pattern that matches wins.
 *
 * Blanks around a PATTERN and a KEY are cut, empty items are left out. The first '=' of an item
 * divides it. A '=' or ';' with a backslash before it divides nothing. The pattern goes to PCRE2
 * as it stands, where `\=` and `\;` mean these characters anyway; in a KEY, a backslash makes
 * the next character (also a backslash) literal. Shared between threads once made. */

#include "engine/template.h"

typedef struct kfe_rules kfe_rules;

/* KFE_E_CONFIG, naming `what` and the item. */
kfe_error kfe_rules_new(kfe_rules **out, const char *what, const char *text);
void kfe_rules_free(kfe_rules *rules); /* NULL is fine */

/* True when a KEY has a `${header:NAME}`. */
bool kfe_rules_read_headers(const kfe_rules *rules);

/* The KEY for a topic, or NULL. As kfe_pattern_match(): an error is not "no key". */
kfe_error kfe_rules_find(const kfe_rules *rules, kfe_bytes topic, const kfe_template **out);

/* The first `c` in [from, to) that has no backslash before it, or NULL. */
const char *kfe_rule_divider(const char *from, const char *to, char c);

#endif
