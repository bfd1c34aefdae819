/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a call keeps for the next one, or for the next record, right for that one? Calls of
 * changing size, form and topic, sessions that are replaced in between, counters that jump: what a
 * backend sealed is opened by OpenSSL's and the other way round, each in a few large calls. */
#include "tests/unit/rig.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 100, HEADERS = 3 };

/* Records, and each sealed one in memory of its own. */
typedef struct {
    kfe_record plain[MOST], sealed[MOST];
    size_t n;
} batch;

typedef struct {
    kfe_engine *sealer, *opener;
} pair;

static const char *const ways[][4] = {
    {"encryption.scope", "field", "encryption.encrypt.keys", "true"},
    {"encryption.scope", "field", "encryption.encrypt.keys", "false"},
    {"encryption.scope", "record", "encryption.encrypt.keys", "true"},
    {"encryption.keymanager.headers.key", "other", "encryption.encrypt.keys", "true"},
};
enum { WAYS = sizeof(ways) / sizeof(*ways) };

static kfe_engine *engine_of(size_t way, const char *backend)
{
    kfe_config *config = rig_config();
    kit_set(config, ways[way][0], ways[way][1]);
    kit_set(config, ways[way][2], ways[way][3]);
    kit_set(config, "encryption.backend", backend);
    kfe_engine *engine = kit_engine(config);
    kfe_config_free(config);
    engine->settings.max_fields = UINT64_MAX; /* no successor before the hard limit */
    return engine;
}

/* `form` decides of header count, topic, names, a null value, and whether lengths are always the
 * same. */
static kfe_record record_of_form(unsigned form)
{
    kfe_record r = kit_random_record(form & 4 ? "orders" : "dc1.topic", 0);
    kfe_record wanted = r;
    kfe_header headers[HEADERS];
    char value[64];
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; i < HEADERS; i++)
        headers[i] =
            (kfe_header){.name = kit_text(form & 8 ? "unother" : "another"),
                         .value = {(const uint8_t *)value, form & 32 ? 20 : kit_below(40)}};
    wanted.headers = headers;
    wanted.n_headers = form % 4;
    wanted.key = (kfe_bytes){(const uint8_t *)value, form & 32 ? 33 : kit_below(60)};
    wanted.value = form & 16 ? kit_text(NULL)
                             : (kfe_bytes){(const uint8_t *)value, form & 32 ? 50 : kit_below(60)};
    kfe_record copy = kit_copy(&wanted);
    kit_drop(&r);
    return copy;
}

static void add(batch *b, unsigned form)
{
    assert_true(b->n < MOST);
    b->plain[b->n++] = record_of_form(form);
}

static void drop(batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        kit_drop(&b->plain[i]);
        kit_drop(&b->sealed[i]);
    }
    b->n = 0;
}

/* Seals records `from` on in one call; some calls are in place. */
static void seal(batch *b, kfe_engine *engine, size_t from)
{
    kfe_record work[MOST], out[MOST];
    size_t n = b->n - from;
    unsigned flags = kit_below(2) ? KFE_IN_PLACE : 0;
    for (size_t i = 0; i < n; i++)
        work[i] = kit_copy(&b->plain[from + i]);
    size_t cap = kfe_seal_space(work, n, flags);
    void *space = malloc(cap);
    if (kfe_seal(engine, work, out, n, space, cap, flags) != KFE_OK)
        fail_msg("seal: %s", kfe_error_detail());
    for (size_t i = 0; i < n; i++) {
        b->sealed[from + i] = kit_copy(&out[i]);
        kit_drop(&work[i]);
    }
    free(space);
}

/* Opens all in one call; but for `forged` (MOST: none) they must be what they were. */
static void open_all(const batch *b, kfe_engine *engine, size_t forged)
{
    kfe_record out[MOST];
    size_t cap = kfe_open_space(b->sealed, b->n, 0);
    void *space = malloc(cap);
    kfe_error err = kfe_open(engine, b->sealed, out, b->n, space, cap, 0);
    assert_int_equal(err, forged < b->n ? KFE_E_AUTH : KFE_OK);
    for (size_t i = 0; i < b->n; i++) {
        assert_int_equal(out[i].error, i == forged ? KFE_E_AUTH : KFE_OK);
        if (i != forged && !kit_same(&out[i], &b->plain[i]))
            fail_msg("record %zu of %zu differs", i, b->n);
    }
    free(space);
}

static void shuffle(batch *b)
{
    for (size_t i = b->n; i > 1; i--) {
        size_t j = kit_below((uint32_t)i);
        kfe_record plain = b->plain[i - 1], sealed = b->sealed[i - 1];
        b->plain[i - 1] = b->plain[j];
        b->sealed[i - 1] = b->sealed[j];
        b->plain[j] = plain;
        b->sealed[j] = sealed;
    }
}

/* Every backend seals for OpenSSL's and opens what that sealed, in every way. */
static void with_all(void (*question)(pair p))
{
    for (const char *const *name = kfe_backends(); *name != NULL; name++)
        for (size_t way = 0; way < 2 * (size_t)WAYS; way++) {
            bool turned = way >= WAYS;
            pair p = {engine_of(way % WAYS, turned ? "openssl" : *name),
                      engine_of(way % WAYS, turned ? *name : "openssl")};
            question(p);
            kfe_engine_free(p.sealer);
            kfe_engine_free(p.opener);
        }
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void sizes(pair p)
{
    static const size_t n[] = {1, 1, 40, 40, 15, 16, 17, 17, 1, 40, 2, 2, 41, 100, 1};
    batch b = {.n = 0};
    for (size_t i = 0; i < sizeof(n) / sizeof(*n); i++) {
        while (b.n < n[i])
            add(&b, i % 2 ? 39 : 7);
        seal(&b, p.sealer, 0);
        open_all(&b, p.opener, MOST);
        drop(&b);
    }
}

static void forms(pair p)
{
    /* Which forms a call mixes: the same again, others, more, one of them alone. */
    static const unsigned mixes[][3] = {
        {7, 7, 7}, {7, 7, 7}, {6, 6, 6},    {7, 7, 7},   {3, 7, 3},    {3, 7, 3}, {3, 3, 3},
        {7, 7, 7}, {4, 0, 4}, {15, 15, 15}, {7, 15, 23}, {23, 23, 23}, {7, 7, 7}};
    enum { MIXES = sizeof(mixes) / sizeof(*mixes) };
    static const size_t n[] = {1, 20, 60};
    batch b = {.n = 0};
    for (size_t i = 0; i < 3 * MIXES; i++) {
        while (b.n < n[i / MIXES])
            add(&b, mixes[i % MIXES][b.n % 3]);
        seal(&b, p.sealer, 0);
        open_all(&b, p.opener, MOST);
        drop(&b);
    }
}

static void jumps(pair p)
{
    static const uint64_t at[] = {0xff, 0xfff8, 0xfffff0, 0xfffffff8, 0x5a5a5a5a5a00, 3};
    batch b = {.n = 0};
    for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
        size_t from = b.n;
        if (from > 0)
            atomic_store(&rig_session(p.sealer, "orders", 0)->counter->next, at[i]);
        while (b.n < from + (i % 2 ? 16 : 17))
            add(&b, kit_below(4) ? 39 : 7);
        seal(&b, p.sealer, from);
    }
    open_all(&b, p.opener, MOST);
    for (int i = 0; i < 5; i++) {
        shuffle(&b);
        open_all(&b, p.opener, MOST);
    }
    drop(&b);
}

/* A session is used up by a call that began as all before it did; one is too old for a call. */
static void sessions(pair p)
{
    batch b = {.n = 0};
    for (size_t i = 0; i < 6; i++) {
        if (i % 3 == 1)
            atomic_store(&rig_session(p.sealer, "orders", 0)->counter->fields, KFE_HARD_FIELDS - 1);
        if (i % 3 == 2)
            rig_wear_out(p.sealer);
        for (size_t n = i < 3 ? 1 : 20; n > 0; n--)
            add(&b, 7);
        seal(&b, p.sealer, 0);
        open_all(&b, p.opener, MOST);
        shuffle(&b);
        open_all(&b, p.opener, MOST);
        drop(&b);
    }
}

/* Names are known by where they are, but never longer than a call. */
static void names(pair p)
{
    char name[] = "header", value[] = "its value";
    kfe_header headers[MOST];
    kfe_record sealed[MOST], in[MOST], out[MOST];
    for (size_t i = 0; i < MOST; i++) {
        headers[i] = (kfe_header){.name = kit_text(name), .value = kit_text(value)};
        in[i] = (kfe_record){.topic = kit_text("orders"), .headers = &headers[i], .n_headers = 1};
    }
    size_t cap = kfe_seal_space(in, MOST, 0);
    uint8_t *space[] = {malloc(cap), malloc(2 * cap)};
    for (int i = 0; i < 4; i++) {
        name[0] = (char)('a' + i);
        assert_int_equal(kfe_seal(p.sealer, in, sealed, MOST, space[0], cap, 0), KFE_OK);
        assert_int_equal(kfe_open(p.opener, sealed, out, MOST, space[1], 2 * cap, 0), KFE_OK);
        for (size_t k = 0; k < MOST; k++)
            assert_true(kit_same(&out[k], &in[k]));
        name[0] ^= 1; /* all are forged now, the first and those like it */
        assert_int_equal(kfe_open(p.opener, sealed, out, MOST, space[1], 2 * cap, 0), KFE_E_AUTH);
        for (size_t k = 0; k < MOST; k++)
            assert_int_equal(out[k].error, KFE_E_AUTH);
    }
    /* Another name elsewhere, as long as the others. */
    assert_int_equal(kfe_seal(p.sealer, in, sealed, MOST, space[0], cap, 0), KFE_OK);
    ((kfe_header *)(uintptr_t)sealed[MOST / 2].headers)[1].name = kit_text("footer");
    assert_int_equal(kfe_open(p.opener, sealed, out, MOST, space[1], 2 * cap, 0), KFE_E_AUTH);
    for (size_t k = 0; k < MOST; k++)
        assert_int_equal(out[k].error, k == MOST / 2 ? KFE_E_AUTH : KFE_OK);
    free(space[0]);
    free(space[1]);
}

/* One bit of one envelope's counter, or tag, is another. */
static void forgeries(pair p)
{
    batch b = {.n = 0};
    while (b.n < 40)
        add(&b, 7);
    seal(&b, p.sealer, 0);
    for (int i = 0; i < 60; i++) {
        size_t which = kit_below(40);
        kfe_bytes value = b.sealed[which].headers[0].value;
        kfe_envelope e;
        assert_int_equal(kfe_envelope_read(value, &e), KFE_OK);
        size_t counter = e.metadata.len - KFE_COUNTER_LEN;
        uint8_t *bytes = (uint8_t *)(uintptr_t)value.data + counter;
        uint32_t bit = kit_below((uint32_t)(8 * (value.len - counter)));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        open_all(&b, p.opener, which);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    open_all(&b, p.opener, MOST);
    drop(&b);
}

#define QUESTION(name, question)                                                                   \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        kit_seed();                                                                                \
        with_all(question);                                                                        \
    }

QUESTION(calls_of_any_size, sizes)
QUESTION(forms_and_topics_change_between_calls, forms)
QUESTION(counters_jump, jumps)
QUESTION(names_change_where_they_are, names)
QUESTION(sessions_are_replaced_between_and_in_calls, sessions)
QUESTION(a_forged_bit_fails_its_record_alone, forgeries)

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_of_any_size),
        TEST(forms_and_topics_change_between_calls),
        TEST(counters_jump),
        TEST(names_change_where_they_are),
        TEST(sessions_are_replaced_between_and_in_calls),
        TEST(a_forged_bit_fails_its_record_alone),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
