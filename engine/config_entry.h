/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_CONFIG_ENTRY_H
#define KFE_ENGINE_CONFIG_ENTRY_H

/* What a configuration holds: for the files that set, check and read it. */

#include "engine/config.h"
#include "engine/options.h"

struct kfe_entry {
    const kfe_option *option; /* NULL: one that only the class knows */
    char *name;               /* the dotted one */
    char *value;              /* as it was given */
    bool dashed;              /* it was given in KIP-317's dashed spelling */
};

struct kfe_config {
    struct kfe_entry *entries; /* in the order in which they were first set */
    size_t n, cap;
    kfe_secret_cb *ask;
    void *ask_arg;
};

#endif
