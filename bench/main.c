/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/machine.h"

static const struct {
    const char *name, *what;
    bool (*run)(bench *b);
    bool kernels;
} tables[] = {
    {"sizes", "fixed sizes from 16 B to 16 KiB and the mix, one key", bench_sizes, true},
    {"mix", "mixed lengths in batches of 1,024", bench_mix, true},
    {"alone", "one message a call", bench_alone, true},
    {"few", "4, 7 and 16 mixed messages a call", bench_few, true},
    {"narrow", "vaes256 and aesni against ipsec-mb's AVX-512 and SSE", bench_narrow, true},
    {"keys", "the first table with 64 keys in turn", bench_keys, true},
    {"setup", "making a key", bench_setup, true},
    {"evp", "OpenSSL's EVP over kfe.so and over its own ciphers", bench_evp, true},
    {"port", "rates of AES rounds and carry-less products", bench_port, true},
    {"records", "KIP-317's record, through the whole of kfe_seal() and kfe_open()", bench_records,
     false},
};

enum { TABLES = sizeof(tables) / sizeof(*tables) };

static void help(void)
{
    fputs(
        "usage: kfe-bench [kernels | records | all] [OPTION...]\n"
        "\n"
        "Times AES-GCM by kfe and by the libraries that this program was built with, on one\n"
        "core, after comparing every byte with OpenSSL's. kernels (the default) has these tables:\n"
        "\n",
        stdout);
    for (size_t i = 0; i < TABLES; i++)
        printf("  %-10s %s%s\n", tables[i].name, tables[i].what,
               tables[i].kernels ? "" : " (records)");
    fputs("\n"
          "  --only TABLE[,TABLE...]  these alone\n"
          "  --bits N                 keys of 128, 192 or 256 bits (256: the bars are for them)\n"
          "  --batch N                messages in a call, where there are many (1,024; fewer of\n"
          "                           the large, so that input and output stay near 1 MiB)\n"
          "  --rounds N               default 25; each has one repetition of everybody\n"
          "  --cpu N                  the core to run on; default: the last one\n"
          "  --quick                  3 rounds of 0.02 ms: to see that it works, not how fast\n"
          "  --markdown               tables for docs/performance.md, without the medians\n"
          "  --csv FILE, --json FILE  the same figures for programs, beside the text; JSON has\n"
          "                           the machine too\n"
          "  --help\n"
          "\n"
          "`reached` tells whether a bar (`at least`) or the aim above it was reached. Exit code:\n"
          "0, also where bars were missed; 1 when somebody sealed or opened wrongly, or nothing\n"
          "could be measured; 2 for a wrong use.\n",
          stdout);
}

typedef struct {
    const char *group, *only, *csv, *json;
    bool markdown;
    int cpu;
} wishes;

static void usage(const char *what, const char *value)
{
    fprintf(stderr, "kfe-bench: %s%s%s; --help tells more\n", what, value != NULL ? ": " : "",
            value != NULL ? value : "");
    exit(2);
}

static unsigned number(const char *text, unsigned long low, unsigned long high)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < low || n > high)
        usage("a number that cannot be", text);
    return (unsigned)n;
}

static void parse(bench *b, wishes *w, int argc, char **argv)
{
    static const struct option known[] = {
        {"only", 1, NULL, 'o'},   {"bits", 1, NULL, 'b'},     {"batch", 1, NULL, 'n'},
        {"rounds", 1, NULL, 'r'}, {"cpu", 1, NULL, 'c'},      {"quick", 0, NULL, 'q'},
        {"csv", 1, NULL, 'v'},    {"markdown", 0, NULL, 'm'}, {"json", 1, NULL, 'j'},
        {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 'o':
            w->only = optarg;
            break;
        case 'b':
            b->key_len = number(optarg, 128, 256) / 8;
            if (number(optarg, 128, 256) % 64 != 0)
                usage("no such key", optarg);
            break;
        case 'n':
            b->batch = number(optarg, 1, BATCH_MAX);
            break;
        case 'r':
            b->pace.rounds = number(optarg, 1, ROUNDS_MAX);
            break;
        case 'c':
            w->cpu = (int)number(optarg, 0, 1023);
            break;
        case 'q':
            b->pace = (pace){.rounds = 3, .repetition = 2e4};
            break;
        case 'm':
            w->markdown = true;
            break;
        case 'v':
            w->csv = optarg;
            break;
        case 'j':
            w->json = optarg;
            break;
        case 'h':
            help();
            exit(0);
        default:
            usage("no such option", NULL);
        }
    }
    if (optind < argc)
        w->group = argv[optind++];
    if (optind < argc)
        usage("too much", argv[optind]);
}

/* Is `name` in a list with commas? */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == 0 || at[len] == ','))
            return true;
    }
    return false;
}

/* Which tables; usage() where a name is none. */
static void choose(const wishes *w, bool wanted[TABLES])
{
    bool all = strcmp(w->group, "all") == 0, kernels = strcmp(w->group, "kernels") == 0;
    if (!all && !kernels && strcmp(w->group, "records") != 0)
        usage("neither kernels, records nor all", w->group);
    size_t named = 0, found = 0;
    for (const char *at = w->only; at != NULL; at = strchr(at + 1, ','))
        named++;
    for (size_t i = 0; i < TABLES; i++) {
        wanted[i] =
            w->only != NULL ? listed(w->only, tables[i].name) : all || tables[i].kernels == kernels;
        found += wanted[i];
    }
    if (w->only != NULL && found != named)
        usage("not all of these are tables", w->only);
}

static FILE *opened(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "we") : NULL;
    if (path != NULL && file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

int main(int argc, char **argv)
{
    static bench b = {.pace = {.rounds = 25, .repetition = 1e6}, .key_len = 32};
    wishes w = {.group = "kernels", .cpu = -1};
    bool wanted[TABLES];
    parse(&b, &w, argc, argv);
    choose(&w, wanted);
    int cpu = timer_pin(w.cpu);
    if (cpu < 0)
        usage("that core cannot be had", NULL);
    FILE *json = opened(w.json);
    report_begin(&b.report, stdout, w.markdown, opened(w.csv));
    peers_find(&b.peers);
    port_measure(&b.port, b.pace.repetition);
    machine_facts(&b, cpu, argc, argv);
    bool fine = true;
    for (size_t i = 0; i < TABLES; i++)
        if (wanted[i])
            fine &= tables[i].run(&b);
    if (!report_end(&b.report, json)) {
        fprintf(stderr, "kfe-bench: the figures could not be written\n");
        fine = false;
    }
    return fine && fflush(stdout) == 0 ? 0 : 1;
}
