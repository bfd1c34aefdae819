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
} example_entry;

extern pthread_mutex_t example_lock;
extern example_entry example_entries[EXAMPLE_KEYS_MAX];
extern size_t example_n;

/* All with the lock held. Version 0: the newest that is active. */
example_entry *example_find(const char *name, uint32_t version);
uint32_t example_newest(const char *name);
kfe_error example_append(const char *name, uint32_t version);

#endif
