/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_KEYS_MOVE_H
#define KFE_CMD_KEYS_MOVE_H

/* `kfe keys probe`, `import` and `export-wrapped`. */

#include "kafka/cmd_options.h"

kfe_error kfe_cmd_keys_probe(kfe_key_provider *provider);

/* o->args[2] is the file; o->kek NULL: the key itself, with a warning. */
kfe_error kfe_cmd_keys_import(const kfe_cmd_options *o, kfe_key_provider *provider,
                              const char *name);

kfe_error kfe_cmd_keys_export(const kfe_cmd_options *o, kfe_key_provider *provider,
                              const kfe_key_ref *ref);

#endif
