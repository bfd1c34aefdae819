/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_KEYS_RIG_H
#define KFE_TESTS_PKCS11_KEYS_RIG_H

/* What a provider says of its keys, and what the token then holds. */

#include "tests/pkcs11/test_token.h"

/* What get_key (version 0: get_current_key) says; releases the key. `state`, `got`: NULL is fine.
 */
kfe_error keys_look(kfe_key_provider *p, const char *name, uint32_t version, kfe_key_state *state,
                    uint32_t *got);
uint32_t keys_current(kfe_key_provider *p, const char *name);
kfe_error keys_set_state(kfe_key_provider *p, const char *name, uint32_t version,
                         kfe_key_state state);
/* The whole list, one line for each key: "name version state where". */
void keys_assert_list(kfe_key_provider *p, const char *expected);
/* The last error's detail has that part. */
void keys_assert_detail(const char *part);

/* Behind the provider's back: keys with that label, which may sign; markers of states, which are
 * data, or keys that may not. */
unsigned keys_count(const char *label);
unsigned keys_markers(const char *label);

#endif
