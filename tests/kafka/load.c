/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kafka/load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#ifdef KFE_TEST_SHIM
#include "tests/pkcs11/test_token.h"
#endif

#ifdef KFE_TEST_SHIM
static test_token *token; /* NULL: keys are in a file */
#endif

uint64_t load_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

int64_t load_now(clockid_t clock, int64_t per_second)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * per_second + t.tv_nsec / (1000000000 / per_second);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

void load_init(void)
{
    rig_init();
    setvbuf(stdout, NULL, _IOLBF, 0);
}

int load_token(void **state)
{
#ifdef KFE_TEST_SHIM
    assert_int_equal(test_token_setup(state), 0);
    token = *state;
    token->shim->delay(NULL, (unsigned)load_setting("KFE_CALL_US", 0));
    return 0;
#else
    (void)state;
    print_message("built without PKCS#11\n");
    return 1;
#endif
}

static kfe_config *keys(void)
{
#ifdef KFE_TEST_SHIM
    if (token != NULL) {
        kfe_config *config = test_token_config(NULL, NULL);
        kit_set(config, "encryption.keymanager.class", "topic");
        return config;
    }
#endif
    return rig_config(NULL);
}

static kfe_config *config_for(const load *l)
{
    kfe_key_provider *provider = NULL;
    kfe_config *config = keys();
    char refresh[24];
    snprintf(refresh, sizeof(refresh), "%" PRIu64, l->refresh_ms);
    kit_set(config, "encryption.keyprovider.refresh.ms", refresh);
    kit_set(config, "encryption.keymanager.default.key", l->key);
    assert_int_equal(kfe_key_provider_open(&provider, config), KFE_OK);
    assert_int_equal(provider->ops->create(provider, l->key), KFE_OK);
    kfe_key_provider_close(provider);
    return config;
}

/* ---- Producing ------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < LOAD_STEPS)
        return (unsigned)ns;
    const unsigned bits = 63 - (unsigned)__builtin_clzll(ns);
    return bits * LOAD_STEPS + (unsigned)(ns >> (bits - 3) & (LOAD_STEPS - 1));
}

static double p999_of(const load *l)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < LOAD_BUCKETS; i++) {
        seen += l->latency[i];
        if (seen >= l->n - l->n / 1000)
            return (double)((uint64_t)(LOAD_STEPS + i % LOAD_STEPS) << (i / LOAD_STEPS)) /
                   LOAD_STEPS / 1000;
    }
    return 0;
}

static void produce_one(load *l)
{
    char value[65];
    snprintf(value, sizeof(value), "%064" PRIu64, l->n);
    for (;;) {
        kfe_message m = {.topic = l->topic,
                         .partition = 0,
                         .msgflags = RD_KAFKA_MSG_F_COPY,
                         .payload = value,
                         .len = 64};
        const int64_t start = load_now(CLOCK_MONOTONIC, 1000000000);
        rd_kafka_resp_err_t err = kfe_produce(l->producer, &m);
        const int64_t end = load_now(CLOCK_MONOTONIC, 1000000000);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            l->latency[bucket_of((uint64_t)(end - start))]++;
            l->n++;
            return;
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail_msg("%s: %s", rd_kafka_err2str(err), kfe_error_detail());
        kfe_producer_poll(l->producer, 5);
    }
}

void load_begin(load *l, uint64_t refresh_ms, uint64_t rate)
{
    static const char *const fast[] = {"linger.ms", "5", NULL};
    static unsigned loads;
    *l = (load){.refresh_ms = refresh_ms, .rate = rate};
    snprintf(l->key, sizeof(l->key), "load.%u", ++loads);
    l->config = config_for(l);
    l->topic = rig_topic("load", 1, NULL);
    l->producer = rig_producer(l->config, fast);
    produce_one(l);
}

void load_run(load *l, const atomic_bool *done)
{
    const int64_t start = load_now(CLOCK_MONOTONIC, 1000000);
    while (!atomic_load(done)) {
        produce_one(l);
        if (l->n % 256 == 0)
            kfe_producer_poll(l->producer, 0);
        while (l->rate > 0 && !atomic_load(done) &&
               (uint64_t)(load_now(CLOCK_MONOTONIC, 1000000) - start) * l->rate / 1000000 < l->n)
            kfe_producer_poll(l->producer, 1);
    }
    rig_flush(l->producer);
}

/* ---- What became of it ----------------------------------------------------------------------- */

static cJSON *statistics(const load *l)
{
    char *text = NULL;
    assert_int_equal(kfe_engine_statistics(kfe_producer_engine(l->producer), &text), KFE_OK);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

static double number(const cJSON *json, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(json, name));
}

uint32_t load_version(const load *l)
{
    cJSON *json = statistics(l);
    const cJSON *sealing = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "keys"), "sealing");
    assert_int_equal(cJSON_GetArraySize(sealing), 1);
    uint32_t version = (uint32_t)number(cJSON_GetArrayItem(sealing, 0), "version");
    cJSON_Delete(json);
    return version;
}

void load_end(load *l)
{
    cJSON *json = statistics(l);
    assert_int_equal((uint64_t)number(cJSON_GetObjectItem(json, "seal"), "waits"), 1);
    cJSON_Delete(json);
    kfe_producer_free(l->producer);
    l->producer = NULL;
    assert_int_equal(rig_failed(), 0);
    l->p999_us = p999_of(l);
}

void load_free(load *l)
{
    kfe_config_free(l->config);
}

void load_read_back(const load *l)
{
    static const char *const early[] = {"auto.offset.reset", "earliest", NULL};
    kfe_consumer *consumer = rig_consumer(l->config, l->topic, l->topic, early);
    for (uint64_t i = 0; i < l->n; i++) {
        rd_kafka_message_t *m = rig_next(consumer);
        if (m == NULL)
            fail_msg("record %" PRIu64 " of %" PRIu64 " does not come", i, l->n);
        char value[65];
        snprintf(value, sizeof(value), "%064" PRIu64, i);
        if (!rig_is(m->payload, m->len, value))
            fail_msg("record %" PRIu64 " is another one", i);
        rd_kafka_message_destroy(m);
    }
    kfe_consumer_free(consumer);
}
