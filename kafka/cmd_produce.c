/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kafka/cmd_lines.h"
#include "kafka/cmd_options.h"
#include "kafka/cmd_progress.h"
#include "kafka/cmd_record.h"
#include "kafka/cmd_stats.h"

enum { WAIT_MS = 100, TOLD_FAILURES = 10 };

typedef struct {
    kfe_producer *producer;
    const kfe_cmd_options *options;
    kfe_cmd_lines lines;
    kfe_cmd_progress progress;
    uint64_t accepted, delivered, failed;
} run_state;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    run_state *run = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        run->delivered++;
        kfe_cmd_progress_set(&run->progress, run->delivered);
        return;
    }
    if (run->failed++ < TOLD_FAILURES)
        kfe_cmd_say("not delivered: %s [%" PRId32 "]: %s", run->options->topic, message->partition,
                    rd_kafka_err2str(message->err));
}

static void tell_refusal(const run_state *run, const kfe_message *m)
{
    if (m->err == RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION)
        kfe_cmd_say("line %" PRIu64 ": %s: %s", run->lines.number, kfe_error_name(m->error),
                    kfe_error_detail());
    else
        kfe_cmd_say("line %" PRIu64 ": %s", run->lines.number, rd_kafka_err2str(m->err));
}

/* A full queue is the broker's pace: wait for delivery reports and try again. */
static int produce_record(run_state *run, kfe_cmd_record *record)
{
    kfe_message m = {
        .topic = run->options->topic,
        .partition = run->options->partition,
        .msgflags = RD_KAFKA_MSG_F_COPY,
        .payload = (void *)(uintptr_t)record->value.data,
        .len = record->value.len,
        .key = record->key.data,
        .key_len = record->key.len,
        .headers = record->headers,
    };
    for (;;) {
        rd_kafka_resp_err_t err = kfe_produce(run->producer, &m);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            record->headers = NULL; /* the producer's now */
            run->accepted++;
            return KFE_EXIT_OK;
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            tell_refusal(run, &m);
            return KFE_EXIT_RECORDS;
        }
        if (kfe_cmd_stopped())
            return KFE_EXIT_OK;
        kfe_producer_poll(run->producer, WAIT_MS);
    }
}

static int produce_line(run_state *run, const char *line, size_t len)
{
    if (line[strspn(line, " \t\r")] == '\0' && strlen(line) == len)
        return KFE_EXIT_OK;
    kfe_cmd_record record;
    kfe_error err = kfe_cmd_record_init(&record, line, len);
    if (err) {
        kfe_cmd_say("line %" PRIu64 ": %s", run->lines.number, kfe_error_detail());
        return KFE_EXIT_FAILED;
    }
    int code = produce_record(run, &record);
    kfe_cmd_record_wipe(&record);
    return code;
}

static int produce_all(run_state *run)
{
    while (!kfe_cmd_stopped()) {
        kfe_producer_poll(run->producer, 0);
        char *line;
        size_t len;
        int code = KFE_EXIT_OK;
        switch (kfe_cmd_lines_next(&run->lines, &line, &len, WAIT_MS)) {
        case KFE_LINES_LINE:
            code = produce_line(run, line, len);
            break;
        case KFE_LINES_NONE:
            break;
        case KFE_LINES_END:
            return KFE_EXIT_OK;
        case KFE_LINES_ERROR:
            kfe_cmd_say("cannot read stdin: %s", strerror(errno));
            return KFE_EXIT_FAILED;
        }
        if (code != KFE_EXIT_OK)
            return code;
    }
    return KFE_EXIT_OK;
}

/* Bounded by message.timeout.ms, after which librdkafka gives every record up. */
static void flush(run_state *run)
{
    rd_kafka_t *rk = kfe_producer_handle(run->producer);
    while (rd_kafka_outq_len(rk) > 0)
        if (rd_kafka_flush(rk, WAIT_MS) != RD_KAFKA_RESP_ERR__TIMED_OUT)
            break;
}

static int finish(run_state *run, int code)
{
    flush(run);
    kfe_cmd_progress_end(&run->progress);
    if (run->failed > 0)
        kfe_cmd_say("%" PRIu64 " of %" PRIu64 " records were not delivered", run->failed,
                    run->accepted);
    else if (code != KFE_EXIT_OK || kfe_cmd_stopped())
        kfe_cmd_say("stopped; %" PRIu64 " records were delivered", run->delivered);
    return code == KFE_EXIT_OK && run->failed > 0 ? KFE_EXIT_RECORDS : code;
}

/* A record read from a line names no key, so without a KeyManager it would leave in clear: as a
 * default of the library that is KIP-317's, of a command it is a trap. */
static bool seals_or_is_told(const kfe_config *config)
{
    if (kfe_config_get(config, "encryption.keymanager.class") != NULL ||
        kfe_config_get(config, "encryption.unencrypted.topics") != NULL)
        return true;
    kfe_cmd_say(
        "no encryption.keymanager.class is set, so nothing would be sealed: set it (topic), "
        "or list the topics that stay in clear in encryption.unencrypted.topics");
    return false;
}

static int run(kfe_cmd_options *o)
{
    if (!kfe_cmd_options_need_topic(o) || !seals_or_is_told(o->config))
        return KFE_EXIT_FAILED;
    run_state run = {.options = o};
    rd_kafka_conf_set_dr_msg_cb(o->conf, on_delivery);
    rd_kafka_conf_set_error_cb(o->conf, kfe_cmd_on_error);
    /* Counted here, so all are wanted. */
    rd_kafka_conf_set(o->conf, "delivery.report.only.error", "false", NULL, 0);
    rd_kafka_conf_set_opaque(o->conf, &run);
    kfe_error err = kfe_producer_new(&run.producer, o->conf, o->config);
    if (err)
        return kfe_cmd_say_error(err);
    o->conf = NULL;
    kfe_cmd_stop_cleanly();
    if (kfe_cmd_stats_report(kfe_producer_engine(run.producer)) != KFE_OK)
        kfe_cmd_say("no statistics: %s", kfe_error_detail());
    kfe_cmd_lines_init(&run.lines, STDIN_FILENO);
    kfe_cmd_progress_init(&run.progress, "produced", false);
    int code = finish(&run, produce_all(&run));
    kfe_producer_free(run.producer);
    kfe_cmd_lines_wipe(&run.lines);
    return code;
}

static const char help[] =
    "Usage: kfe produce -b BROKERS -t TOPIC [-p PARTITION] [-F FILE] [-X NAME=VALUE]...\n"
    "\n"
    "Reads one JSON object a line from stdin, seals it and produces it:\n"
    "\n"
    "  {\"key\": K, \"value\": V, \"headers\": [[NAME, V], ...]}\n"
    "\n"
    "where each of K, V and NAME is a string, {\"base64\": \"...\"} or null (NAME is never null).\n"
    "What is left out is null. Any other member is refused. Blank lines are skipped.\n"
    "\n"
    "  -b, --brokers LIST     host:port,... (bootstrap.servers)\n"
    "  -t, --topic TOPIC      where to\n"
    "  -p, --partition N      all to this one (default: chosen from the key in clear)\n"
    "  -F, --file FILE        read name=value lines (default: the file that KFE_CONFIG names)\n"
    "  -X, --set NAME=VALUE   set one option, librdkafka's or encryption.*; wins over files\n"
    "\n"
    "The first line that is malformed (exit code 1), or that cannot be sealed or enqueued (2),\n"
    "stops the run; what came before it is still delivered. Exit code 2 also when a record could\n"
    "not be delivered.\n";

const kfe_cmd_verb kfe_cmd_produce = {
    "produce", "bptFXh", "seal JSON lines from stdin and produce them", help, run,
};
