/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RECORD_RIG_H
#define TESTS_UNIT_RECORD_RIG_H

/* Engines over one key file: orders.k versions 1 and 2, tags 1, pin 1, and old 1, which is retired.
 */

#include "tests/support/kit.h"

typedef struct {
    kfe_config *config;
    kfe_engine *engine;
} rig;

int rig_set_up(void **unused); /* for cmocka: writes the key file */

/* Everything under orders.k by the topic KeyManager, and pairs of options on top, NULL at the end.
 * The name "no manager" leaves the KeyManager out. */
rig rig_new(const char *name, ...);
void rig_free(rig *r);

kfe_record record_of(const char *key, const char *value, const kfe_header *headers, size_t n);
kfe_header header_of(const char *name, const char *value);

/* Seals under `from`, opens under `to`: the first error. */
kfe_error pass(rig *from, rig *to, const kfe_record *plain, kit_record *sealed, kit_record *opened);

#endif
