/* SPDX-License-Identifier: Apache-2.0 */
/* Do sessions that a key wraps, and fields that a key seals itself, keep their promises: one call a
 * session, nothing given out of a forgery or a failure, limits, and a refusal of what does not go
 * together? */
#include "tests/unit/rig.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALL_KINDS = 7, FIELDS = 3 };

typedef struct {
    kfe_config *config, *other;
    kfe_engine *producer, *consumer;
} scene;

static scene scene_new(kfe_session_kind kind, unsigned form, unsigned iv_len)
{
    kfe_example_kinds(ALL_KINDS, kind, form, iv_len);
    scene s = {.config = rig_config(), .other = rig_config()};
    kit_set(s.other, "encryption.algorithms", "A256GCM,A128GCM");
    s.producer = kit_engine(s.config);
    s.consumer = kit_engine(s.other);
    return s;
}

static void scene_free(scene *s)
{
    kfe_engine_free(s->producer);
    kfe_engine_free(s->consumer);
    kfe_config_free(s->config);
    kfe_config_free(s->other);
}

static kit_record seal(kfe_engine *engine)
{
    kit_record sealed;
    if (rig_seal(engine, NULL, &sealed))
        fail_msg("%s", kfe_error_detail());
    return sealed;
}

static kfe_envelope envelope_of(const kit_record *sealed)
{
    kfe_envelope e;
    assert_int_equal(kfe_envelope_read(sealed->r.headers[0].value, &e), KFE_OK);
    return e;
}

/* Opens a copy of it, in which the byte that `at` points to is another. */
static kfe_error open_broken(kfe_engine *engine, const kit_record *sealed, const uint8_t *at)
{
    kfe_record copy = kit_copy(&sealed->r);
    const kfe_bytes *from = &sealed->r.headers[0].value, *to = &copy.headers[0].value;
    ((uint8_t *)(uintptr_t)to->data)[at - from->data] ^= 1;
    kit_record opened;
    kfe_error err = kit_open(engine, &copy, &opened);
    assert_true(err == KFE_OK || opened.r.value.data == NULL);
    kit_free(&opened);
    kit_drop(&copy);
    return err;
}

static void one_call_a_session(void **unused)
{
    (void)unused;
    for (unsigned form = 1; form <= 2; form++) {
        kfe_example_reset();
        scene s = scene_new(KFE_WRAPPED, form, 0);
        for (int i = 0; i < 500; i++) {
            kit_record sealed = seal(s.producer);
            assert_int_equal(envelope_of(&sealed).session.data[0], form);
            assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
            kit_free(&sealed);
        }
        kfe_example_counts counts = kfe_example_counted();
        assert_int_equal(counts.wrap, 1);
        assert_int_equal(counts.unwrap, 1);
        assert_int_equal(counts.derive, 0);
        scene_free(&s);
    }
}

static void a_successor_has_a_secret_of_its_own(void **unused)
{
    (void)unused;
    scene s = scene_new(KFE_WRAPPED, 1, 0);
    kit_record first = seal(s.producer);
    rig_wear_out(s.producer);
    kit_record second = seal(s.producer);
    kfe_envelope a = envelope_of(&first), b = envelope_of(&second);
    assert_memory_not_equal(a.session.data, b.session.data, a.session.len);
    assert_int_equal(rig_open(s.consumer, &first), KFE_OK);
    assert_int_equal(rig_open(s.consumer, &second), KFE_OK);
    assert_int_equal(kfe_example_counted().unwrap, 2);
    kit_free(&first);
    kit_free(&second);
    scene_free(&s);
}

/* Also one that differs from a session in use in its last byte alone is unwrapped, not found. */
static void a_forged_secret_is_refused(void **unused)
{
    (void)unused;
    for (unsigned form = 1; form <= 2; form++) {
        kfe_example_reset();
        scene s = scene_new(KFE_WRAPPED, form, 0);
        kit_record sealed = seal(s.producer);
        kfe_envelope e = envelope_of(&sealed);
        assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
        for (size_t i = 1; i < e.session.len; i++)
            assert_int_equal(open_broken(s.consumer, &sealed, e.session.data + i), KFE_E_AUTH);
        assert_int_equal(kfe_example_counted().unwrap, e.session.len);
        assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
        kit_free(&sealed);
        scene_free(&s);
    }
}

typedef struct {
    kfe_engine *engine;
    const kit_record *sealed;
    atomic_uint failed;
} crowd;

static void open_some(void *arg, unsigned number)
{
    crowd *c = arg;
    for (unsigned i = 0; i < 50; i++)
        atomic_fetch_add(&c->failed, rig_open(c->engine, &c->sealed[(i + number) % 4]) != KFE_OK);
}

static void threads_share_what_was_unwrapped(void **unused)
{
    (void)unused;
    scene s = scene_new(KFE_WRAPPED, 2, 0);
    kit_record sealed[4];
    for (int i = 0; i < 4; i++) {
        sealed[i] = seal(s.producer);
        rig_wear_out(s.producer);
    }
    crowd c = {.engine = s.consumer, .sealed = sealed};
    rig_threads(8, open_some, &c);
    assert_int_equal(c.failed, 0);
    assert_int_equal(kfe_example_counted().unwrap, 4);
    for (int i = 0; i < 4; i++)
        kit_free(&sealed[i]);
    scene_free(&s);
}

/* Form 2 binds suite, name and version; form 1 binds them by what is derived. */
static void a_secret_belongs_to_its_key(void **unused)
{
    (void)unused;
    static const uint8_t same[32] = {7};
    assert_int_equal(kfe_example_put("orders", 1, same, 32), KFE_OK);
    assert_int_equal(kfe_example_put("Orders", 1, same, 32), KFE_OK);
    for (unsigned form = 1; form <= 2; form++) {
        scene s = scene_new(KFE_WRAPPED, form, 0);
        kit_record sealed = seal(s.producer);
        kfe_envelope e = envelope_of(&sealed);
        kfe_record copy = kit_copy(&sealed.r);
        size_t at = (size_t)(e.name.data - sealed.r.headers[0].value.data);
        ((uint8_t *)(uintptr_t)copy.headers[0].value.data)[at] = 'O';
        kit_record opened;
        assert_int_equal(kit_open(s.consumer, &copy, &opened), KFE_E_AUTH);
        kit_free(&opened);
        kit_drop(&copy);
        kit_free(&sealed);
        scene_free(&s);
    }
}

static void outages_are_no_forgeries(void **unused)
{
    (void)unused;
    for (int kind = KFE_WRAPPED; kind <= KFE_DIRECT; kind++) {
        kfe_example_reset();
        scene s = scene_new((kfe_session_kind)kind, 2, 12);
        kit_record sealed = seal(s.producer);
        for (int i = 0; i < 3; i++) {
            kfe_example_fail_derive(i == 0 ? KFE_E_PROVIDER : KFE_E_IO, 1);
            assert_int_equal(rig_open(s.consumer, &sealed), KFE_E_PROVIDER);
            rig_pass(KFE_OUTAGE_MS + 1);
        }
        assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
        kit_free(&sealed);
        scene_free(&s);
    }
}

static void whoever_cannot_says_so(void **unused)
{
    (void)unused;
    for (int kind = KFE_WRAPPED; kind <= KFE_DIRECT; kind++) {
        scene s = scene_new((kfe_session_kind)kind, 1, 12);
        kit_record sealed = seal(s.producer);
        kfe_example_kinds(1u << KFE_DERIVED, KFE_DERIVED, 0, 0);
        assert_int_equal(rig_open(s.consumer, &sealed), KFE_E_KEY_DENIED);
        kit_free(&sealed);
        scene_free(&s);
    }
}

/* ---- Direct ------------------------------------------------------------------------------ */

static void each_field_goes_to_the_key(void **unused)
{
    (void)unused;
    for (unsigned iv_len = 12; iv_len <= 16; iv_len++) {
        kfe_example_reset();
        scene s = scene_new(KFE_DIRECT, 0, iv_len);
        kit_record sealed = seal(s.producer);
        kfe_envelope e = envelope_of(&sealed);
        assert_int_equal(e.kind, KFE_DIRECT);
        assert_int_equal(e.iv_len, iv_len);
        assert_int_equal(e.n_tags, FIELDS);
        for (unsigned a = 0; a < FIELDS; a++)
            for (unsigned b = 0; b < a; b++)
                assert_memory_not_equal(e.tags + a * (iv_len + 16), e.tags + b * (iv_len + 16),
                                        iv_len);
        assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
        kfe_example_counts counts = kfe_example_counted();
        assert_int_equal(counts.fields_sealed, FIELDS);
        assert_int_equal(counts.fields_opened, FIELDS);
        assert_int_equal(counts.derive + counts.wrap + counts.unwrap, 0);
        kit_free(&sealed);
        scene_free(&s);
    }
}

static void every_byte_of_an_envelope_counts(void **unused)
{
    (void)unused;
    scene s = scene_new(KFE_DIRECT, 0, 13);
    kit_record sealed = seal(s.producer);
    kfe_bytes e = sealed.r.headers[0].value;
    for (size_t i = 0; i < e.len; i++)
        assert_int_not_equal(open_broken(s.consumer, &sealed, e.data + i), KFE_OK);
    assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
    kit_free(&sealed);
    scene_free(&s);
}

/* A group that the key seals itself beside one that is derived, in one record and one batch. */
static void kinds_stand_side_by_side(void **unused)
{
    (void)unused;
    static const char *const places[] = {"no", "yes"};
    for (size_t in_place = 0; in_place < 2; in_place++) {
        kfe_example_reset();
        kfe_config *config = rig_config();
        kit_set(config, "encryption.keymanager.headers.key", "other");
        kfe_example_kinds(ALL_KINDS, KFE_DERIVED, 0, 0);
        kfe_engine *engine = kit_engine(config);
        kit_record first = seal(engine); /* both keys are loaded now */
        rig_wear_out(engine);
        kfe_state *state = atomic_load(&engine->state);
        pthread_mutex_lock(&state->lock);
        for (kfe_node *node = state->slots.newest; node != NULL; node = node->older)
            if (strcmp(((kfe_slot *)node)->name, "orders") == 0)
                ((kfe_slot *)node)->until = 0;
        pthread_mutex_unlock(&state->lock);
        kfe_example_kinds(ALL_KINDS, KFE_DIRECT, 0, 12);
        kfe_record plain[8], work[8], sealed[8];
        for (int i = 0; i < 8; i++) {
            plain[i] = kit_random_record("topic", 4);
            work[i] = kit_copy(&plain[i]);
        }
        unsigned flags = in_place ? KFE_IN_PLACE : 0;
        size_t cap = kfe_seal_space(work, 8, flags);
        uint8_t *space = malloc(cap);
        assert_int_equal(kfe_seal(engine, work, sealed, 8, space, cap, flags), KFE_OK);
        assert_true(kfe_example_counted().fields_sealed > 0);
        for (int i = 0; i < 8; i++) {
            kit_record opened;
            assert_int_equal(kit_open(engine, &sealed[i], &opened), KFE_OK);
            if (!kit_same(&opened.r, &plain[i]))
                fail_msg("record %d differs, in place: %s", i, places[in_place]);
            kit_free(&opened);
            kit_drop(&plain[i]);
        }
        for (int i = 0; i < 8; i++)
            kit_drop(&work[i]);
        free(space);
        kit_free(&first);
        kfe_engine_free(engine);
        kfe_config_free(config);
    }
}

/* A token that is away fails the records of its keys, and no other of the batch. */
static void others_of_a_batch_open(void **unused)
{
    (void)unused;
    kfe_example_kinds(ALL_KINDS, KFE_DERIVED, 0, 0);
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config), *reader = kit_engine(config);
    const kfe_key_ref other = {"other", 0};
    kit_record records[2];
    records[0] = seal(engine);
    kfe_example_kinds(ALL_KINDS, KFE_DIRECT, 0, 12);
    assert_int_equal(rig_seal(engine, &other, &records[1]), KFE_OK);
    kfe_record in[2], out[2];
    uint8_t space[8192];
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 2; i++)
            in[i] = records[i ^ turn].r;
        kit_record warm;
        assert_int_equal(kit_open(reader, &records[0].r, &warm), KFE_OK);
        kit_free(&warm);
        kfe_example_fail_derive(KFE_E_PROVIDER, 1);
        assert_int_equal(kfe_open(reader, in, out, 2, space, sizeof(space), 0), KFE_E_PROVIDER);
        assert_non_null(strstr(kfe_error_detail(), "told to fail"));
        assert_int_equal(out[turn].error, KFE_OK);
        assert_non_null(out[turn].value.data);
        assert_int_equal(out[!turn].error, KFE_E_PROVIDER);
        assert_null(out[!turn].value.data);
        assert_int_equal(kfe_open(reader, in, out, 2, space, sizeof(space), 0), KFE_OK);
    }
    for (int i = 0; i < 2; i++)
        kit_free(&records[i]);
    kfe_engine_free(engine);
    kfe_engine_free(reader);
    kfe_config_free(config);
}

static void a_failed_batch_gives_nothing_out(void **unused)
{
    (void)unused;
    scene s = scene_new(KFE_DIRECT, 0, 12);
    kit_record sealed = seal(s.producer);
    kfe_example_fail_derive(KFE_E_PROVIDER, 1);
    kit_record failed;
    assert_int_equal(rig_seal(s.producer, NULL, &failed), KFE_E_PROVIDER);
    assert_int_equal(failed.r.n_headers, 0);
    assert_null(failed.r.value.data);
    kit_free(&failed);
    kfe_example_fail_derive(KFE_E_PROVIDER, 1);
    assert_int_equal(rig_open(s.consumer, &sealed), KFE_E_PROVIDER);
    assert_int_equal(rig_open(s.consumer, &sealed), KFE_OK);
    kit_free(&sealed);
    scene_free(&s);
}

/* 2^26 fields for a process and a version, over sessions and engines; the next version goes on. */
static void a_key_is_used_up(void **unused)
{
    (void)unused;
    uint32_t version = 0;
    assert_int_equal(kfe_example_add("tally", &version), KFE_OK);
    scene s = scene_new(KFE_DIRECT, 0, 12);
    const kfe_key_ref ref = {"tally", 1}, next = {"tally", 2};
    kit_record sealed;
    assert_int_equal(rig_seal(s.producer, &ref, &sealed), KFE_OK);
    kit_free(&sealed);
    kfe_tally *tally = NULL;
    assert_int_equal(kfe_tally_of(&tally, "tally", 1), KFE_OK);
    assert_true(kfe_tally_take(tally, KFE_TALLY_MAX - 2 * FIELDS));
    assert_int_equal(rig_seal(s.consumer, &ref, &sealed), KFE_OK);
    kit_free(&sealed);
    assert_int_equal(rig_seal(s.producer, &ref, &sealed), KFE_E_KEY_EXHAUSTED);
    kit_free(&sealed);
    assert_int_equal(rig_seal(s.producer, &ref, &sealed), KFE_E_KEY_EXHAUSTED);
    kit_free(&sealed);
    assert_int_equal(kfe_example_add("tally", &version), KFE_OK);
    assert_int_equal(rig_seal(s.producer, &next, &sealed), KFE_OK);
    kit_free(&sealed);
    scene_free(&s);
}

static kfe_error seal_under(const char *option, const char *value)
{
    kfe_config *config = rig_config();
    kit_set(config, option, value);
    if (strcmp(value, "deterministic") == 0)
        kit_set(config, "encryption.keymanager.deterministic.key", "other@1");
    kfe_engine *engine = kit_engine(config);
    kit_record sealed;
    kfe_error err = rig_seal(engine, NULL, &sealed);
    kit_free(&sealed);
    kfe_engine_free(engine);
    kfe_config_free(config);
    return err;
}

static void what_does_not_go_together_is_refused(void **unused)
{
    (void)unused;
    kfe_example_kinds(ALL_KINDS, KFE_DIRECT, 0, 12);
    assert_int_equal(seal_under("encryption.algorithms", "A256GCM"), KFE_OK);
    assert_int_equal(seal_under("encryption.algorithms", "C20P1305"), KFE_E_KEY_DENIED);
    assert_int_equal(seal_under("encryption.algorithms", "A128GCM"), KFE_E_KEY_DENIED);
    assert_int_equal(seal_under("encryption.commit", "true"), KFE_E_KEY_DENIED);
    assert_int_equal(seal_under("encryption.encrypt.keys", "deterministic"), KFE_E_KEY_DENIED);
    kfe_example_kinds(ALL_KINDS, KFE_DIRECT, 0, 11);
    assert_int_equal(seal_under("encryption.algorithms", "A256GCM"), KFE_E_PROVIDER);
    kfe_example_kinds(ALL_KINDS, KFE_WRAPPED, 3, 0);
    assert_int_equal(seal_under("encryption.algorithms", "A256GCM"), KFE_E_PROVIDER);
}

static void a_short_key_does_the_short_suite(void **unused)
{
    (void)unused;
    static const uint8_t bytes[16] = {3};
    assert_int_equal(kfe_example_put("orders", 1, bytes, 16), KFE_OK);
    kfe_example_kinds(ALL_KINDS, KFE_DIRECT, 0, 12);
    assert_int_equal(seal_under("encryption.algorithms", "A128GCM"), KFE_OK);
    assert_int_equal(seal_under("encryption.algorithms", "A256GCM"), KFE_E_KEY_DENIED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_call_a_session),
        TEST(a_successor_has_a_secret_of_its_own),
        TEST(a_forged_secret_is_refused),
        TEST(threads_share_what_was_unwrapped),
        TEST(a_secret_belongs_to_its_key),
        TEST(outages_are_no_forgeries),
        TEST(whoever_cannot_says_so),
        TEST(each_field_goes_to_the_key),
        TEST(every_byte_of_an_envelope_counts),
        TEST(kinds_stand_side_by_side),
        TEST(others_of_a_batch_open),
        TEST(a_failed_batch_gives_nothing_out),
        TEST(a_key_is_used_up),
        TEST(what_does_not_go_together_is_refused),
        TEST(a_short_key_does_the_short_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
