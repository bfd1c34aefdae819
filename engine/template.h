/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_TEMPLATE_H
#define KFE_ENGINE_TEMPLATE_H

/* A KEY of the configuration: a key's name in which `${topic}` and `${header:NAME}` stand for
 * what the record has. Shared between threads once made. */

#include <stdbool.h>

#include <kfe/record.h>

typedef struct kfe_template kfe_template;

/* KFE_E_CONFIG, naming `what`: an unknown or unfinished `${`, more than 16 parts, or a text that
 * can never give a valid name. */
kfe_error kfe_template_new(kfe_template **out, const char *what, const char *text);
void kfe_template_free(kfe_template *template); /* NULL is fine */

/* True when it has a `${header:NAME}`. */
bool kfe_template_reads_headers(const kfe_template *template);

/* Writes the name for this record and a NUL. `${header:NAME}` is the first header of that name.
 * KFE_E_NO_KEY: that header is missing, null or empty, or the name is not one that a key may
 * have; the detail quotes no header's value, and `out` is "". */
kfe_error kfe_template_expand(const kfe_template *template, const kfe_record *record,
                              char out[KFE_NAME_MAX + 1]);

#endif
