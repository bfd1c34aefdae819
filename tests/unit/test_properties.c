/* SPDX-License-Identifier: Apache-2.0 */
/* Does every record open to what was sealed, under every pair of option values and kinds of
 * session? 10,000 random records, options drawn at random; at the end every pair must have
 * occurred. With KFE_RECORDS=FILE the sealed records are written there for
 * tests/interop/open_records.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/example_provider.h"
#include "tests/support/kit.h"

enum { RECORDS = 10000, BATCH_MAX = 12, VALUES_MAX = 6 };

/* The dimensions; the first ones are options, then what keys do, the others are how the calls are
 * made. */
enum {
    SUITE,
    KEYS,
    VALUES,
    HEADERS,
    SCOPE,
    COMMIT,
    HEADERS_KEY,
    DET,
    TOPIC,
    KIND,
    REF,
    HEADER_REFS,
    IN_PLACE,
    SIZE,
    DIMENSIONS
};

static const char *const choices[DIMENSIONS][VALUES_MAX] = {
    [SUITE] = {"A256GCM", "A128GCM", "C20P1305"},
    [KEYS] = {"true", "false", "deterministic"},
    [VALUES] = {"true", "false"},
    [HEADERS] = {".*", "h[0-2]", "nothing"},
    [SCOPE] = {"field", "record"},
    [COMMIT] = {"false", "true"},
    [HEADERS_KEY] = {"", "main", "other"},
    [DET] = {"main@1", "pinned@3"},
    [TOPIC] = {"exact", "label:elsewhere", "none"},
    [KIND] = {"derived", "wrapped, form 1", "wrapped, form 2", "direct, 12", "direct, 16"},
    [REF] = {"none", "current", "exact"},
    [HEADER_REFS] = {"none", "some"},
    [IN_PLACE] = {"no", "yes"},
    [SIZE] = {"one", "many"},
};

enum { FIRST_DIRECT = 3 }; /* of KIND */

static bool seen[DIMENSIONS][VALUES_MAX][DIMENSIONS][VALUES_MAX];
static FILE *records;

static unsigned count_of(int dimension)
{
    unsigned n = 0;
    while (n < VALUES_MAX && choices[dimension][n] != NULL)
        n++;
    return n;
}

/* A key that seals itself goes with its own suite, without commitment or deterministic keys. */
static bool goes_with_direct(int dimension, unsigned value)
{
    return dimension == KEYS ? value < 2
                             : (dimension != SUITE && dimension != COMMIT) || value == 0;
}

static bool possible(int a, unsigned i, int b, unsigned j)
{
    return !(a == KIND && i >= FIRST_DIRECT && !goes_with_direct(b, j)) &&
           !(b == KIND && j >= FIRST_DIRECT && !goes_with_direct(a, i));
}

static void draw(unsigned drawn[DIMENSIONS])
{
    for (int d = 0; d < DIMENSIONS; d++)
        drawn[d] = kit_below(count_of(d));
    for (int d = 0; drawn[KIND] >= FIRST_DIRECT && d < KIND; d++)
        if (!goes_with_direct(d, drawn[d]))
            drawn[d] = 0;
    for (int a = 0; a < DIMENSIONS; a++)
        for (int b = 0; b < DIMENSIONS; b++)
            seen[a][drawn[a]][b][drawn[b]] = true;
}

static const char *chosen(const unsigned drawn[DIMENSIONS], int dimension)
{
    return choices[dimension][drawn[dimension]];
}

static kfe_config *configure(const unsigned d[DIMENSIONS])
{
    static const struct {
        kfe_session_kind kind;
        unsigned form, iv_len;
    } ways[] = {{KFE_DERIVED, 0, 0},
                {KFE_WRAPPED, 1, 0},
                {KFE_WRAPPED, 2, 0},
                {KFE_DIRECT, 0, 12},
                {KFE_DIRECT, 0, 16}};
    kfe_example_kinds(7, ways[d[KIND]].kind, ways[d[KIND]].form, ways[d[KIND]].iv_len);
    kfe_config *c = kit_config(
        "encryption.keyprovider.class", EXAMPLE_PROVIDER ":kfe_example_provider",
        "encryption.keymanager.class", "topic", "encryption.keymanager.default.key", "main",
        "encryption.algorithms", chosen(d, SUITE), "encryption.encrypt.keys", chosen(d, KEYS),
        "encryption.encrypt.values", chosen(d, VALUES), "encryption.encrypt.headers",
        chosen(d, HEADERS), "encryption.scope", chosen(d, SCOPE), "encryption.commit",
        chosen(d, COMMIT), "encryption.aad.topic", chosen(d, TOPIC), NULL);
    if (d[HEADERS_KEY] != 0)
        kit_set(c, "encryption.keymanager.headers.key", chosen(d, HEADERS_KEY));
    if (strcmp(chosen(d, KEYS), "deterministic") == 0)
        kit_set(c, "encryption.keymanager.deterministic.key", chosen(d, DET));
    return c;
}

static const kfe_key_ref current = {"explicit", 0}, exact = {"explicit", 1}, extra = {"extra", 0};

/* Headers of one name are sealed all or none, so a reference goes to all of a name. */
static void refer(kfe_record *r, const unsigned d[DIMENSIONS])
{
    r->key_ref = d[REF] == 0 ? NULL : d[REF] == 1 ? &current : &exact;
    for (size_t i = 0; d[HEADER_REFS] && i < r->n_headers; i++)
        if (r->headers[i].name.data[1] == '1' || r->headers[i].name.data[1] == '4')
            ((kfe_header *)(uintptr_t)r->headers)[i].key_ref = &extra;
}

static void put_hex(kfe_bytes bytes)
{
    if (bytes.data == NULL) {
        fputs("null", records);
        return;
    }
    fputc('"', records);
    for (size_t i = 0; i < bytes.len; i++)
        fprintf(records, "%02x", bytes.data[i]);
    fputc('"', records);
}

static void put_record(const char *name, const kfe_record *r)
{
    fprintf(records, "\"%s\":{\"key\":", name);
    put_hex(r->key);
    fputs(",\"value\":", records);
    put_hex(r->value);
    fputs(",\"headers\":[", records);
    for (size_t i = 0; i < r->n_headers; i++) {
        fprintf(records, "%s[\"%.*s\",", i > 0 ? "," : "", (int)r->headers[i].name.len,
                (const char *)r->headers[i].name.data);
        put_hex(r->headers[i].value);
        fputc(']', records);
    }
    fputs("]}", records);
}

static void put_line(const unsigned d[DIMENSIONS], const kfe_record *stored,
                     const kfe_record *plain)
{
    static const char *const labels[] = {"topic", "elsewhere", ""};
    if (records == NULL)
        return;
    fprintf(records, "{\"topic_label\":\"%s\",\"options\":{\"encryption.commit\":\"%s\"%s},",
            labels[d[TOPIC]], chosen(d, COMMIT),
            d[VALUES] ? ",\"encryption.encrypt.values\":\"false\"" : "");
    put_record("stored", stored);
    fputc(',', records);
    put_record("plain", plain);
    fputs("}\n", records);
}

/* Seals and opens n records in one call each; the originals must come back. */
static void round_trip(kfe_engine *engine, const unsigned d[DIMENSIONS], size_t n)
{
    kfe_record plain[BATCH_MAX], work[BATCH_MAX] = {{.error = KFE_OK}}, sealed[BATCH_MAX],
                                 stored[BATCH_MAX] = {{.error = KFE_OK}}, opened[BATCH_MAX];
    unsigned flags = d[IN_PLACE] ? KFE_IN_PLACE : 0;
    for (size_t i = 0; i < n; i++) {
        plain[i] = kit_random_record("topic", 6);
        refer(&plain[i], d);
        work[i] = kit_copy(&plain[i]);
    }
    size_t cap = kfe_seal_space(work, n, flags);
    void *space = malloc(cap);
    if (kfe_seal(engine, work, sealed, n, space, cap, flags) != KFE_OK)
        fail_msg("seal: %s", kfe_error_detail());
    for (size_t i = 0; i < n; i++) {
        stored[i] = kit_copy(&sealed[i]);
        assert_true(d[IN_PLACE] || kit_same(&work[i], &plain[i])); /* else untouched */
        put_line(d, &stored[i], &plain[i]);
    }
    free(space);
    cap = kfe_open_space(stored, n, flags);
    space = malloc(cap);
    if (kfe_open(engine, stored, opened, n, space, cap, flags) != KFE_OK)
        fail_msg("open: %s", kfe_error_detail());
    for (size_t i = 0; i < n; i++) {
        if (!kit_same(&opened[i], &plain[i]))
            fail_msg("record %zu of %zu differs", i, n);
        kit_drop(&plain[i]);
        kit_drop(&work[i]);
        kit_drop(&stored[i]);
    }
    free(space);
}

static void every_pair_of_options(void **unused)
{
    (void)unused;
    size_t done = 0;
    while (done < RECORDS) {
        unsigned d[DIMENSIONS];
        draw(d);
        kfe_config *config = configure(d);
        kfe_engine *engine = kit_engine(config);
        for (int batch = 0; batch < 4; batch++) {
            size_t n = d[SIZE] ? 2 + kit_below(BATCH_MAX - 1) : 1;
            round_trip(engine, d, n);
            done += n;
        }
        kfe_engine_free(engine);
        kfe_config_free(config);
    }
    unsigned pairs = 0;
    for (int a = 0; a < DIMENSIONS; a++)
        for (int b = a + 1; b < DIMENSIONS; b++)
            for (unsigned i = 0; i < count_of(a); i++)
                for (unsigned j = 0; j < count_of(b); j++) {
                    if (!possible(a, i, b, j))
                        continue;
                    if (!seen[a][i][b][j])
                        fail_msg("pair %s, %s did not occur", choices[a][i], choices[b][j]);
                    pairs++;
                }
    print_message("%zu records sealed, opened, equal; all %u pairs of option values\n", done,
                  pairs);
}

static int set_up(void **unused)
{
    (void)unused;
    kit_seed();
    kit_key keys[] = {{.name = "main", .version = 1},     {.name = "main", .version = 2},
                      {.name = "other", .version = 1},    {.name = "pinned", .version = 3},
                      {.name = "explicit", .version = 1}, {.name = "extra", .version = 9}};
    enum { KEYS_N = sizeof(keys) / sizeof(*keys) };
    for (size_t i = 0; i < KEYS_N; i++)
        for (size_t j = 0; j < 32; j++)
            keys[i].key[j] = (uint8_t)kit_random();
    for (size_t i = 0; i < KEYS_N; i++)
        if (kfe_example_put(keys[i].name, keys[i].version, keys[i].key, 32))
            return -1;
    const char *path = getenv("KFE_RECORDS");
    if (path == NULL)
        return 0;
    records = fopen(path, "w");
    if (records == NULL)
        return -1;
    fputs("{\"topic\":\"topic\",\"keys\":[", records);
    for (size_t i = 0; i < KEYS_N; i++) {
        fprintf(records, "%s{\"name\":\"%s\",\"version\":%u,\"key\":", i > 0 ? "," : "",
                keys[i].name, keys[i].version);
        put_hex((kfe_bytes){keys[i].key, 32});
        fputc('}', records);
    }
    fputs("]}\n", records);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    return records != NULL ? fclose(records) : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_pair_of_options)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
