/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_SETTINGS_H
#define KFE_ENGINE_SETTINGS_H

/* The configuration in the form that the record path reads: parsed once, then const and shared. */

#include "engine/backend.h"
#include "engine/config.h"
#include "engine/envelope.h"
#include "engine/openssl/crypto.h"
#include "engine/pattern.h"

typedef struct {
    const kfe_config *config;
    kfe_crypto *crypto;
    const kfe_backend *backend; /* for AES-GCM */
    const kfe_key_provider_ops *provider_class;

    uint8_t suite;   /* to seal with */
    unsigned suites; /* bit s: suite s may be opened */
    enum { KFE_KEYS_CLEAR, KFE_KEYS_SEALED, KFE_KEYS_DETERMINISTIC } keys;
    bool values, record_scope, commit, partial, has_manager, allow_rsa;
    kfe_pattern *headers;     /* which headers are sealed */
    kfe_pattern *unencrypted; /* NULL: not set */
    char det_name[KFE_NAME_MAX + 1];
    uint32_t det_version;
    enum { KFE_TOPIC_EXACT, KFE_TOPIC_LABEL, KFE_TOPIC_NONE } topic;
    char *topic_label;
    kfe_pattern *topic_map; /* NULL: none */
    char *topic_replacement;
    enum { KFE_ADDED_REFUSE, KFE_ADDED_DROP, KFE_ADDED_KEEP } added;

    uint64_t max_fields, max_bytes;
    int64_t max_age_ms, refresh_ms, cache_ms, statistics_ms;
} kfe_settings;

/* KFE_E_CONFIG, KFE_E_BACKEND. `config` is borrowed. */
kfe_error kfe_settings_init(kfe_settings *settings, const kfe_config *config);
void kfe_settings_wipe(kfe_settings *settings);

/* The backend that does `suite`. */
const kfe_backend *kfe_settings_backend(const kfe_settings *settings, unsigned suite);

/* The label that stands for `topic` in the AAD. `map`: follow encryption.aad.topic.map, writing
 * into `room` (KFE_LABEL_ROOM bytes). KFE_E_AUTH: the mapped name does not fit. */
enum { KFE_LABEL_MAX = 1024, KFE_LABEL_ROOM = KFE_LABEL_MAX + 1 };
kfe_error kfe_topic_label(const kfe_settings *settings, kfe_bytes topic, bool map, char *room,
                          kfe_bytes *out);

#endif
