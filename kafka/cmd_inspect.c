/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/cmd_ends.h"
#include "kafka/cmd_json.h"
#include "kafka/cmd_options.h"

/* Reads with librdkafka alone: no key, no engine, no configuration of ours takes part, so that
 * what it shows is what is stored. */

enum { WAIT_MS = 200 };

typedef struct {
    rd_kafka_t *rk;
    const kfe_cmd_options *options;
    kfe_cmd_ends ends;
    uint64_t shown, malformed;
    kfe_header *headers; /* views, room for `cap` */
    size_t cap;
} run_state;

static const char *session_name(unsigned kind)
{
    return kind == 0 ? "derived" : kind == 1 ? "wrapped" : "direct";
}

static const char *key_cover(kfe_key_cover cover)
{
    switch (cover) {
    case KFE_KEY_UNCOVERED:
        return "uncovered";
    case KFE_KEY_SEALED:
        return "sealed";
    case KFE_KEY_DETERMINISTIC:
        return "deterministic";
    case KFE_KEY_NULL:
        return "null";
    }
    return "unknown";
}

static const char *value_cover(kfe_value_cover cover)
{
    switch (cover) {
    case KFE_VALUE_UNCOVERED:
        return "uncovered";
    case KFE_VALUE_SEALED:
        return "sealed";
    case KFE_VALUE_NULL:
        return "null";
    }
    return "unknown";
}

static void write_covered(const kfe_envelope_info *e)
{
    const char *separator = "";
    fputs(",\"covered\":[", stdout);
    if (e->key != KFE_KEY_UNCOVERED) {
        fputs("\"key\"", stdout);
        separator = ",";
    }
    if (e->value != KFE_VALUE_UNCOVERED) {
        printf("%s\"value\"", separator);
        separator = ",";
    }
    for (unsigned i = 0; i < e->n_headers; i++) {
        if ((e->header_map[i / 8] >> (i % 8) & 1) == 0)
            continue;
        printf("%s\"header %u\"", separator, i);
        separator = ",";
    }
    fputs("]", stdout);
}

static void write_envelope(const kfe_envelope_info *e)
{
    printf("{\"format\":%u,\"suite\":", e->format);
    kfe_cmd_json_string(stdout, e->suite);
    fputs(",\"key\":", stdout);
    kfe_cmd_json_bytes(stdout, e->key_name, strlen(e->key_name));
    printf(",\"version\":%" PRIu32 ",\"scope\":\"%s\"", e->key_version,
           e->record_scope ? "record" : "field");
    write_covered(e);
    printf(",\"key_state\":\"%s\",\"value_state\":\"%s\"", key_cover(e->key),
           value_cover(e->value));
    if (e->key == KFE_KEY_DETERMINISTIC) {
        fputs(",\"deterministic_key\":", stdout);
        kfe_cmd_json_bytes(stdout, e->deterministic_name, strlen(e->deterministic_name));
        printf(",\"deterministic_version\":%" PRIu32, e->deterministic_version);
    }
    printf(",\"headers\":%u,\"group\":%u,\"groups\":%u,\"session\":\"%s\",\"committed\":%s"
           ",\"counter\":%" PRIu64 "}",
           e->n_headers, e->group, e->n_groups, session_name(e->session_kind),
           e->committed ? "true" : "false", e->counter);
}

static bool grow(run_state *run, size_t n)
{
    if (n <= run->cap)
        return true;
    kfe_header *headers = reallocarray(run->headers, n, sizeof(*headers));
    if (headers == NULL)
        return false;
    run->headers = headers;
    run->cap = n;
    return true;
}

/* *malformed: the headers themselves cannot be read. */
static bool view_headers(run_state *run, const rd_kafka_message_t *m, size_t *n, bool *malformed)
{
    rd_kafka_headers_t *list = NULL;
    *n = 0;
    rd_kafka_resp_err_t err = rd_kafka_message_headers(m, &list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        *malformed = err != RD_KAFKA_RESP_ERR__NOENT;
        return true;
    }
    *n = rd_kafka_header_cnt(list);
    if (!grow(run, *n))
        return false;
    for (size_t i = 0; i < *n; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t len = 0;
        rd_kafka_header_get_all(list, i, &name, &value, &len);
        memset(&run->headers[i], 0, sizeof(run->headers[i]));
        run->headers[i].name = (kfe_bytes){(const uint8_t *)name, strlen(name)};
        run->headers[i].value = (kfe_bytes){value, len};
    }
    return true;
}

static bool inspect_record(run_state *run, const rd_kafka_message_t *m)
{
    size_t n_headers, n = 0;
    bool malformed = false;
    if (!view_headers(run, m, &n_headers, &malformed)) {
        kfe_cmd_say("out of memory");
        return false;
    }
    const char *topic = run->options->topic;
    kfe_record record = {
        .topic = {(const uint8_t *)topic, strlen(topic)},
        .key = {m->key, m->key_len},
        .value = {m->payload, m->len},
        .headers = run->headers,
        .n_headers = n_headers,
        .partition = m->partition,
    };
    kfe_envelope_info envelopes[KFE_GROUPS_MAX];
    kfe_error err = malformed ? kfe_fail(KFE_E_AUTH, "the record's headers cannot be read")
                              : kfe_inspect(&record, envelopes, &n);
    fputs("{\"topic\":", stdout);
    kfe_cmd_json_string(stdout, topic);
    putchar(',');
    kfe_cmd_json_place(stdout, m);
    printf(",\"state\":\"%s\",\"envelopes\":[", err ? "malformed" : n > 0 ? "sealed" : "clear");
    for (size_t i = 0; !err && i < n; i++) {
        fputs(i > 0 ? "," : "", stdout);
        write_envelope(&envelopes[i]);
    }
    putchar(']');
    if (err) {
        run->malformed++;
        fputs(",\"error\":", stdout);
        kfe_cmd_json_string(stdout, kfe_error_detail());
    }
    fputs("}\n", stdout);
    run->shown++;
    return true;
}

static int inspect_all(run_state *run)
{
    int code = KFE_EXIT_OK;
    while (code == KFE_EXIT_OK && !kfe_cmd_ends_done(&run->ends, run->options, run->shown)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(run->rk, 0);
        if (m == NULL) {
            if (!kfe_cmd_flush(&code))
                break;
            m = rd_kafka_consumer_poll(run->rk, WAIT_MS);
        }
        if (m == NULL)
            continue;
        bool fine = m->err == RD_KAFKA_RESP_ERR_NO_ERROR ? inspect_record(run, m)
                                                         : kfe_cmd_ends_note(&run->ends, m);
        rd_kafka_message_destroy(m);
        if (!fine)
            code = KFE_EXIT_FAILED;
        if (ferror(stdout))
            break;
    }
    kfe_cmd_flush(&code);
    return code == KFE_EXIT_OK && run->malformed > 0 ? KFE_EXIT_RECORDS : code;
}

static int run(kfe_cmd_options *o)
{
    if (!kfe_cmd_options_need_topic(o))
        return KFE_EXIT_FAILED;
    run_state run = {.options = o};
    kfe_error err = kfe_cmd_ends_prepare(o);
    if (err)
        return kfe_cmd_say_error(err);
    char why[256] = "";
    run.rk = rd_kafka_new(RD_KAFKA_CONSUMER, o->conf, why, sizeof(why));
    if (run.rk == NULL) {
        kfe_cmd_say("cannot make a consumer: %s", why);
        return KFE_EXIT_FAILED;
    }
    o->conf = NULL;
    kfe_cmd_stop_cleanly();
    rd_kafka_poll_set_consumer(run.rk);
    err = kfe_cmd_ends_init(&run.ends, run.rk, o);
    int code = err ? kfe_cmd_say_error(err) : inspect_all(&run);
    kfe_cmd_ends_wipe(&run.ends);
    rd_kafka_consumer_close(run.rk);
    rd_kafka_destroy(run.rk);
    free(run.headers);
    return code;
}

static const char help[] =
    "Usage: kfe inspect -b BROKERS -t TOPIC [-e] [-c N] [-o OFFSET] [-p PARTITION]\n"
    "                   [-F FILE] [-X NAME=VALUE]...\n"
    "\n"
    "Reads a topic as it is stored and writes what the envelopes say, one JSON object a line.\n"
    "Needs no key and no encryption.* option. Nothing is verified: whoever can write to the topic\n"
    "can make an envelope say anything.\n"
    "\n"
    "  {\"topic\":T, \"partition\":N, \"offset\":N, \"timestamp\":MS, \"state\":S, "
    "\"envelopes\":[...]}\n"
    "\n"
    "S is sealed, clear (no envelope) or malformed (\"error\" tells why). An envelope has format,\n"
    "suite, key, version, scope (field or record), covered (\"key\", \"value\", \"header 0\", "
    "...),\n"
    "key_state, value_state, headers, group, groups, session, committed and counter, and for a\n"
    "deterministic key also deterministic_key and deterministic_version.\n"
    "\n"
    "  -b, --brokers LIST     host:port,... (bootstrap.servers)\n"
    "  -t, --topic TOPIC      where from\n"
    "  -e, --exit             exit when all partitions have been read to the end\n"
    "  -c, --count N          exit after N records\n"
    "  -o, --offset OFFSET    start at beginning (default), end, or an offset in each partition\n"
    "  -p, --partition N      only this one (default: all)\n"
    "  -F, --file FILE        read name=value lines (default: the file that KFE_CONFIG names)\n"
    "  -X, --set NAME=VALUE   set one option; wins over files\n"
    "\n"
    "Exit code 2 when a record was malformed.\n";

const kfe_cmd_verb kfe_cmd_inspect = {
    "inspect", "bceoptFXh", "tell what the envelopes of a topic say, without keys", help, run,
};
