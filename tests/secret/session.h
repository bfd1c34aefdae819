/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_SESSION_H
#define TESTS_SECRET_SESSION_H

/* What a sealed record's first envelope says of its session. */

#include "tests/support/kit.h"

typedef struct {
    uint8_t suite, salt[16];
} session;

session session_of(const kfe_record *sealed);

#endif
