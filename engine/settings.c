/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/settings.h"

#include <stdlib.h>
#include <string.h>

#include "engine/key_name.h"
#include "engine/topic_map.h"

static kfe_bytes text(const char *string)
{
    return (kfe_bytes){(const uint8_t *)string, strlen(string)};
}

static const char *get(const kfe_settings *s, const char *name)
{
    const char *value = kfe_config_get(s->config, name);
    return value == NULL ? "" : value;
}

static void read_suites(kfe_settings *s)
{
    const char *at = get(s, "encryption.algorithms");
    while (*at != '\0') {
        size_t len = strcspn(at, ", ");
        uint8_t suite = kfe_suite_of_name((kfe_bytes){(const uint8_t *)at, len});
        if (suite != 0) {
            s->suite = s->suite == 0 ? suite : s->suite;
            s->suites |= 1u << suite;
        }
        at += len + strspn(at + len, ", ");
    }
}

static kfe_error read_deterministic(kfe_settings *s)
{
    if (s->keys != KFE_KEYS_DETERMINISTIC)
        return KFE_OK;
    static const char option[] = "encryption.keymanager.deterministic.key";
    return kfe_key_ref_parse(option, get(s, option), s->det_name, &s->det_version);
}

static kfe_error read_topic(kfe_settings *s)
{
    const char *topic = get(s, "encryption.aad.topic");
    const char *label = strchr(topic, ':'); /* in label:TEXT alone */
    s->topic = strcmp(topic, "none") == 0 ? KFE_TOPIC_NONE
               : label != NULL            ? KFE_TOPIC_LABEL
                                          : KFE_TOPIC_EXACT;
    s->topic_label = strdup(label != NULL ? label + 1 : "");
    if (s->topic_label == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    if (strlen(s->topic_label) > KFE_LABEL_MAX)
        return kfe_fail(KFE_E_CONFIG, "encryption.aad.topic: label is longer than %d bytes",
                        KFE_LABEL_MAX);
    const char *map = get(s, "encryption.aad.topic.map");
    if (map[0] == '\0')
        return KFE_OK;
    return kfe_topic_map_new("encryption.aad.topic.map", map, &s->topic_map, &s->topic_replacement);
}

static kfe_error read_patterns(kfe_settings *s)
{
    kfe_error err = kfe_pattern_new(&s->headers, "encryption.encrypt.headers",
                                    get(s, "encryption.encrypt.headers"));
    const char *unencrypted = kfe_config_get(s->config, "encryption.unencrypted.topics");
    if (!err && unencrypted != NULL)
        err = kfe_pattern_new(&s->unencrypted, "encryption.unencrypted.topics", unencrypted);
    return err;
}

static void read_values(kfe_settings *s)
{
    const char *keys = get(s, "encryption.encrypt.keys");
    s->keys = strcmp(keys, "deterministic") == 0 ? KFE_KEYS_DETERMINISTIC
              : strcmp(keys, "false") == 0       ? KFE_KEYS_CLEAR
                                                 : KFE_KEYS_SEALED;
    s->values = kfe_config_flag(s->config, "encryption.encrypt.values");
    s->record_scope = strcmp(get(s, "encryption.scope"), "record") == 0;
    s->commit = kfe_config_flag(s->config, "encryption.commit");
    s->allow_rsa = kfe_config_flag(s->config, "encryption.keyprovider.pkcs11.allow.rsa");
    s->partial = kfe_config_flag(s->config, "encryption.consumer.partial");
    s->has_manager = kfe_config_get(s->config, "encryption.keymanager.class") != NULL;
    const char *added = get(s, "encryption.consumer.added.headers");
    s->added = strcmp(added, "drop") == 0   ? KFE_ADDED_DROP
               : strcmp(added, "keep") == 0 ? KFE_ADDED_KEEP
                                            : KFE_ADDED_REFUSE;
    s->max_fields = kfe_config_number(s->config, "encryption.session.max.fields");
    s->max_bytes = kfe_config_number(s->config, "encryption.session.max.bytes");
    s->max_age_ms = (int64_t)kfe_config_number(s->config, "encryption.session.max.age.ms");
    s->refresh_ms = (int64_t)kfe_config_number(s->config, "encryption.keyprovider.refresh.ms");
    s->cache_ms = (int64_t)kfe_config_number(s->config, "encryption.keyprovider.cache.ms");
    s->statistics_ms = (int64_t)kfe_config_number(s->config, "encryption.statistics.interval.ms");
    read_suites(s);
}

/* What a property query (FIPS) leaves out is told at once, not with the first record. */
static kfe_error check_algorithms(const kfe_settings *s)
{
    const kfe_crypto *c = s->crypto;
    if (s->keys == KFE_KEYS_DETERMINISTIC && c->siv256 == NULL)
        return kfe_fail(KFE_E_CONFIG,
                        "deterministic keys need AES-SIV, which OpenSSL has not under "
                        "encryption.openssl.propquery");
    if ((s->suites >> KFE_C20P1305 & 1 && c->chacha == NULL) ||
        (s->suites >> KFE_A128GCM & 1 && c->gcm128 == NULL) ||
        (s->suites >> KFE_A256GCM & 1 && c->gcm256 == NULL))
        return kfe_fail(KFE_E_CONFIG, "encryption.algorithms lists what OpenSSL has not under "
                                      "encryption.openssl.propquery");
    return KFE_OK;
}

/* Who asks for certain OpenSSL algorithms (a FIPS module's) wants those, and none of ours. */
static kfe_error pick_backend(kfe_settings *s)
{
    const char *name = get(s, "encryption.backend");
    if (kfe_config_get(s->config, "encryption.openssl.propquery") != NULL) {
        if (strcmp(name, "auto") == 0)
            name = "openssl";
        if (strcmp(name, "openssl") != 0)
            return kfe_fail(KFE_E_CONFIG,
                            "encryption.backend=%s is not OpenSSL's, which "
                            "encryption.openssl.propquery is for",
                            name);
    }
    kfe_error err = kfe_backend_pick(name, s->crypto, &s->backend);
    const kfe_backend *other = NULL;
    if (!err && (s->suites & ~s->backend->suites) != 0) /* OpenSSL does those */
        err = kfe_backend_pick("openssl", s->crypto, &other);
    return err;
}

kfe_error kfe_settings_init(kfe_settings *s, const kfe_config *config)
{
    memset(s, 0, sizeof(*s));
    s->config = config;
    kfe_error err = kfe_config_check(config);
    if (err)
        return err;
    read_values(s);
    err = kfe_class_provider(config, &s->provider_class);
    if (!err)
        err = read_deterministic(s);
    if (!err)
        err = read_topic(s);
    if (!err)
        err = read_patterns(s);
    if (!err)
        err = kfe_crypto_new(&s->crypto, kfe_config_get(config, "encryption.openssl.propquery"));
    if (!err)
        err = check_algorithms(s);
    if (!err)
        err = pick_backend(s);
    if (err)
        kfe_settings_wipe(s);
    return err;
}

void kfe_settings_wipe(kfe_settings *s)
{
    kfe_pattern_free(s->headers);
    kfe_pattern_free(s->unencrypted);
    kfe_pattern_free(s->topic_map);
    kfe_crypto_free(s->crypto);
    free(s->topic_label);
    free(s->topic_replacement);
    memset(s, 0, sizeof(*s));
}

const kfe_backend *kfe_settings_backend(const kfe_settings *s, unsigned suite)
{
    return s->backend->suites >> suite & 1 ? s->backend : &kfe_openssl_backend;
}

kfe_error kfe_topic_label(const kfe_settings *s, kfe_bytes topic, bool map, char *room,
                          kfe_bytes *out)
{
    *out = s->topic == KFE_TOPIC_EXACT ? topic : text(s->topic_label);
    if (!map || s->topic_map == NULL || s->topic != KFE_TOPIC_EXACT)
        return KFE_OK;
    bool matches = false;
    kfe_error err = kfe_pattern_match(s->topic_map, topic, &matches);
    if (!err && !matches)
        return KFE_OK;
    size_t len = 0;
    if (!err)
        err = kfe_pattern_replace(s->topic_map, topic, s->topic_replacement, room, KFE_LABEL_ROOM,
                                  &len);
    if (err) /* memory says nothing about the record */
        return err == KFE_E_MEMORY
                   ? err
                   : kfe_fail(KFE_E_AUTH, "encryption.aad.topic.map does not fit the topic");
    *out = (kfe_bytes){(const uint8_t *)room, len};
    return KFE_OK;
}
