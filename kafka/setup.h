/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_SETUP_H
#define KFE_KAFKA_SETUP_H

/* A client's configuration and the engine made of it. */

#include <kfe/kfe.h>

typedef struct {
    const kfe_config *config;
    kfe_config *own; /* when it was read from the file that KFE_CONFIG names */
    kfe_engine *engine;
} kfe_setup;

/* `config` is borrowed; NULL: KFE_CONFIG's file. KFE_E_CONFIG when that is not set either, else
 * what kfe_config_load() and kfe_engine_new() say. */
kfe_error kfe_setup_init(kfe_setup *out, const kfe_config *config);
void kfe_setup_wipe(kfe_setup *setup);

#endif
