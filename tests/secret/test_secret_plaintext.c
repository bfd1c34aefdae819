/* SPDX-License-Identifier: Apache-2.0 */
/* Does plaintext stay behind? Once a call has returned and the caller's own buffers are wiped, no
 * 16 bytes of what was sealed or opened are anywhere: not in workspaces that are kept for the next
 * call, not in freed memory, not on the stack; nor after a record was refused. */
#include "tests/secret/hunt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/secret.h"

enum { MARKER = 64, RECORDS = 24, LONG = 40 /* markers in a row */, FIELD = LONG * MARKER };

static hunt_secret *marker;
static hunt_find finds[HUNT_FINDS_MAX];
static const char *store;

typedef struct {
    const char *suite, *keys, *scope, *headers_key;
    unsigned flags;
} shape;

/* Records whose key, value and one header are markers in a row, in memory of this test's own. */
typedef struct {
    uint8_t *memory;
    size_t size;
    kfe_header headers[RECORDS];
    kfe_record records[RECORDS];
} batch;

static void nothing_is_left(const shape *s, const char *when)
{
    size_t n = hunt(&marker, 1, finds);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++)
        hunt_report(&finds[i]);
    if (n > 0)
        fail_msg("%zu finds after %s: %s, keys %s, scope %s, headers' key %s, flags %u", n, when,
                 s->suite, s->keys, s->scope, s->headers_key, s->flags);
}

static kfe_bytes field(uint8_t **at, size_t markers)
{
    kfe_bytes bytes = {*at, markers * MARKER};
    for (size_t i = 0; i < markers; i++, *at += MARKER)
        hunt_get(marker, *at);
    return bytes;
}

/* Every fourth record is a long one. */
static batch *batch_new(void)
{
    batch *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->size = (size_t)RECORDS * 3 * FIELD;
    b->memory = malloc(b->size);
    assert_non_null(b->memory);
    uint8_t *at = b->memory;
    for (size_t i = 0; i < RECORDS; i++) {
        size_t markers = i % 4 == 3 ? LONG : 1;
        b->headers[i] = (kfe_header){.name = kit_text("h"), .value = field(&at, markers)};
        b->records[i] = (kfe_record){.topic = kit_text("topic"),
                                     .key = field(&at, 1),
                                     .value = field(&at, markers),
                                     .headers = &b->headers[i],
                                     .n_headers = 1,
                                     .partition = -1};
    }
    return b;
}

static void batch_free(batch *b)
{
    kfe_wipe(b->memory, b->size);
    free(b->memory);
    free(b);
}

/* Seals a batch; `out` gets copies of the sealed records. */
static void seal(kfe_engine *engine, const shape *s, kfe_record out[RECORDS])
{
    batch *b = batch_new();
    kfe_record sealed[RECORDS];
    size_t cap = kfe_seal_space(b->records, RECORDS, s->flags);
    uint8_t *space = calloc(1, cap);
    assert_non_null(space);
    if (kfe_seal(engine, b->records, sealed, RECORDS, space, cap, s->flags) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
    for (size_t i = 0; i < RECORDS; i++)
        out[i] = kit_copy(&sealed[i]);
    free(space); /* sealed bytes: nothing of the marker may be in there */
    batch_free(b);
}

/* Opens them (in place: the copies hold the plaintext then). With `forged` each is refused, and the
 * space is not wiped: there may be nothing in it. */
static void open_all(kfe_engine *engine, const shape *s, const kfe_record *in, bool forged)
{
    kfe_record opened[RECORDS];
    size_t cap = kfe_open_space(in, RECORDS, s->flags);
    uint8_t *space = calloc(1, cap);
    assert_non_null(space);
    kfe_error err = kfe_open(engine, in, opened, RECORDS, space, cap, s->flags);
    assert_int_equal(err, forged ? KFE_E_AUTH : KFE_OK);
    if (!forged)
        assert_true(hunt(&marker, 1, finds) > 0); /* it is there to be found */
    for (size_t i = 0; i < RECORDS; i++) {
        assert_int_equal(opened[i].error, err);
        if (forged)
            continue;
        assert_int_equal(opened[i].value.len % MARKER, 0);
        kfe_wipe((void *)(uintptr_t)opened[i].key.data, opened[i].key.len);
        kfe_wipe((void *)(uintptr_t)opened[i].value.data, opened[i].value.len);
        kfe_wipe((void *)(uintptr_t)opened[i].headers[0].value.data,
                 opened[i].headers[0].value.len);
    }
    if (!forged)
        kfe_wipe(space, cap); /* a deterministic key's text begins one byte before its key */
    nothing_is_left(s, forged ? "a forgery" : "opening");
    free(space);
}

static void forge(kfe_record *records)
{
    for (size_t i = 0; i < RECORDS; i++) {
        kfe_bytes envelope = records[i].headers[0].value;
        ((uint8_t *)(uintptr_t)envelope.data)[envelope.len - 1] ^= 1;
    }
}

static kfe_engine *engine_of(const shape *s, kfe_config **config)
{
    *config = kit_config(
        "encryption.keyprovider.class", "file", "encryption.keyprovider.file.path", store,
        "encryption.keymanager.class", "topic", "encryption.keymanager.default.key", "orders",
        "encryption.keymanager.headers.key", s->headers_key, "encryption.algorithms", s->suite,
        "encryption.scope", s->scope, "encryption.encrypt.keys", s->keys, NULL);
    if (s->keys[0] == 'd')
        kit_set(*config, "encryption.keymanager.deterministic.key", "orders@1");
    return kit_engine(*config);
}

static void run(const shape *s)
{
    kfe_record sealed[RECORDS];
    kfe_config *config = NULL;
    kfe_engine *engine = engine_of(s, &config);
    for (int forged = 0; forged < 2; forged++) {
        seal(engine, s, sealed);
        nothing_is_left(s, "sealing");
        if (forged)
            forge(sealed);
        open_all(engine, s, sealed, forged);
        for (size_t i = 0; i < RECORDS; i++)
            kit_drop(&sealed[i]);
    }
    kfe_engine_free(engine);
    kfe_config_free(config);
    nothing_is_left(s, "the engine's end");
}

static void run_suite(const char *suite)
{
    static const char *const keys[] = {"true", "deterministic"};
    static const char *const scopes[] = {"field", "record"};
    static const char *const headers_keys[] = {"orders", "tags"};
    for (unsigned i = 0; i < 16; i++) {
        const shape s = {suite, keys[i & 1], scopes[i >> 1 & 1], headers_keys[i >> 2 & 1],
                         i >> 3 ? KFE_IN_PLACE : 0};
        run(&s);
    }
}

static void aes256(void **state)
{
    (void)state;
    run_suite("A256GCM");
}

static void aes128(void **state)
{
    (void)state;
    run_suite("A128GCM");
}

static void chacha(void **state)
{
    (void)state;
    run_suite("C20P1305");
}

/* One that is refused among good ones leaves nothing either. */
static void a_record_that_is_not_sealed(void **state)
{
    (void)state;
    const shape s = {"A256GCM", "true", "record", "orders", 0};
    kfe_config *config = NULL;
    kfe_engine *engine = engine_of(&s, &config);
    const kfe_key_ref missing = {"no-such-key", 1};
    batch *b = batch_new();
    for (size_t i = 0; i < RECORDS; i += 2)
        b->records[i].key_ref = &missing;
    kfe_record sealed[RECORDS];
    size_t cap = kfe_seal_space(b->records, RECORDS, 0);
    uint8_t *space = calloc(1, cap);
    assert_non_null(space);
    assert_int_equal(kfe_seal(engine, b->records, sealed, RECORDS, space, cap, 0),
                     KFE_E_KEY_UNKNOWN);
    batch_free(b);
    nothing_is_left(&s, "a refusal");
    free(space);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void make_marker(void *unused)
{
    (void)unused;
    uint8_t bytes[MARKER];
    if (kfe_random(bytes, sizeof(bytes)) != KFE_OK)
        _Exit(1);
    hunt_set(marker, bytes, sizeof(bytes));
}

static int set_up(void **state)
{
    (void)state;
    static const kit_key keys[] = {{"orders", 1, {1}, NULL}, {"tags", 1, {2}, NULL}};
    store = kit_keystore("keys.json", keys, 2);
    marker = hunt_new("plaintext");
    hunt_child(make_marker, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes256),
        cmocka_unit_test(aes128),
        cmocka_unit_test(chacha),
        cmocka_unit_test(a_record_that_is_not_sealed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
