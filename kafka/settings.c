/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/resp.h"
#include <kfe/kafka.h>

kfe_error kfe_kafka_set(rd_kafka_conf_t *conf, kfe_config *config, const char *name,
                        const char *value)
{
    if (conf == NULL || config == NULL || name == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_kafka_set: a NULL argument");
    return kfe_config_owns(name) ? kfe_config_set(config, name, value)
                                 : kfe_resp_set(conf, name, value);
}

static kfe_error set_other(void *conf, const char *name, const char *value)
{
    return kfe_resp_set(conf, name, value);
}

kfe_error kfe_kafka_load(rd_kafka_conf_t *conf, kfe_config *config, const char *path)
{
    if (conf == NULL || config == NULL || path == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_kafka_load: a NULL argument");
    return kfe_config_load(config, path, set_other, conf);
}
