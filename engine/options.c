/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/options.h"

#include <stddef.h>
#include <string.h>

#define CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BOOLEAN .kind = KFE_OPTION_CHOICE, .choices = CHOICES("true", "false")

enum { DAY_MS = 86400000 };

/* In the order of docs/configuration.md. */
static const kfe_option table[] = {
    {.name = "encryption.keyprovider.class",
     .kind = KFE_OPTION_CLASS,
     .generic = true,
     .choices = CHOICES("file", "pkcs11")},
    {.name = "encryption.keyprovider.file.path", .kind = KFE_OPTION_TEXT},
    {.name = "encryption.keyprovider.file.passphrase", .kind = KFE_OPTION_SECRET},
    {.name = "encryption.keyprovider.pkcs11.uri", .kind = KFE_OPTION_TEXT},
    {.name = "encryption.keyprovider.pkcs11.pin", .kind = KFE_OPTION_SECRET},
    {.name = "encryption.keyprovider.pkcs11.init.args", .kind = KFE_OPTION_TEXT},
    {.name = "encryption.keyprovider.pkcs11.timeout.ms",
     .kind = KFE_OPTION_NUMBER,
     .initial = "5000",
     .min = 1,
     .max = 600000},
    {.name = "encryption.keyprovider.pkcs11.sessions",
     .kind = KFE_OPTION_NUMBER,
     .initial = "8",
     .min = 1,
     .max = 64},
    {.name = "encryption.keyprovider.pkcs11.session",
     .kind = KFE_OPTION_KINDS,
     .initial = "auto",
     .choices = CHOICES("auto", "derived", "wrapped", "direct")},
    {.name = "encryption.keyprovider.pkcs11.allow.rsa",
     BOOLEAN,
     .generic = true, /* the engine refuses records by it, whoever unwraps */
     .initial = "false"},
    {.name = "encryption.keyprovider.refresh.ms",
     .kind = KFE_OPTION_NUMBER,
     .generic = true,
     .initial = "60000",
     .min = 1,
     .max = DAY_MS},
    {.name = "encryption.keyprovider.cache.ms",
     .kind = KFE_OPTION_NUMBER,
     .generic = true,
     .initial = "300000",
     .min = 1,
     .max = DAY_MS},
    {.name = "encryption.keymanager.class",
     .kind = KFE_OPTION_CLASS,
     .generic = true,
     .choices = CHOICES("topic")},
    {.name = "encryption.keymanager.topics", .kind = KFE_OPTION_RULES},
    {.name = "encryption.keymanager.default.key", .kind = KFE_OPTION_KEY},
    {.name = "encryption.keymanager.headers.key", .kind = KFE_OPTION_KEY},
    {.name = "encryption.keymanager.deterministic.key",
     .kind = KFE_OPTION_KEY_REF,
     .generic = true},
    {.name = "encryption.algorithms",
     .kind = KFE_OPTION_LIST,
     .initial = "A256GCM",
     .choices = CHOICES("A256GCM", "A128GCM", "C20P1305")},
    {.name = "encryption.encrypt.keys",
     .kind = KFE_OPTION_CHOICE,
     .initial = "true",
     .choices = CHOICES("true", "false", "deterministic")},
    {.name = "encryption.encrypt.values", BOOLEAN, .initial = "true"},
    {.name = "encryption.encrypt.headers", .kind = KFE_OPTION_PATTERN, .initial = ".*"},
    {.name = "encryption.unencrypted.topics", .kind = KFE_OPTION_PATTERN},
    {.name = "encryption.scope",
     .kind = KFE_OPTION_CHOICE,
     .initial = "field",
     .choices = CHOICES("field", "record")},
    {.name = "encryption.commit", BOOLEAN, .initial = "false"},
    {.name = "encryption.allow.compression", BOOLEAN, .initial = "false"},
    {.name = "encryption.aad.topic",
     .kind = KFE_OPTION_CHOICE,
     .initial = "exact",
     .choices = CHOICES("exact", "label:", "none")},
    {.name = "encryption.aad.topic.map", .kind = KFE_OPTION_TOPIC_MAP},
    {.name = "encryption.consumer.on.error",
     .kind = KFE_OPTION_CHOICE,
     .initial = "fail",
     .choices = CHOICES("fail", "skip"),
     .later = CHOICES("raw", "dlq:")},
    {.name = "encryption.consumer.partial", BOOLEAN, .initial = "false"},
    {.name = "encryption.consumer.added.headers",
     .kind = KFE_OPTION_CHOICE,
     .initial = "refuse",
     .choices = CHOICES("refuse", "drop", "keep")},
    {.name = "encryption.backend",
     .kind = KFE_OPTION_CHOICE,
     .initial = "auto",
     .choices = CHOICES("auto", "vaes512", "vaes256", "aesni", "armv8-eor3", "armv8", "openssl")},
    {.name = "encryption.openssl.propquery", .kind = KFE_OPTION_TEXT},
    {.name = "encryption.session.max.fields",
     .kind = KFE_OPTION_NUMBER,
     .initial = "2147483648",
     .min = 1,
     .max = UINT64_C(1) << 31},
    {.name = "encryption.session.max.bytes",
     .kind = KFE_OPTION_NUMBER,
     .initial = "274877906944",
     .min = 1,
     .max = UINT64_C(1) << 38},
    {.name = "encryption.session.max.age.ms",
     .kind = KFE_OPTION_NUMBER,
     .initial = "3600000",
     .min = 1,
     .max = DAY_MS},
    {.name = "encryption.statistics.interval.ms",
     .kind = KFE_OPTION_NUMBER,
     .initial = "0",
     .max = DAY_MS},
};

enum { N_OPTIONS = sizeof(table) / sizeof(*table) };

const kfe_option *kfe_option_find(const char *name)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static bool same_dashed(const char *dotted, const char *name)
{
    for (; *dotted != '\0'; dotted++, name++)
        if (*name != *dotted && !(*name == '-' && *dotted == '.'))
            return false;
    return *name == '\0';
}

const kfe_option *kfe_option_find_dashed(const char *name)
{
    static const char prefix[] = "encryption.";
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strchr(name, '-') == NULL)
        return NULL;
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (same_dashed(table[i].name, name))
            return &table[i];
    return NULL;
}

/* ---- Nearest ------------------------------------------------------------------------ */

enum { NEAR_MAX = 96 }; /* longer names are compared by their first bytes */

struct nearest {
    const char *name, *best;
    size_t distance;
};

static size_t least(size_t a, size_t b, size_t c)
{
    size_t d = a < b ? a : b;
    return d < c ? d : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAR_MAX + 1];
    size_t la = strnlen(a, NEAR_MAX), lb = strnlen(b, NEAR_MAX);
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 0; i < la; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < lb; j++) {
            size_t next = least(row[j] + 1, row[j + 1] + 1, corner + (a[i] != b[j]));
            corner = row[j + 1];
            row[j + 1] = next;
        }
    }
    return row[lb];
}

static void consider(struct nearest *nearest, const char *candidate)
{
    size_t d = distance(nearest->name, candidate);
    if (nearest->best != NULL && d >= nearest->distance)
        return;
    nearest->best = candidate;
    nearest->distance = d;
}

const char *kfe_option_nearest(const char *name)
{
    struct nearest nearest = {.name = name};
    for (size_t i = 0; i < N_OPTIONS; i++)
        consider(&nearest, table[i].name);
    return nearest.best;
}

const char *kfe_option_nearest_of(const char *name, const char *const *names, const char *prefix)
{
    struct nearest nearest = {.name = name};
    for (; names != NULL && *names != NULL; names++)
        consider(&nearest, *names);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (table[i].generic && strncmp(table[i].name, prefix, strlen(prefix)) == 0)
            consider(&nearest, table[i].name);
    return nearest.best;
}
