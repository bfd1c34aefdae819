/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "kafka/cmd_ends.h"
#include "kafka/cmd_json.h"
#include "kafka/cmd_options.h"
#include "kafka/cmd_progress.h"
#include "kafka/cmd_stats.h"

enum { WAIT_MS = 200 };

typedef struct {
    kfe_consumer *consumer;
    const kfe_cmd_options *options;
    kfe_cmd_ends ends;
    kfe_cmd_progress progress;
    uint64_t shown, refused;
} run_state;

/* Nothing is wrong with the record, and its partition is tried again. */
static bool will_wait(kfe_error error)
{
    return error == KFE_E_BUSY || error == KFE_E_PROVIDER || error == KFE_E_MEMORY ||
           error == KFE_E_RANDOM || error == KFE_E_IO;
}

static void on_refused(void *arg, const char *topic, int32_t partition, int64_t offset,
                       kfe_error error, const char *detail)
{
    run_state *run = arg;
    bool waits = will_wait(error);
    run->refused += !waits;
    kfe_cmd_say("%s [%" PRId32 "] @%" PRId64 ": %s: %s%s", topic, partition, offset,
                kfe_error_name(error), detail, waits ? " (waiting, and trying again)" : "");
}

/* Tells which fields come out as they are stored, as their key is not at hand. */
static void write_sealed(const rd_kafka_message_t *m)
{
    const char *separator = ",\"sealed\":[";
    if (kfe_message_is_sealed(m, KFE_KEY)) {
        printf("%s\"key\"", separator);
        separator = ",";
    }
    if (kfe_message_is_sealed(m, KFE_VALUE)) {
        printf("%s\"value\"", separator);
        separator = ",";
    }
    rd_kafka_headers_t *headers = NULL;
    size_t n = 0;
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        n = rd_kafka_header_cnt(headers);
    for (size_t i = 0; i < n; i++) {
        if (!kfe_message_is_sealed(m, (int)i))
            continue;
        printf("%s\"header %zu\"", separator, i);
        separator = ",";
    }
    if (separator[1] == '\0')
        putchar(']');
}

static void write_record(const run_state *run, const rd_kafka_message_t *m)
{
    putchar('{');
    kfe_cmd_json_fields(stdout, m);
    putchar(',');
    kfe_cmd_json_place(stdout, m);
    if (kfe_config_flag(run->options->config, "encryption.consumer.partial"))
        write_sealed(m);
    fputs("}\n", stdout);
}

/* KFE_EXIT_OK: the run goes on. */
static int take(run_state *run, const rd_kafka_message_t *m)
{
    if (kfe_message_error(m) != KFE_OK)
        return KFE_EXIT_RECORDS; /* encryption.consumer.on.error=fail; it was told */
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kfe_cmd_ends_note(&run->ends, m) ? KFE_EXIT_OK : KFE_EXIT_FAILED;
    write_record(run, m);
    kfe_cmd_progress_set(&run->progress, ++run->shown);
    return KFE_EXIT_OK;
}

static int consume_all(run_state *run)
{
    int code = KFE_EXIT_OK;
    while (code == KFE_EXIT_OK && !kfe_cmd_ends_done(&run->ends, run->options, run->shown)) {
        /* Flush only before waiting: a burst goes out in large writes, a trickle at once. */
        rd_kafka_message_t *m = kfe_consume(run->consumer, 0);
        if (m == NULL) {
            if (!kfe_cmd_flush(&code))
                break;
            m = kfe_consume(run->consumer, WAIT_MS);
        }
        if (m == NULL)
            continue;
        code = take(run, m);
        rd_kafka_message_destroy(m);
        if (ferror(stdout))
            break;
    }
    kfe_cmd_flush(&code);
    return code == KFE_EXIT_OK && run->refused > 0 ? KFE_EXIT_RECORDS : code;
}

static int run_with(run_state *run)
{
    kfe_consumer_on_refused(run->consumer, on_refused, run);
    kfe_error err = kfe_cmd_ends_init(&run->ends, kfe_consumer_handle(run->consumer), run->options);
    if (err)
        return kfe_cmd_say_error(err);
    kfe_cmd_progress_init(&run->progress, "consumed", true);
    int code = consume_all(run);
    kfe_cmd_progress_end(&run->progress);
    return code;
}

static int run(kfe_cmd_options *o)
{
    if (!kfe_cmd_options_need_topic(o))
        return KFE_EXIT_FAILED;
    run_state run = {.options = o};
    kfe_error err = kfe_cmd_ends_prepare(o);
    if (!err)
        err = kfe_consumer_new(&run.consumer, o->conf, o->config);
    if (err)
        return kfe_cmd_say_error(err);
    o->conf = NULL;
    kfe_cmd_stop_cleanly();
    if (kfe_cmd_stats_report(kfe_consumer_engine(run.consumer)) != KFE_OK)
        kfe_cmd_say("no statistics: %s", kfe_error_detail());
    int code = run_with(&run);
    kfe_cmd_ends_wipe(&run.ends);
    kfe_consumer_free(run.consumer);
    return code;
}

static const char help[] =
    "Usage: kfe consume -b BROKERS -t TOPIC [-e] [-c N] [-o OFFSET] [-p PARTITION]\n"
    "                   [-F FILE] [-X NAME=VALUE]...\n"
    "\n"
    "Consumes a topic from its beginning, opens each record and writes it as one JSON object a\n"
    "line, as kfe produce reads them, with \"partition\", \"offset\" and \"timestamp\" (ms) "
    "besides.\n"
    "\n"
    "  -b, --brokers LIST     host:port,... (bootstrap.servers)\n"
    "  -t, --topic TOPIC      where from\n"
    "  -e, --exit             exit when all partitions have been read to the end\n"
    "  -c, --count N          exit after N records\n"
    "  -o, --offset OFFSET    start at beginning (default), end, or an offset in each partition\n"
    "  -p, --partition N      only this one (default: all)\n"
    "  -F, --file FILE        read name=value lines (default: the file that KFE_CONFIG names)\n"
    "  -X, --set NAME=VALUE   set one option, librdkafka's or encryption.*; wins over files\n"
    "\n"
    "A record that is refused gives one line on stderr: topic [partition] @offset: error: detail.\n"
    "With encryption.consumer.on.error=fail (default) the run ends there, with =skip it goes on;\n"
    "exit code 2 in both cases. While the KeyProvider cannot answer, the partition waits, which "
    "one\n"
    "line tells, and is tried again. No offset is committed unless enable.auto.commit=true is "
    "set.\n"
    "With encryption.consumer.partial=true, \"sealed\" lists the fields that stayed sealed.\n";

const kfe_cmd_verb kfe_cmd_consume = {
    "consume", "bceoptFXh", "consume, open and write JSON lines to stdout", help, run,
};
