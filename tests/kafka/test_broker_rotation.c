/* SPDX-License-Identifier: Apache-2.0 */

/* Does a rotation under load lose no record, keep none waiting, and reach the wire in time?
 *
 * KFE_ROTATIONS, KFE_REFRESH_MS, KFE_RATE (records/s; 0: all that goes), KFE_PAIRS: how much. With
 * pairs, runs with and without rotation take turns, and the ratio of their p99.9 of kfe_produce()
 * is printed, the median of all pairs. */
#include "tests/kafka/rig.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

enum { TURN_MS = 700, LATE_MS = 1000, ROTATIONS_MAX = 1000, STEPS = 8, BUCKETS = 64 * STEPS };

typedef struct {
    unsigned rotations;
    uint64_t refresh_ms, rate;
} load;

typedef struct {
    const kfe_config *config;
    const load *load;
    bool rotate;
    atomic_bool done;
    int64_t at[ROTATIONS_MAX]; /* wall clock in ms */
    kfe_error err;
} rotator;

typedef struct {
    uint64_t latency[BUCKETS], n;
    double p999_us;
} outcome;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static int64_t now(clockid_t clock, int64_t per_second)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * per_second + t.tv_nsec / (1000000000 / per_second);
}

/* ---- Rotating ------------------------------------------------------------------------------- */

static void *rotate(void *arg)
{
    rotator *r = arg;
    kfe_key_provider *provider = NULL;
    r->err = kfe_key_provider_open(&provider, r->config);
    for (unsigned i = 0; !r->err && i < r->load->rotations; i++) {
        uint32_t version = 0;
        if (r->rotate)
            r->err = provider->ops->rotate(provider, "orders", &version);
        r->at[i] = now(CLOCK_REALTIME, 1000);
        /* A load lasts: this is no waiting for something. */
        const uint64_t ms = r->load->refresh_ms + TURN_MS;
        const struct timespec turn = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
        nanosleep(&turn, NULL);
    }
    kfe_key_provider_close(provider);
    atomic_store(&r->done, true);
    return NULL;
}

/* ---- Producing ------------------------------------------------------------------------------ */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    const unsigned bits = 63 - (unsigned)__builtin_clzll(ns);
    return bits * STEPS + (unsigned)(ns >> (bits - 3) & (STEPS - 1));
}

static double p999_of(const outcome *o)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += o->latency[i];
        if (seen >= o->n - o->n / 1000)
            return (double)((uint64_t)(STEPS + i % STEPS) << (i / STEPS)) / STEPS / 1000;
    }
    return 0;
}

static void produce_one(kfe_producer *producer, const char *topic, outcome *o)
{
    char value[65];
    snprintf(value, sizeof(value), "%064" PRIu64, o->n);
    for (;;) {
        kfe_message m = {.topic = topic,
                         .partition = 0,
                         .msgflags = RD_KAFKA_MSG_F_COPY,
                         .payload = value,
                         .len = 64};
        const int64_t start = now(CLOCK_MONOTONIC, 1000000000);
        rd_kafka_resp_err_t err = kfe_produce(producer, &m);
        const int64_t end = now(CLOCK_MONOTONIC, 1000000000);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            o->latency[bucket_of((uint64_t)(end - start))]++;
            o->n++;
            return;
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail_msg("%s: %s", rd_kafka_err2str(err), kfe_error_detail());
        kfe_producer_poll(producer, 5);
    }
}

static void produce_all(kfe_producer *producer, const char *topic, rotator *r, outcome *o)
{
    const int64_t start = now(CLOCK_MONOTONIC, 1000000);
    while (!atomic_load(&r->done)) {
        produce_one(producer, topic, o);
        if (o->n % 256 == 0)
            kfe_producer_poll(producer, 0);
        while (r->load->rate > 0 && !atomic_load(&r->done) &&
               (uint64_t)(now(CLOCK_MONOTONIC, 1000000) - start) * r->load->rate / 1000000 < o->n)
            kfe_producer_poll(producer, 1);
    }
    rig_flush(producer);
}

static uint64_t sealing_waits(kfe_producer *producer)
{
    char *text = NULL;
    assert_int_equal(kfe_engine_statistics(kfe_producer_engine(producer), &text), KFE_OK);
    cJSON *json = cJSON_Parse(text);
    const cJSON *seal = cJSON_GetObjectItem(json, "seal");
    uint64_t waits = (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(seal, "waits"));
    cJSON_Delete(json);
    free(text);
    return waits;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* All are there, in order, and open. */
static void read_back(const kfe_config *config, const char *topic, uint64_t n)
{
    static const char *const early[] = {"auto.offset.reset", "earliest", NULL};
    kfe_consumer *consumer = rig_consumer(config, topic, topic, early);
    for (uint64_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = rig_next(consumer);
        if (m == NULL)
            fail_msg("record %" PRIu64 " of %" PRIu64 " does not come", i, n);
        char value[65];
        snprintf(value, sizeof(value), "%064" PRIu64, i);
        if (!rig_is(m->payload, m->len, value))
            fail_msg("record %" PRIu64 " is another one", i);
        rd_kafka_message_destroy(m);
    }
    kfe_consumer_free(consumer);
}

static uint32_t version_of(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    kfe_header kfe[KFE_GROUPS_MAX];
    size_t n = 0;
    const void *value;
    size_t len;
    assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
    while (n < KFE_GROUPS_MAX && rd_kafka_header_get_all(headers, n, &name, &value, &len) == 0) {
        kfe[n] = (kfe_header){.name = {(const uint8_t *)name, strlen(name)}, .value = {value, len}};
        n++;
    }
    const kfe_record record = {
        .value = {m->payload, m->len}, .headers = kfe, .n_headers = n, .partition = 0};
    kfe_envelope_info info[KFE_GROUPS_MAX];
    assert_int_equal(kfe_inspect(&record, info, &n), KFE_OK);
    assert_int_equal(n, 1);
    return info[0].key_version;
}

/* When each version was first on the wire, by the records' own timestamps. Returns the longest
 * that one took. */
static int64_t slowest(const char *topic, uint64_t n, const rotator *r, uint32_t first)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rig_broker(), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "raw", NULL, 0);
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t longest = 0;
    uint32_t seen = first;
    for (uint64_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 30000);
        assert_non_null(m);
        assert_int_equal(m->err, 0);
        const uint32_t version = version_of(m);
        assert_true(version >= seen); /* never back */
        for (; seen < version; seen++) {
            int64_t took = rd_kafka_message_timestamp(m, NULL) - r->at[seen - first];
            longest = took > longest ? took : longest;
        }
        rd_kafka_message_destroy(m);
    }
    assert_int_equal(seen, first + r->load->rotations);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return longest;
}

/* ---- A run ---------------------------------------------------------------------------------- */

static uint32_t current_version(const kfe_config *config)
{
    kfe_key_provider *provider = NULL;
    kfe_key *key = NULL;
    assert_int_equal(kfe_key_provider_open(&provider, config), KFE_OK);
    assert_int_equal(provider->ops->get_current_key(provider, "orders", &key), KFE_OK);
    uint32_t version = key->version;
    key->ops->release(key);
    kfe_key_provider_close(provider);
    return version;
}

static outcome run(const load *l, bool rotates)
{
    static const char *const fast[] = {"linger.ms", "5", NULL};
    char refresh[24];
    snprintf(refresh, sizeof(refresh), "%" PRIu64, l->refresh_ms);
    kfe_config *config = rig_config("encryption.keyprovider.refresh.ms", refresh, NULL);
    const char *topic = rig_topic("rotation", 1, NULL);
    const uint32_t first = current_version(config);
    const unsigned lost = rig_failed();
    outcome o = {.n = 0};
    rotator r = {.config = config, .load = l, .rotate = rotates};
    kfe_producer *producer = rig_producer(config, fast);
    pthread_t thread;
    produce_one(producer, topic, &o); /* whoever comes first waits */
    assert_int_equal(pthread_create(&thread, NULL, rotate, &r), 0);
    produce_all(producer, topic, &r, &o);
    pthread_join(thread, NULL);
    assert_int_equal(r.err, KFE_OK);
    assert_int_equal(sealing_waits(producer), 1);
    kfe_producer_free(producer);
    assert_int_equal(rig_failed(), lost);
    o.p999_us = p999_of(&o);
    printf("%s: %" PRIu64
           " records, p99.9 of kfe_produce() %.1f us, none waited for the provider\n",
           rotates ? "rotating" : "at rest ", o.n, o.p999_us);
    if (rotates) {
        read_back(config, topic, o.n);
        const int64_t took = slowest(topic, o.n, &r, first);
        printf("%u rotations: none lost; the new version on the wire after %" PRId64
               " ms at most\n",
               l->rotations, took);
        assert_true(took <= (int64_t)l->refresh_ms + LATE_MS);
    }
    kfe_config_free(config);
    return o;
}

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void rotations_under_load(void **state)
{
    (void)state;
    const load l = {.rotations = (unsigned)setting("KFE_ROTATIONS", 3),
                    .refresh_ms = setting("KFE_REFRESH_MS", 200),
                    .rate = setting("KFE_RATE", 20000)};
    const unsigned pairs = (unsigned)setting("KFE_PAIRS", 0);
    double ratios[100] = {0};
    assert_in_range(l.rotations, 1, ROTATIONS_MAX);
    assert_in_range(pairs, 0, 100);
    if (pairs == 0)
        (void)run(&l, true);
    for (unsigned i = 0; i < pairs; i++) {
        const bool first = i % 2 == 0;
        const outcome a = run(&l, first), b = run(&l, !first);
        ratios[i] = first ? a.p999_us / b.p999_us : b.p999_us / a.p999_us;
    }
    if (pairs == 0)
        return;
    qsort(ratios, pairs, sizeof(ratios[0]), order);
    printf("p99.9 rotating / at rest: median %.2f of %u pairs (%.2f to %.2f)\n", ratios[pairs / 2],
           pairs, ratios[0], ratios[pairs - 1]);
}

int main(void)
{
    rig_init();
    setvbuf(stdout, NULL, _IOLBF, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(rotations_under_load)};
    return cmocka_run_group_tests_name("broker_rotation", tests, NULL, NULL);
}
