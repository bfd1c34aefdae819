/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_EDIT_H
#define TESTS_FUZZ_EDIT_H

/* Edits on a stored record, as whoever can write to the topic could make them, read from bytes: so
 * a fuzzer that changes bytes makes records that are wrong in one place and right in all others. */

#include <kfe/record.h>

enum { EDIT_HEADERS_MAX = 24, EDIT_FIELD_MAX = 1 << 16 };

/* A record with memory of its own, every part in an allocation of its very size. */
typedef struct {
    kfe_record r;
    kfe_header headers[EDIT_HEADERS_MAX];
} edit_record;

void edit_copy(edit_record *out, const kfe_record *from);
void edit_drop(edit_record *record);

/* Makes the edits that `data` tells, taking parts from `other` at times:
 *
 *     operation (1 byte) part (1 byte) argument (2 bytes), over and over
 *
 * Operation 15 takes all that is left as the new content of its part and ends it. */
void edit_all(edit_record *record, const kfe_record *other, const uint8_t *data, size_t size);

#endif
