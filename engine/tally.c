/* SPDX-License-Identifier: Apache-2.0 */
/* A list that only grows, without a lock, as a forked child could find one held for ever. Looked
 * through once a session. */
#include "engine/tally.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/record.h>

struct kfe_tally {
    struct kfe_tally *next;
    unsigned nth; /* how many the list has from here on */
    uint32_t version;
    _Atomic uint64_t fields;
    char name[KFE_NAME_MAX + 1];
};

static _Atomic(kfe_tally *) first;

static kfe_tally *find(kfe_tally *from, const char *name, uint32_t version)
{
    for (; from != NULL; from = from->next)
        if (from->version == version && strcmp(from->name, name) == 0)
            return from;
    return NULL;
}

kfe_error kfe_tally_of(kfe_tally **out, const char *name, uint32_t version)
{
    kfe_tally *made = NULL, *head = atomic_load(&first);
    while ((*out = find(head, name, version)) == NULL) {
        if (head != NULL && head->nth >= KFE_TALLIES_MAX) {
            free(made);
            return kfe_fail(KFE_E_KEY_EXHAUSTED, "too many keys of the direct kind for a process");
        }
        if (made == NULL)
            made = calloc(1, sizeof(*made));
        if (made == NULL)
            return kfe_fail(KFE_E_MEMORY, "out of memory");
        strncpy(made->name, name, KFE_NAME_MAX);
        made->version = version;
        made->next = head;
        made->nth = head == NULL ? 1 : head->nth + 1;
        if (atomic_compare_exchange_strong(&first, &head, made)) {
            *out = made;
            return KFE_OK;
        }
    }
    free(made);
    return KFE_OK;
}

bool kfe_tally_take(kfe_tally *tally, uint64_t n)
{
    return atomic_fetch_add(&tally->fields, n) + n <= KFE_TALLY_MAX;
}
