/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_CONFIG_H
#define KFE_ENGINE_CONFIG_H

/* What the engine's own parts read of a configuration, beyond <kfe/config.h>. */

#include <kfe/config.h>
#include <kfe/keys.h>

/* Finds a class table: a built-in name, or `/path/library.so:symbol` (dlopen; never closed).
 * `option` is the full option name, for the message. */
kfe_error kfe_class_provider(const kfe_config *config, const kfe_key_provider_ops **out);
/* *out is NULL when encryption.keymanager.class is not set. */
kfe_error kfe_class_manager(const kfe_config *config, const kfe_key_manager_ops **out);

/* Opens the KeyManager that `config` names; *out stays as it is where none is, and after an error.
 */
kfe_error kfe_key_manager_open(kfe_key_manager **out, const kfe_config *config);
void kfe_key_manager_close(kfe_key_manager *manager); /* NULL is fine */

/* After the class is known: every name set under `prefix` ("encryption.keyprovider.") that is
 * neither generic nor in `options` (a class's own list) is KFE_E_CONFIG, naming the nearest. */
kfe_error kfe_config_check_class(const kfe_config *config, const char *prefix,
                                 const char *const *options);

/* Contradictions between options, and values that need each other. */
kfe_error kfe_config_check(const kfe_config *config);

extern const kfe_key_provider_ops kfe_file_provider;
extern const kfe_key_manager_ops kfe_topic_manager;

#endif
