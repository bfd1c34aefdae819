/* SPDX-License-Identifier: Apache-2.0 */
/* Is everything that a hostile broker can do to a stored record refused, and with the right code?
 * 10,000 mutations (KFE_MUTATIONS) of random records under random options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mutations.h"

enum { ENGINES = 24 };

static const char *keystore;
static kfe_config *configs[ENGINES];
static kfe_engine *engines[ENGINES];

static const char *one_of(const char *a, const char *b, const char *c)
{
    const char *all[] = {a, b, c};
    return all[kit_below(3)];
}

/* `twins` of the headers' names are sealed or not alike, so clear and covered ones never share one.
 */
static kfe_config *random_config(void)
{
    kfe_config *c = kit_config(
        "encryption.keyprovider.class", "file", "encryption.keyprovider.file.path", keystore,
        "encryption.keymanager.class", "topic", "encryption.keymanager.default.key", "main",
        "encryption.algorithms",
        one_of("A256GCM,A128GCM,C20P1305", "A128GCM,A256GCM,C20P1305", "C20P1305,A128GCM,A256GCM"),
        "encryption.encrypt.headers", one_of(".*", "h[0-2]", "h[0-2]"), "encryption.scope",
        one_of("field", "record", "field"), "encryption.commit", one_of("true", "false", "true"),
        NULL);
    const char *keys = one_of("true", "false", "deterministic");
    kit_set(c, "encryption.encrypt.keys", keys);
    if (keys[0] == 'd')
        kit_set(c, "encryption.keymanager.deterministic.key", one_of("main@1", "pins@2", "main@2"));
    if (kit_below(2))
        kit_set(c, "encryption.keymanager.headers.key", "tags");
    return c;
}

static kfe_record sealed_record(kfe_engine *engine)
{
    kfe_record plain = kit_random_record("topic", 7);
    kit_record sealed;
    if (kit_seal(engine, &plain, &sealed) != KFE_OK)
        fail_msg("seal: %s", kfe_error_detail());
    kfe_record stored = kit_copy(&sealed.r);
    kit_free(&sealed);
    kit_drop(&plain);
    return stored;
}

static void check(kfe_engine *engine, const mutation *m, const char *name)
{
    kit_record got;
    kfe_error err = kit_open(engine, m->r, &got);
    if (err != m->expected)
        fail_msg("%s: %s instead of %s (%s)", name, kfe_error_name(err),
                 kfe_error_name(m->expected), kfe_error_detail());
    assert_null(got.r.key.data);
    assert_null(got.r.value.data);
    assert_int_equal(got.r.n_headers, 0);
    kit_free(&got);
}

/* True when the mutation made sense for these records. */
static bool mutate_once(kfe_engine *engine, const mutation_class *class)
{
    kfe_record stored = sealed_record(engine), other = sealed_record(engine);
    kit_record whole;
    assert_int_equal(kit_open(engine, &stored, &whole), KFE_OK);
    kit_free(&whole);
    mutation m = {.r = &stored, .other = &other, .expected = KFE_E_AUTH};
    while (kfe_is_envelope(stored.headers[m.n_groups].name) && ++m.n_groups < stored.n_headers)
        ;
    m.group = kit_below(m.n_groups);
    assert_int_equal(kfe_envelope_read(stored.headers[m.group].value, &m.env), KFE_OK);
    bool applied = class->apply(&m);
    if (applied)
        check(engine, &m, class->name);
    kit_drop(&stored);
    kit_drop(&other);
    return applied;
}

static size_t apply_class(const mutation_class *class, size_t share)
{
    size_t hits = 0;
    for (size_t tries = 0; hits < share; tries++) {
        hits += mutate_once(engines[kit_below(ENGINES)], class);
        if (tries > 1000 + 100 * share)
            fail_msg("%s: applied %zu times only", class->name, hits);
    }
    return hits;
}

static void all_are_refused(void **unused)
{
    (void)unused;
    const char *given = getenv("KFE_MUTATIONS");
    size_t classes = n_mutations_envelope + n_mutations_record, done = 0;
    size_t share = (given != NULL ? strtoull(given, NULL, 10) : 10000) / classes + 1;
    for (size_t i = 0; i < n_mutations_envelope; i++)
        done += apply_class(&mutations_envelope[i], share);
    for (size_t i = 0; i < n_mutations_record; i++)
        done += apply_class(&mutations_record[i], share);
    print_message("%zu mutations in %zu classes: all refused, each with its code\n", done, classes);
}

static int set_up(void **unused)
{
    (void)unused;
    kit_seed();
    static const char *const names[] = {"main", "tags", "pins"};
    kit_key keys[6];
    for (size_t i = 0; i < 6; i++) {
        keys[i] = (kit_key){.name = names[i / 2], .version = 1 + (uint32_t)i % 2};
        for (size_t j = 0; j < 32; j++)
            keys[i].key[j] = (uint8_t)kit_random();
    }
    keystore = kit_keystore("keys.json", keys, 6);
    for (int i = 0; i < ENGINES; i++) {
        configs[i] = random_config();
        engines[i] = kit_engine(configs[i]);
    }
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    for (int i = 0; i < ENGINES; i++) {
        kfe_engine_free(engines[i]);
        kfe_config_free(configs[i]);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_are_refused)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
