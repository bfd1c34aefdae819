/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_KEY_NAME_H
#define KFE_ENGINE_KEY_NAME_H

/* Names of keys as text, beyond kfe_key_name_check() of <kfe/keys.h>. */

#include <kfe/record.h>

/* Reads `NAME@VERSION`: the last '@' divides, the version is 1..2^32-1 without leading zeros.
 * KFE_E_CONFIG naming `what`; then both outputs are untouched. */
kfe_error kfe_key_ref_parse(const char *what, const char *text, char name[KFE_NAME_MAX + 1],
                            uint32_t *version);

#endif
