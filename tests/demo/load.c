/* SPDX-License-Identifier: Apache-2.0 */

/* Produces N orders and consumes them at the same time, with encryption or without, and checks
 * what comes out.
 *
 *     demo_load plain|sealed|rotate CONFIG BROKERS TOPIC PARTITIONS N
 *
 * `rotate` prints "half" in the middle and goes on slowly, until a line comes on stdin and for
 * one second more: time for another process to rotate the key, and for this one to notice.
 * The last line printed is `records R seconds S cpu_us C`: wall time from the first record
 * produced to the last one consumed, and CPU time of this process per record. Exit code 1 when
 * a record is missing, refused or different. */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/demo/order.h"
#include "tests/demo/reader.h"

enum { BATCH = 256, DROPS = 32, DROP_MS = 20, WORD_MS = 30000 };

typedef struct {
    const char *mode, *config, *brokers, *topic;
    int partitions;
    uint64_t n;
} plan;

typedef struct {
    kfe_producer *sealed;
    rd_kafka_t *plain;
    uint64_t hash, undelivered;
} writer;

static bool is_plain(const plan *p)
{
    return strcmp(p->mode, "plain") == 0;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    writer *w = opaque;
    w->undelivered += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_conf_t *make_conf(const plan *p, kfe_config *config, bool producer)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kfe_error err = kfe_kafka_load(conf, config, p->config);
    if (!err)
        err = kfe_kafka_set(conf, config, "bootstrap.servers", p->brokers);
    if (!err && producer)
        err = kfe_kafka_set(conf, config, "linger.ms", "5");
    if (!err && !producer)
        err = kfe_kafka_set(conf, config, "group.id", "demo");
    if (!err)
        return conf;
    fprintf(stderr, "demo_load: %s\n", kfe_error_detail());
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static bool make_clients(const plan *p, kfe_config *config, writer *w, demo_reader *r)
{
    char why[256] = "";
    rd_kafka_conf_t *out = make_conf(p, config, true), *in = make_conf(p, config, false);
    if (out == NULL || in == NULL)
        return false;
    rd_kafka_conf_set_dr_msg_cb(out, on_delivery);
    rd_kafka_conf_set_opaque(out, w);
    if (is_plain(p)) {
        w->plain = rd_kafka_new(RD_KAFKA_PRODUCER, out, why, sizeof(why));
        r->plain = rd_kafka_new(RD_KAFKA_CONSUMER, in, why, sizeof(why));
        if (r->plain != NULL)
            rd_kafka_poll_set_consumer(r->plain);
    } else {
        kfe_error err = kfe_producer_new(&w->sealed, out, config);
        if (!err)
            err = kfe_consumer_new(&r->sealed, in, config);
        snprintf(why, sizeof(why), "%s", err ? kfe_error_detail() : "");
    }
    if (why[0] != '\0')
        fprintf(stderr, "demo_load: %s\n", why);
    return (w->plain != NULL && r->plain != NULL) || (w->sealed != NULL && r->sealed != NULL);
}

static bool send_plain(writer *w, kfe_message *m)
{
    m->err =
        rd_kafka_producev(w->plain, RD_KAFKA_V_TOPIC(m->topic), RD_KAFKA_V_MSGFLAGS(m->msgflags),
                          RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_VALUE(m->payload, m->len),
                          RD_KAFKA_V_HEADERS(m->headers), RD_KAFKA_V_END);
    return m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void poll_reports(writer *w, int timeout_ms)
{
    if (w->sealed != NULL)
        kfe_producer_poll(w->sealed, timeout_ms);
    else
        rd_kafka_poll(w->plain, timeout_ms);
}

/* Keeps at it while the queue is full. False: a record failed for another reason. */
static bool send_batch(writer *w, kfe_message *messages, size_t n)
{
    while (n > 0) {
        if (w->sealed != NULL)
            kfe_produce_batch(w->sealed, messages, n);
        else
            for (size_t i = 0; i < n; i++)
                send_plain(w, &messages[i]);
        size_t left = 0;
        for (size_t i = 0; i < n; i++) {
            if (messages[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
                continue;
            if (messages[i].err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
                fprintf(stderr, "demo_load: %s: %s\n", rd_kafka_err2str(messages[i].err),
                        kfe_error_detail());
                return false;
            }
            messages[left++] = messages[i];
        }
        n = left;
        poll_reports(w, n > 0 ? 10 : 0);
    }
    return true;
}

static bool produce(const plan *p, writer *w, uint64_t from, uint64_t to)
{
    static demo_order orders[BATCH];
    static kfe_message messages[BATCH];
    while (from < to) {
        size_t n = to - from < BATCH ? (size_t)(to - from) : BATCH;
        for (size_t i = 0; i < n; i++) {
            demo_order *o = &orders[i];
            demo_order_make(o, from + i);
            messages[i] = (kfe_message){.topic = p->topic,
                                        .partition = RD_KAFKA_PARTITION_UA,
                                        .msgflags = RD_KAFKA_MSG_F_COPY,
                                        .payload = o->value,
                                        .len = o->value_len,
                                        .key = o->key,
                                        .key_len = o->key_len,
                                        .headers = demo_order_headers(o)};
            w->hash +=
                demo_order_hash(o->key, o->key_len, o->value, o->value_len, messages[i].headers);
        }
        if (!send_batch(w, messages, n))
            return false;
        from += n;
    }
    return true;
}

/* Goes on slowly while `while_quiet`, until a word comes on stdin, else for a second; at most up
 * to record `most`. Returns how far it came, 0 on failure. */
static uint64_t trickle(const plan *p, writer *w, uint64_t from, uint64_t most, bool while_quiet)
{
    double until = now_s() + 1;
    while (from + DROPS <= most && (while_quiet || now_s() < until)) {
        struct pollfd word = {.fd = STDIN_FILENO, .events = POLLIN};
        if (!produce(p, w, from, from + DROPS))
            return 0;
        from += DROPS;
        if (poll(&word, while_quiet, DROP_MS) == 1)
            return from;
    }
    return from;
}

static bool wait_for_word(void)
{
    struct pollfd word = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&word, 1, WORD_MS) == 1;
}

static bool produce_rotated(const plan *p, writer *w)
{
    uint64_t at = p->n / 2;
    if (!produce(p, w, 0, at))
        return false;
    puts("half");
    fflush(stdout);
    at = trickle(p, w, at, p->n * 7 / 10, true);
    if (at == 0 || !wait_for_word())
        return false;
    at = trickle(p, w, at, p->n * 9 / 10, false);
    return at > 0 && produce(p, w, at, p->n);
}

static bool produce_all(const plan *p, writer *w)
{
    return strcmp(p->mode, "rotate") == 0 ? produce_rotated(p, w) : produce(p, w, 0, p->n);
}

static bool check(const plan *p, const writer *w, const demo_reader *r)
{
    if (r->why[0] != '\0')
        fprintf(stderr, "demo_load: %s\n", r->why);
    if (w->undelivered > 0 || r->count != p->n)
        fprintf(stderr, "demo_load: %" PRIu64 " of %" PRIu64 " records came, %" PRIu64 " refused\n",
                r->count, p->n, r->refused);
    else if (r->hash != w->hash)
        fprintf(stderr, "demo_load: the content differs\n");
    return w->undelivered == 0 && r->refused == 0 && r->count == p->n && r->hash == w->hash;
}

static bool run(const plan *p, writer *w, demo_reader *r)
{
    double cpu = cpu_s(), start = now_s();
    if (!demo_reader_start(r, p->topic, p->partitions))
        return false;
    bool fine = produce_all(p, w);
    rd_kafka_flush(w->sealed != NULL ? kfe_producer_handle(w->sealed) : w->plain, 20000);
    if (!fine)
        return false;
    demo_reader_join(r);
    double seconds = now_s() - start;
    cpu = cpu_s() - cpu;
    fine = check(p, w, r);
    if (fine)
        printf("records %" PRIu64 " seconds %.3f cpu_us %.2f hash %016" PRIx64 "\n", r->count,
               seconds, cpu * 1e6 / (double)r->count, r->hash);
    return fine;
}

static void free_clients(writer *w, demo_reader *r)
{
    kfe_producer_free(w->sealed);
    kfe_consumer_free(r->sealed);
    if (w->plain != NULL)
        rd_kafka_destroy(w->plain);
    if (r->plain != NULL) {
        rd_kafka_consumer_close(r->plain);
        rd_kafka_destroy(r->plain);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fputs("demo_load plain|sealed|rotate CONFIG BROKERS TOPIC PARTITIONS N\n", stderr);
        return 1;
    }
    plan p = {.mode = argv[1], .config = argv[2], .brokers = argv[3], .topic = argv[4]};
    p.partitions = (int)strtol(argv[5], NULL, 10);
    p.n = strtoull(argv[6], NULL, 10);
    writer w = {0};
    demo_reader r = {.expected = p.n};
    kfe_config *config = NULL;
    if (p.partitions < 1 || p.n < 1 || kfe_config_new(&config))
        return 1;
    bool fine = make_clients(&p, config, &w, &r) && run(&p, &w, &r);
    if (!fine)
        return 1; /* the reader may still run: leave it all to the system */
    free_clients(&w, &r);
    kfe_config_free(config);
    return 0;
}
