/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/cmd_options.h"
#include "kafka/cmd_secret.h"

static const struct option long_options[] = {
    {"brokers", required_argument, NULL, 'b'},
    {"count", required_argument, NULL, 'c'},
    {"exit", no_argument, NULL, 'e'},
    {"offset", required_argument, NULL, 'o'},
    {"partition", required_argument, NULL, 'p'},
    {"topic", required_argument, NULL, 't'},
    {"file", required_argument, NULL, 'F'},
    {"set", required_argument, NULL, 'X'},
    {"yes", no_argument, NULL, 'y'},
    {"help", no_argument, NULL, 'h'},
    {"stats", no_argument, NULL, 's'},
    {"kind", required_argument, NULL, 'k'},
    {"kek", required_argument, NULL, 'K'},
    {NULL, 0, NULL, 0},
};
static const char short_options[] = ":b:c:eo:p:t:F:X:yhsk:K:";

/* Digits only, and all of them. */
static bool read_number(const char *text, uint64_t max, uint64_t *out)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > max)
        return false;
    *out = number;
    return true;
}

static bool read_offset(const char *text, int64_t *out)
{
    uint64_t number;
    if (strcmp(text, "beginning") == 0)
        *out = RD_KAFKA_OFFSET_BEGINNING;
    else if (strcmp(text, "end") == 0)
        *out = RD_KAFKA_OFFSET_END;
    else if (read_number(text, INT64_MAX, &number))
        *out = (int64_t)number;
    else
        return false;
    return true;
}

static bool read_value(kfe_cmd_options *o, int letter)
{
    uint64_t number;
    switch (letter) {
    case 'b':
        o->brokers = optarg;
        return true;
    case 't':
        o->topic = optarg;
        return optarg[0] != '\0';
    case 'k':
        o->kind = optarg;
        return optarg[0] != '\0';
    case 'K':
        o->kek = optarg;
        return optarg[0] != '\0';
    case 'F':
        o->files.items[o->files.n++] = optarg;
        return true;
    case 'X':
        o->settings.items[o->settings.n++] = optarg;
        return optarg[0] != '=' && strchr(optarg, '=') != NULL;
    case 'o':
        return read_offset(optarg, &o->offset);
    case 'c':
        return read_number(optarg, UINT64_MAX, &o->count) && o->count > 0;
    case 'p':
        if (!read_number(optarg, INT32_MAX, &number))
            return false;
        o->partition = (int32_t)number;
        return true;
    default:
        return false;
    }
}

static const char *value_form(int letter)
{
    switch (letter) {
    case 't':
        return "a topic";
    case 'k':
        return "derived, wrapped, direct or rsa";
    case 'K':
        return "the name of a key";
    case 'X':
        return "name=value";
    case 'o':
        return "beginning, end or an offset";
    case 'c':
        return "a number above 0";
    default:
        return "a number";
    }
}

static bool read_option(kfe_cmd_options *o, int letter)
{
    const char *verb = o->verb->name;
    if (letter == '?' && optopt == 0) {
        kfe_cmd_say("there is no such option; see kfe %s --help", verb);
        return false;
    }
    if (letter == '?' || letter == ':') {
        kfe_cmd_say(letter == '?' ? "there is no option -%c; see kfe %s --help"
                                  : "option -%c wants a value; see kfe %s --help",
                    optopt, verb);
        return false;
    }
    if (strchr(o->verb->letters, letter) == NULL) {
        kfe_cmd_say("kfe %s takes no option -%c; see kfe %s --help", verb, letter, verb);
        return false;
    }
    switch (letter) {
    case 'h':
        o->help = true;
        return true;
    case 'e':
        o->exit_at_end = true;
        return true;
    case 'y':
        o->yes = true;
        return true;
    case 's':
        o->stats = true;
        return true;
    default:
        break;
    }
    if (read_value(o, letter))
        return true;
    /* The value is not repeated: with -X it might be a secret that does not belong there. */
    kfe_cmd_say("option -%c wants %s", letter, value_form(letter));
    return false;
}

bool kfe_cmd_options_init(kfe_cmd_options *out, const kfe_cmd_verb *verb, int argc, char **argv)
{
    memset(out, 0, sizeof(*out));
    out->verb = verb;
    out->partition = RD_KAFKA_PARTITION_UA;
    out->offset = RD_KAFKA_OFFSET_BEGINNING;
    /* No more options than words. */
    out->files.items = calloc((size_t)argc, sizeof(*out->files.items));
    out->settings.items = calloc((size_t)argc, sizeof(*out->settings.items));
    if (out->files.items == NULL || out->settings.items == NULL) {
        kfe_cmd_say("out of memory");
        return false;
    }
    opterr = 0;
    optind = 1;
    for (;;) {
        int letter = getopt_long(argc, argv, short_options, long_options, NULL);
        if (letter == -1)
            break;
        if (!read_option(out, letter))
            return false;
    }
    out->args = argv + optind;
    out->n_args = argc - optind;
    return true;
}

/* A tool that looks at a topic must leave no trace in a consumer group. librdkafka wants a
 * group's name all the same. */
static const char *const defaults[][2] = {
    {"group.id", "kfe"},
    {"enable.auto.commit", "false"},
    {"auto.offset.reset", "earliest"},
};

static kfe_error set_defaults(kfe_cmd_options *o)
{
    if (strchr(o->verb->letters, 'e') == NULL)
        return KFE_OK; /* no consumer */
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        kfe_error err = kfe_kafka_set(o->conf, o->config, defaults[i][0], defaults[i][1]);
        if (err)
            return err;
    }
    return KFE_OK;
}

static kfe_error load_files(kfe_cmd_options *o)
{
    const char *fallback = secure_getenv("KFE_CONFIG");
    if (o->files.n == 0 && fallback != NULL && fallback[0] != '\0')
        return kfe_kafka_load(o->conf, o->config, fallback);
    for (size_t i = 0; i < o->files.n; i++) {
        kfe_error err = kfe_kafka_load(o->conf, o->config, o->files.items[i]);
        if (err)
            return err;
    }
    return KFE_OK;
}

static kfe_error set_one(kfe_cmd_options *o, const char *setting)
{
    const char *equals = strchr(setting, '=');
    char *name = strndup(setting, (size_t)(equals - setting));
    if (name == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_error err = kfe_kafka_set(o->conf, o->config, name, equals + 1);
    free(name);
    return err;
}

static kfe_error load_all(kfe_cmd_options *o)
{
    kfe_error err = kfe_config_new(&o->config);
    if (err)
        return err;
    kfe_config_on_secret(o->config, kfe_cmd_secret_ask, NULL);
    err = set_defaults(o);
    if (!err)
        err = load_files(o);
    for (size_t i = 0; !err && i < o->settings.n; i++)
        err = set_one(o, o->settings.items[i]);
    if (!err && o->brokers != NULL)
        err = kfe_kafka_set(o->conf, o->config, "bootstrap.servers", o->brokers);
    return err;
}

bool kfe_cmd_options_load(kfe_cmd_options *options)
{
    options->conf = rd_kafka_conf_new();
    kfe_error err = load_all(options);
    if (err)
        kfe_cmd_say_error(err);
    return err == KFE_OK;
}

bool kfe_cmd_options_have_brokers(const kfe_cmd_options *options)
{
    size_t size = 0;
    rd_kafka_conf_res_t res = rd_kafka_conf_get(options->conf, "bootstrap.servers", NULL, &size);
    return res == RD_KAFKA_CONF_OK && size > 1;
}

bool kfe_cmd_options_need_topic(const kfe_cmd_options *options)
{
    if (options->n_args > 0) {
        kfe_cmd_say("kfe %s takes no argument besides its options", options->verb->name);
        return false;
    }
    if (options->topic == NULL) {
        kfe_cmd_say("no topic: give -t TOPIC");
        return false;
    }
    if (!kfe_cmd_options_have_brokers(options)) {
        kfe_cmd_say("no brokers: give -b HOST:PORT, or bootstrap.servers in the -F file");
        return false;
    }
    return true;
}

void kfe_cmd_options_wipe(kfe_cmd_options *options)
{
    free(options->files.items);
    free(options->settings.items);
    if (options->conf != NULL)
        rd_kafka_conf_destroy(options->conf);
    kfe_config_free(options->config);
    memset(options, 0, sizeof(*options));
}
