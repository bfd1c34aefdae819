/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"
#include "engine/rules.h"
#include "engine/template.h"

static const char topics_option[] = "encryption.keymanager.topics";
static const char default_option[] = "encryption.keymanager.default.key";
static const char headers_option[] = "encryption.keymanager.headers.key";

/* The deterministic key is the engine's to read; it is listed for its name to be offered. */
static const char *const options[] = {topics_option, default_option, headers_option,
                                      "encryption.keymanager.deterministic.key", NULL};

struct topic_manager {
    kfe_key_manager base;
    kfe_rules *rules;       /* NULL: no topics are listed */
    kfe_template *fallback; /* NULL: none */
    kfe_template *headers;  /* NULL: as the record's */
    bool by_topic;          /* no template has a ${header:NAME} */
};

static void manager_free(kfe_key_manager *self)
{
    struct topic_manager *manager = (struct topic_manager *)self;
    if (manager == NULL)
        return;
    kfe_rules_free(manager->rules);
    kfe_template_free(manager->fallback);
    kfe_template_free(manager->headers);
    free(manager);
}

static kfe_error read_template(kfe_template **out, const kfe_config *config, const char *option)
{
    const char *text = kfe_config_get(config, option);
    return text != NULL ? kfe_template_new(out, option, text) : KFE_OK;
}

static kfe_error read_options(struct topic_manager *manager, const kfe_config *config)
{
    const char *topics = kfe_config_get(config, topics_option);
    kfe_error err = topics != NULL ? kfe_rules_new(&manager->rules, topics_option, topics) : KFE_OK;
    if (err)
        return err;
    err = read_template(&manager->fallback, config, default_option);
    if (err)
        return err;
    err = read_template(&manager->headers, config, headers_option);
    if (err)
        return err;
    if (manager->rules == NULL && manager->fallback == NULL && manager->headers == NULL)
        return kfe_fail(KFE_E_CONFIG, "encryption.keymanager.class=topic needs one of %s, %s, %s",
                        topics_option, default_option, headers_option);
    return KFE_OK;
}

static kfe_error manager_open(kfe_key_manager **out, const kfe_config *config)
{
    struct topic_manager *manager = calloc(1, sizeof(*manager));
    if (manager == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for the KeyManager");
    manager->base.ops = &kfe_topic_manager;
    kfe_error err = read_options(manager, config);
    if (err) {
        manager_free(&manager->base);
        return err;
    }
    manager->by_topic =
        !(manager->rules != NULL && kfe_rules_read_headers(manager->rules)) &&
        !(manager->fallback != NULL && kfe_template_reads_headers(manager->fallback)) &&
        !(manager->headers != NULL && kfe_template_reads_headers(manager->headers));
    *out = &manager->base;
    return KFE_OK;
}

static bool manager_by_topic(const kfe_key_manager *self)
{
    return ((const struct topic_manager *)self)->by_topic;
}

static kfe_error choose(const struct topic_manager *manager, const kfe_record *record,
                        kfe_key_choice *out)
{
    const kfe_template *key = NULL;
    kfe_error err = KFE_OK;
    if (manager->rules != NULL)
        err = kfe_rules_find(manager->rules, record->topic, &key);
    if (key == NULL)
        key = manager->fallback;
    if (!err && key != NULL)
        err = kfe_template_expand(key, record, out->record);
    if (err)
        return err;
    if (manager->headers != NULL)
        return kfe_template_expand(manager->headers, record, out->headers);
    memcpy(out->headers, out->record, sizeof(out->headers));
    return KFE_OK;
}

static kfe_error manager_choose(kfe_key_manager *self, const kfe_record *record,
                                kfe_key_choice *out)
{
    kfe_error err = choose((const struct topic_manager *)self, record, out);
    if (err)
        memset(out, 0, sizeof(*out));
    return err;
}

const kfe_key_manager_ops kfe_topic_manager = {
    .size = sizeof(kfe_key_manager_ops),
    .name = "topic",
    .options = options,
    .open = manager_open,
    .free = manager_free,
    .choose = manager_choose,
    .by_topic = manager_by_topic,
};
