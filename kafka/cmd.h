/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_H
#define KFE_CMD_H

/* The `kfe` command: what its verbs share. A verb is run once, on the main thread, and its
 * return value is the exit code of the process. docs/kfe.1.md is the contract with the user. */

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include <kfe/error.h>

/* Exit codes. */
enum {
    KFE_EXIT_OK = 0,
    KFE_EXIT_FAILED = 1, /* usage, configuration, keys or machine: the verb could not do its work */
    KFE_EXIT_RECORDS = 2, /* it ran, but some records failed or were refused */
};

typedef struct kfe_cmd_options kfe_cmd_options;

typedef struct {
    const char *name;
    const char *letters; /* the short options it takes, of "bceoptFXyhskK" */
    const char *summary; /* one line for `kfe --help` */
    const char *help;    /* `kfe VERB --help`, whole */
    int (*run)(kfe_cmd_options *options);
} kfe_cmd_verb;

extern const kfe_cmd_verb kfe_cmd_keys, kfe_cmd_produce, kfe_cmd_consume, kfe_cmd_inspect,
    kfe_cmd_doctor;

/* ---- stderr ------------------------------------------------------------------------ */

/* One line on stderr, after "kfe: ". Any thread. */
void kfe_cmd_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says the code's name and this thread's kfe_error_detail(); returns KFE_EXIT_FAILED. */
int kfe_cmd_say_error(kfe_error error);
/* librdkafka's error_cb: says it, and what was fatal. */
void kfe_cmd_on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque);

/* ---- stopping ---------------------------------------------------------------------- */

/* SIGPIPE is ignored from here on. */
void kfe_cmd_stop_init(void);
/* From here on the first SIGINT or SIGTERM asks to stop; one that comes more than half a second
 * later kills as ever. Before, there is nothing to end cleanly, and an HSM may hang. */
void kfe_cmd_stop_cleanly(void);
bool kfe_cmd_stopped(void);

/* ---- stdout ------------------------------------------------------------------------ */

/* Flushes stdout. False when it cannot be written to: says so, unless the reader has gone away
 * (EPIPE), which is how a reader says that it has enough. *code becomes KFE_EXIT_FAILED in the
 * first case and stays as it is in the second. */
bool kfe_cmd_flush(int *code);

#endif
