/* SPDX-License-Identifier: Apache-2.0 */

/* Needs both libraries to start: reaches libkfe by itself, librdkafka through <kfe/kafka.h>. */

#include <stdio.h>

#include <kfe/kafka.h>

int main(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kfe_config *config = NULL;
    kfe_error err = kfe_config_new(&config);
    if (!err)
        err = kfe_kafka_set(conf, config, "encryption.scope", "record");
    if (!err)
        err = kfe_kafka_set(conf, config, "client.id", "install");
    printf("kfe %s: %s\n", kfe_version(), kfe_error_name(err));
    kfe_config_free(config);
    rd_kafka_conf_destroy(conf);
    return err != KFE_OK;
}
