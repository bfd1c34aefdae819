/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_MUTATIONS_H
#define TESTS_UNIT_MUTATIONS_H

/* What a hostile broker does to a stored record. Each changes `r` (a kit_copy, so its memory is its
 * own), with `other` being another record sealed under the same configuration, and tells what the
 * consumer must say; false: it makes no sense for this record. */

#include "engine/envelope.h"
#include "tests/support/kit.h"

typedef struct {
    kfe_record *r;
    const kfe_record *other;
    kfe_envelope env; /* of a random group of r */
    unsigned group;
    unsigned n_groups;
    kfe_error expected; /* KFE_E_AUTH unless the mutation says otherwise */
} mutation;

typedef struct {
    const char *name;
    bool (*apply)(mutation *m);
} mutation_class;

extern const mutation_class mutations_envelope[], mutations_record[];
extern const size_t n_mutations_envelope, n_mutations_record;

/* Mutable views of a kit_copy. */
static inline uint8_t *mut_bytes(kfe_bytes bytes)
{
    return (uint8_t *)(uintptr_t)bytes.data;
}

static inline kfe_header *mut_header(kfe_record *r, size_t i)
{
    return (kfe_header *)(uintptr_t)&r->headers[i];
}

/* The envelope of the group at hand. */
static inline kfe_bytes *mut_envelope(mutation *m)
{
    return &mut_header(m->r, m->group)->value;
}

/* Flips one bit; false when there is none. */
bool mut_flip(kfe_bytes bytes);
/* Replaces a view's memory by a copy of `with`. */
void mut_replace(kfe_bytes *bytes, kfe_bytes with);
/* Cuts `remove` bytes at `at` out of an envelope and puts `len` others there. */
void mut_splice(kfe_bytes *bytes, size_t at, size_t remove, const void *with, size_t len);
void mut_remove_header(kfe_record *r, size_t i);
void mut_insert_header(kfe_record *r, size_t i, const char *name, const char *value);

#endif
