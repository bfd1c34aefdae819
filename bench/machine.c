/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <kfe/kfe.h>

/* A line "name : value" of Linux's list of processors; "" where there is none. */
static void cpu_line(const char *name, char *value, size_t size)
{
    char line[512];
    FILE *list = fopen("/proc/cpuinfo", "re");
    *value = 0;
    while (list != NULL && *value == 0 && fgets(line, sizeof(line), list) != NULL) {
        char *colon = strchr(line, ':');
        size_t len = strlen(name);
        if (colon == NULL || strncmp(line, name, len) != 0 || strchr("\t ", line[len]) == NULL)
            continue;
        colon[strcspn(colon, "\n")] = 0;
        /* "model" is also how "model name" begins */
        if (strspn(line + len, "\t ") == (size_t)(colon - line) - len)
            snprintf(value, size, "%s", colon + 1 + strspn(colon + 1, " "));
    }
    if (list != NULL)
        fclose(list);
}

static void describe_cpu(bench *b, int cpu)
{
    char model[128], family[32], number[32], text[256];
    cpu_line("model name", model, sizeof(model));
    cpu_line("cpu family", family, sizeof(family));
    cpu_line("model", number, sizeof(number));
    snprintf(text, sizeof(text), "%s (family %s, model %s), CPU %d of this machine",
             *model ? model : "unknown", *family ? family : "?", *number ? number : "?", cpu);
    report_fact(&b->report, "cpu", text);
    if (b->port.ghz > 0) {
        snprintf(text, sizeof(text), "%.2f GHz, measured", b->port.ghz);
        report_fact(&b->report, "clock", text);
    }
}

void machine_facts(bench *b, int cpu, int argc, char **argv)
{
    char text[512] = "";
    describe_cpu(b, cpu);
    for (const char *const *name = kfe_backends(); *name != NULL; name++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "", *name);
    }
    report_fact(&b->report, "backends", text);
#ifdef __clang__
    report_fact(&b->report, "compiler", "clang " __clang_version__);
#else
    report_fact(&b->report, "compiler", "gcc " __VERSION__);
#endif
    text[0] = 0;
    for (size_t i = 0; i < b->peers.n_versions; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "", b->peers.versions[i]);
    }
    report_fact(&b->report, "libraries", text);
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof(text), "%Y-%m-%d", &utc);
    report_fact(&b->report, "date", text);
    snprintf(text, sizeof(text), "kfe-bench");
    for (int i = 1; i < argc; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, " %s", argv[i]);
    }
    report_fact(&b->report, "command", text);
    snprintf(text, sizeof(text), "%u rounds of at least %.2g ms each", b->pace.rounds,
             b->pace.repetition / 1e6);
    report_fact(&b->report, "method", text);
    if (!port_is_wide())
        report_fact(&b->report, "bars", "not run: this CPU lacks AVX-512 or VAES");
    else if (!bench_has_bars(b))
        report_fact(&b->report, "bars", "none: they are for AES-256 and batches as they stand");
    report_facts_end(&b->report);
}
