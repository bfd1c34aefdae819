/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include <kfe/kfe.h>

#include "kafka/cmd.h"
#include "kafka/cmd_options.h"

static const kfe_cmd_verb *const verbs[] = {
    &kfe_cmd_keys, &kfe_cmd_produce, &kfe_cmd_consume, &kfe_cmd_inspect, &kfe_cmd_doctor,
};
enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void print_usage(FILE *out)
{
    fputs("kfe: Kafka Field Encryption (KIP-317)\n\n"
          "Usage: kfe VERB [OPTION]... [ARGUMENT]...\n\n",
          out);
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(out, "  %-9s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n"
          "  kfe VERB --help   tells a verb's options\n"
          "  kfe --version     tells the versions in use\n\n"
          "Exit codes: 0 done, 1 could not do it (usage, configuration, keys, broker),\n"
          "2 some records failed or were refused.\n",
          out);
}

static const kfe_cmd_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int finish(int code)
{
    kfe_cmd_flush(&code);
    return code;
}

static int run_verb(const kfe_cmd_verb *verb, int argc, char **argv)
{
    kfe_cmd_options options;
    int code = KFE_EXIT_FAILED;
    if (!kfe_cmd_options_init(&options, verb, argc, argv))
        goto out;
    if (options.help) {
        fputs(verb->help, stdout);
        code = KFE_EXIT_OK;
        goto out;
    }
    if (kfe_cmd_options_load(&options))
        code = verb->run(&options);
out:
    kfe_cmd_options_wipe(&options);
    return code;
}

/* A standard descriptor that is closed would become the next socket or pipe of librdkafka's, and
 * records would be written into it. Read-only, so that writing to it is the error that it should
 * be. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    kfe_cmd_stop_init();
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        print_usage(stdout);
        return finish(KFE_EXIT_OK);
    }
    if (strcmp(first, "--version") == 0) {
        printf("kfe %s (librdkafka %s)\n", kfe_version(), rd_kafka_version_str());
        return finish(KFE_EXIT_OK);
    }
    const kfe_cmd_verb *verb = find_verb(first);
    if (verb == NULL) {
        if (argc > 1)
            kfe_cmd_say("no verb \"%s\"", first);
        print_usage(stderr);
        return KFE_EXIT_FAILED;
    }
    return finish(run_verb(verb, argc - 1, argv + 1));
}
