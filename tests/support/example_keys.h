/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_EXAMPLE_KEYS_H
#define TESTS_SUPPORT_EXAMPLE_KEYS_H

/* The keys of the example provider, in memory of its library, and the lock over all that it has. */

#include <pthread.h>

#include "tests/support/example_provider.h"

#define EXPORT __attribute__((visibility("default")))

enum { EXAMPLE_KEYS_MAX = 512 };

typedef struct {
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    kfe_key_state state;
    uint8_t bytes[32];
    unsigned len; /* of `bytes`; 0: made of name and version */
} example_entry;

/* What keys that are handed out can, and how they seal. */
typedef struct {
    unsigned kinds;
    kfe_session_kind sealing;
    unsigned form, iv_len;
} example_ability;

/* A key in somebody's hands. */
typedef struct {
    kfe_key base;
    char name[KFE_NAME_MAX + 1];
    uint8_t bytes[32];
    unsigned len;
    example_ability can;
    kfe_example_counts *counts;
} example_key;

/* Counts `n` of a key's calls; the error that they were told to fail with. */
kfe_error example_called(unsigned *counter, size_t n);

/* The calls of other kinds than derived (example_seal.c). */
void example_key_ability(kfe_key *self, kfe_key_ability *out);
kfe_error example_key_wrap(kfe_key *self, kfe_bytes aad, const uint8_t secret[32],
                           uint8_t out[KFE_KEY_WRAPPED_MAX], size_t *len);
kfe_error example_key_unwrap(kfe_key *self, kfe_bytes aad, kfe_bytes wrapped, uint8_t secret[32]);
kfe_error example_key_iv_size(kfe_key *self, unsigned *len);
kfe_error example_key_seal(kfe_key *self, kfe_key_field *fields, size_t n);
kfe_error example_key_open(kfe_key *self, kfe_key_field *fields, size_t n);

extern pthread_mutex_t example_lock;
extern example_entry example_entries[EXAMPLE_KEYS_MAX];
extern size_t example_n;

/* All with the lock held. Version 0: the newest that is active. */
example_entry *example_find(const char *name, uint32_t version);
uint32_t example_newest(const char *name);
kfe_error example_append(const char *name, uint32_t version);

#endif
