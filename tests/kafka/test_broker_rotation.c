/* SPDX-License-Identifier: Apache-2.0 */

/* Does a rotation under load lose no record, keep none waiting, and reach the wire in time?
 *
 * KFE_ROTATIONS, KFE_REFRESH_MS, KFE_RATE (records/s; 0: all that goes), KFE_PAIRS: how much. With
 * pairs, runs with and without rotation take turns, and the median of the ratios of their p99.9 of
 * kfe_produce() may be 1.2. KFE_CALL_US: the keys are in a token whose calls take that much longer
 * each, not in a file. */
#include "tests/kafka/load.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURN_MS = 700, LATE_MS = 1000, ROTATIONS_MAX = 1000 };

typedef struct {
    const load *load;
    unsigned rotations;
    bool rotate;
    atomic_bool done;
    int64_t at[ROTATIONS_MAX]; /* wall clock in ms */
    kfe_error err;
} rotator;

static void *rotate(void *arg)
{
    rotator *r = arg;
    kfe_key_provider *provider = NULL;
    r->err = kfe_key_provider_open(&provider, r->load->config);
    for (unsigned i = 0; !r->err && i < r->rotations; i++) {
        uint32_t version = 0;
        if (r->rotate)
            r->err = provider->ops->rotate(provider, r->load->key, &version);
        r->at[i] = load_now(CLOCK_REALTIME, 1000);
        /* A load lasts: this is no waiting for something. */
        const uint64_t ms = r->load->refresh_ms + TURN_MS;
        const struct timespec turn = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
        nanosleep(&turn, NULL);
    }
    kfe_key_provider_close(provider);
    atomic_store(&r->done, true);
    return NULL;
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
static int64_t slowest(const rotator *r)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rig_broker(), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "raw", NULL, 0);
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, r->load->topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t longest = 0;
    uint32_t seen = 1;
    for (uint64_t i = 0; i < r->load->n; i++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 30000);
        assert_non_null(m);
        assert_int_equal(m->err, 0);
        const uint32_t version = version_of(m);
        assert_true(version >= seen); /* never back */
        for (; seen < version; seen++) {
            int64_t took = rd_kafka_message_timestamp(m, NULL) - r->at[seen - 1];
            longest = took > longest ? took : longest;
        }
        rd_kafka_message_destroy(m);
    }
    assert_int_equal(seen, 1 + r->rotations);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return longest;
}

/* Returns the p99.9. */
static double run(unsigned rotations, bool rotates)
{
    static load l;
    load_begin(&l, load_setting("KFE_REFRESH_MS", 200), load_setting("KFE_RATE", 20000));
    rotator r = {.load = &l, .rotations = rotations, .rotate = rotates};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, rotate, &r), 0);
    load_run(&l, &r.done);
    pthread_join(thread, NULL);
    assert_int_equal(r.err, KFE_OK);
    load_end(&l);
    printf("%s: %" PRIu64
           " records, p99.9 of kfe_produce() %.1f us, none waited for the provider\n",
           rotates ? "rotating" : "at rest ", l.n, l.p999_us);
    if (rotates) {
        load_read_back(&l);
        const int64_t took = slowest(&r);
        printf("%u rotations: none lost; the new version on the wire after %" PRId64
               " ms at most\n",
               rotations, took);
        assert_true(took <= (int64_t)l.refresh_ms + LATE_MS);
    }
    load_free(&l);
    return l.p999_us;
}

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void rotations_under_load(void **state)
{
    (void)state;
    const unsigned rotations = (unsigned)load_setting("KFE_ROTATIONS", 3);
    const unsigned pairs = (unsigned)load_setting("KFE_PAIRS", 0);
    double ratios[100] = {0};
    assert_in_range(rotations, 1, ROTATIONS_MAX);
    assert_in_range(pairs, 0, 100);
    if (pairs == 0)
        (void)run(rotations, true);
    for (unsigned i = 0; i < pairs; i++) {
        const bool first = i % 2 == 0;
        const double a = run(rotations, first), b = run(rotations, !first);
        ratios[i] = first ? a / b : b / a;
    }
    if (pairs == 0)
        return;
    qsort(ratios, pairs, sizeof(ratios[0]), order);
    printf("p99.9 rotating / at rest: median %.2f of %u pairs (%.2f to %.2f), limit 1.20\n",
           ratios[pairs / 2], pairs, ratios[0], ratios[pairs - 1]);
    assert_true(ratios[pairs / 2] <= 1.2);
}

int main(void)
{
    load_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(rotations_under_load)};
    return cmocka_run_group_tests_name("broker_rotation", tests,
                                       getenv("KFE_CALL_US") != NULL ? load_token : NULL, NULL);
}
