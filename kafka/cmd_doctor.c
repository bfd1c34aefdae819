/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <kfe/gcm.h>

#include "kafka/cmd_options.h"
#include "kafka/cmd_stats.h"

enum { BROKER_MS = 5000 };

/* Room for some thousand sessions and their bookkeeping. */
static const rlim_t locked_enough = (rlim_t)8 << 20;

typedef enum { FINE, DOUBT, BAD } verdict;

static bool failed;

static void report(verdict v, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void report(verdict v, const char *what, const char *format, ...)
{
    static const char *const words[] = {"ok  ", "warn", "FAIL"};
    failed = failed || v == BAD;
    printf("%s  %-13s ", words[v], what);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static bool has_word(const char *line, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(line, word); at != NULL; at = strstr(at + 1, word))
        if (at > line && (at[-1] == ' ' || at[-1] == '\t') && strchr(" \n", at[len]) != NULL)
            return true;
    return false;
}

/* The kernel tells what the CPU has and the system lets us use, on x86 and Arm alike. */
static void check_cpu(void)
{
    static const char *const wanted[] = {"aes",        "pclmulqdq", "avx2",  "vaes",
                                         "vpclmulqdq", "avx512f",   "pmull", "sha3"};
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        report(DOUBT, "cpu", "/proc/cpuinfo cannot be read: features unknown");
        return;
    }
    char *line = NULL, found[128] = "";
    size_t cap = 0;
    while (getline(&line, &cap, file) > 0) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
            continue;
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            size_t used = strlen(found);
            if (has_word(line, wanted[i]))
                snprintf(found + used, sizeof(found) - used, "%s%s", used > 0 ? " " : "",
                         wanted[i]);
        }
        break;
    }
    free(line);
    fclose(file);
    if (strstr(found, "aes") != NULL)
        report(FINE, "cpu", "%s", found);
    else
        report(DOUBT, "cpu", "no AES instructions: consider encryption.algorithms=C20P1305");
}

/* A key of zeros will do: making it has the backend's known answers checked. `name` NULL: the one
 * that would be taken. */
static kfe_error try_backend(const char *name, const char **taken)
{
    static const uint8_t zeros[32];
    kfe_gcm_key *key = NULL;
    kfe_error err = kfe_gcm_key_new(&key, zeros, sizeof(zeros), name);
    if (!err && taken != NULL)
        *taken = kfe_gcm_key_backend(key);
    kfe_gcm_key_free(key);
    return err;
}

static void check_backends(void)
{
    char names[256] = "";
    bool good = true;
    for (const char *const *b = kfe_backends(); *b != NULL; b++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? ", " : "", *b);
        if (try_backend(*b, NULL) == KFE_OK)
            continue;
        report(BAD, "backends", "%s", kfe_error_detail());
        good = false;
    }
    if (good)
        report(FINE, "backends", "%s", names);
}

static void check_backend_in_use(const kfe_config *config)
{
    const char *option = kfe_config_get(config, "encryption.backend"), *name = NULL, *why;
    const char *variable = secure_getenv("KFE_BACKEND"), *taken = NULL;
    if (kfe_config_get(config, "encryption.openssl.propquery") != NULL) {
        name = "openssl";
        why = "encryption.openssl.propquery asks for OpenSSL's algorithms, kfe's kernels are not "
              "used";
    } else if (option != NULL && strcmp(option, "auto") != 0) {
        name = option;
        why = "encryption.backend names it";
    } else if (variable != NULL && variable[0] != '\0' && strcmp(variable, "auto") != 0) {
        why = "KFE_BACKEND names it";
    } else {
        why = "the best that runs here";
    }
    if (try_backend(name, &taken) == KFE_OK)
        report(FINE, "backend", "%s: %s", taken, why);
    else
        report(BAD, "backend", "%s", kfe_error_detail());
}

/* libkfe brings OpenSSL along; the command itself has no other business with it. */
static void check_openssl(void)
{
    union {
        void *object;
        const char *(*function)(int);
    } version = {dlsym(RTLD_DEFAULT, "OpenSSL_version")};
    if (version.object == NULL) {
        report(DOUBT, "openssl", "its version cannot be asked");
        return;
    }
    const char *text = version.function(0);
    bool good = strncmp(text, "OpenSSL 3.", 10) == 0 || strncmp(text, "OpenSSL 4.", 10) == 0;
    report(good ? FINE : DOUBT, "openssl", "%s%s", text, good ? "" : " (made for OpenSSL 3)");
}

static bool locks(size_t len)
{
    void *pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool yes = pages != MAP_FAILED && mlock(pages, len) == 0;
    if (pages != MAP_FAILED)
        munmap(pages, len);
    return yes;
}

static void check_locked_memory(void)
{
    enum { FEW = 64 << 10 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        report(DOUBT, "locked memory", "its limit cannot be asked");
    else if (!locks(FEW))
        report(BAD, "locked memory", "%d KiB cannot be locked: raise ulimit -l (LimitMEMLOCK=)",
               FEW >> 10);
    else if (limit.rlim_cur == RLIM_INFINITY)
        report(FINE, "locked memory", "no limit");
    else if (limit.rlim_cur >= locked_enough)
        report(FINE, "locked memory", "%ju KiB", (uintmax_t)limit.rlim_cur >> 10);
    else if (locks(locked_enough)) /* CAP_IPC_LOCK */
        report(FINE, "locked memory", "no limit for this user");
    else
        report(DOUBT, "locked memory",
               "%ju KiB: few sessions fit; 8192 is enough, raise ulimit -l (LimitMEMLOCK=)",
               (uintmax_t)limit.rlim_cur >> 10);
}

typedef struct {
    unsigned total, refused, active; /* those that are refused count as nothing else */
} key_count;

static kfe_error count_key(void *arg, const kfe_key_info *key)
{
    key_count *count = arg;
    bool refused = KFE_HAS(key, wrong);
    count->total++;
    count->refused += refused;
    count->active += !refused && key->state == KFE_KEY_ACTIVE;
    return KFE_OK;
}

static void check_keys(kfe_key_provider *provider)
{
    const kfe_key_provider_ops *ops = provider->ops;
    if (!KFE_HAS(ops, list)) {
        report(FINE, "keys", "KeyProvider %s lists none", ops->name);
        return;
    }
    key_count count = {0};
    kfe_error err = ops->list(provider, count_key, &count);
    char refused[64] = "";
    if (count.refused > 0)
        snprintf(refused, sizeof(refused), ", %u refused (`kfe keys list` says why)",
                 count.refused);
    if (err)
        report(BAD, "keys", "%s: %s", kfe_error_name(err), kfe_error_detail());
    else if (count.active == 0)
        report(DOUBT, "keys",
               "%u versions, none active%s: nothing can be sealed; make one by "
               "`kfe keys create NAME`, or `rotate` where the name is there",
               count.total, refused);
    else
        report(count.refused > 0 ? DOUBT : FINE, "keys", "%u versions, %u active%s", count.total,
               count.active, refused);
}

static bool check_provider(const kfe_config *config)
{
    if (kfe_config_get(config, "encryption.keyprovider.class") == NULL) {
        report(DOUBT, "key provider", "none configured: give -F FILE to have it checked");
        return false;
    }
    kfe_key_provider *provider = NULL;
    kfe_error err = kfe_key_provider_open(&provider, config);
    if (err) {
        report(BAD, "key provider", "%s: %s", kfe_error_name(err), kfe_error_detail());
        return false;
    }
    report(FINE, "key provider", "%s", provider->ops->name);
    check_keys(provider);
    kfe_key_provider_close(provider);
    return true;
}

/* Contradictions in the configuration show only when an engine is made of it. */
static void check_engine(const kfe_config *config, bool stats)
{
    kfe_engine *engine = NULL;
    kfe_error err = kfe_engine_new(&engine, config);
    if (err)
        report(BAD, "engine", "%s: %s", kfe_error_name(err), kfe_error_detail());
    else
        report(FINE, "engine", "backend %s", kfe_engine_backend(engine));
    if (!err && stats && kfe_cmd_stats_try(engine) != KFE_OK)
        report(BAD, "stats", "%s", kfe_error_detail());
    kfe_engine_free(engine);
    if (kfe_config_get(config, "encryption.keymanager.class") == NULL)
        report(DOUBT, "key manager",
               "none: a producer sends in clear what the application names no key for; `kfe "
               "produce` refuses. Consumers need none");
}

static void check_metadata(rd_kafka_t *rk)
{
    const struct rd_kafka_metadata *data = NULL;
    rd_kafka_resp_err_t answer = rd_kafka_metadata(rk, 1, NULL, &data, BROKER_MS);
    if (answer != RD_KAFKA_RESP_ERR_NO_ERROR) {
        report(BAD, "broker", "%s: check -b and the security.* options", rd_kafka_err2str(answer));
        return;
    }
    report(FINE, "broker", "%d brokers, %d topics", data->broker_cnt, data->topic_cnt);
    rd_kafka_metadata_destroy(data);
}

static void check_broker(kfe_cmd_options *o)
{
    if (!kfe_cmd_options_have_brokers(o)) {
        report(DOUBT, "broker", "none configured: give -b HOST:PORT to have it checked");
        return;
    }
    char why[256] = "";
    rd_kafka_conf_set_log_cb(o->conf, NULL); /* the verdict is told below */
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, o->conf, why, sizeof(why));
    if (rk == NULL) {
        report(BAD, "broker", "%s", why);
        return;
    }
    o->conf = NULL;
    check_metadata(rk);
    rd_kafka_destroy(rk);
}

static int run(kfe_cmd_options *o)
{
    if (o->n_args > 0) {
        kfe_cmd_say("kfe doctor takes no argument besides its options");
        return KFE_EXIT_FAILED;
    }
    report(FINE, "kfe", "%s", kfe_version());
    check_cpu();
    check_backends();
    check_backend_in_use(o->config);
    check_openssl();
    report(FINE, "librdkafka", "%s", rd_kafka_version_str());
    check_locked_memory();
    if (check_provider(o->config))
        check_engine(o->config, o->stats);
    check_broker(o);
    return failed ? KFE_EXIT_FAILED : KFE_EXIT_OK;
}

static const char help[] =
    "Usage: kfe doctor [-F FILE] [-b BROKERS] [-X NAME=VALUE]... [--stats]\n"
    "\n"
    "Checks this machine and the configuration: CPU, cipher backends, OpenSSL, librdkafka, locked\n"
    "memory, the KeyProvider and its keys, the engine, the broker. One line each:\n"
    "\n"
    "  ok    it will do\n"
    "  warn  it will do, but read the line\n"
    "  FAIL  it will not do; the line tells what to do. Exit code 1.\n"
    "\n"
    "  -b, --brokers LIST     host:port,... (bootstrap.servers)\n"
    "  -F, --file FILE        read name=value lines (default: the file that KFE_CONFIG names)\n"
    "  -X, --set NAME=VALUE   set one option, librdkafka's or encryption.*; wins over files\n"
    "  -s, --stats            seal and open 1000 records that go nowhere, and print what the\n"
    "                         engine counted, as JSON\n";

const kfe_cmd_verb kfe_cmd_doctor = {
    "doctor", "bFXhs", "check this machine and the configuration", help, run,
};
