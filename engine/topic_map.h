/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_TOPIC_MAP_H
#define KFE_ENGINE_TOPIC_MAP_H

/* encryption.aad.topic.map, `REGEX=REPLACEMENT`: the last '=' divides, as no topic's name has
 * one; `$1` and `${name}` in the replacement are the pattern's groups, `$$` is a dollar. */

#include "engine/pattern.h"

/* Divides and compiles it; *replacement is the caller's to free. Errors as below. */
kfe_error kfe_topic_map_new(const char *what, const char *text, kfe_pattern **regex,
                            char **replacement);

/* KFE_E_CONFIG, naming `what`: not of that form, a pattern that does not compile, or a
 * replacement that is malformed or names a group which the pattern lacks. */
kfe_error kfe_topic_map_check(const char *what, const char *text);

#endif
