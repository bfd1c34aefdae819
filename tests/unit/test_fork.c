/* SPDX-License-Identifier: Apache-2.0 */

/* Does a child, made by fork() or by the bare system call, start sessions of its own, whatever its
 * parent's threads were doing? */
#include "tests/unit/rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What child and parent both see. */
typedef struct {
    rig_place places[4096];
    uint32_t n;
} shared;

typedef struct {
    kfe_engine *engine;
    kit_record sealed; /* by the parent, before */
    shared *seen;
    atomic_bool stop;
    _Atomic unsigned failed;
} scene;

static shared *share(void)
{
    void *pages =
        mmap(NULL, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    return pages;
}

static scene *scene_new(kfe_config **config)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    *config = rig_config();
    s->engine = kit_engine(*config);
    s->seen = share();
    assert_int_equal(rig_seal(s->engine, NULL, &s->sealed), KFE_OK);
    return s;
}

static void scene_end(scene *s, kfe_config *config)
{
    kit_free(&s->sealed);
    kfe_engine_free(s->engine);
    kfe_config_free(config);
    munmap(s->seen, sizeof(*s->seen));
}

static void scene_free(scene *s, kfe_config *config)
{
    scene_end(s, config);
    free(s);
}

/* Each kind of child; the bare call only where nothing but our own locks can be held by others. */
static const bool kinds[] = {false, true};

static bool can(bool raw)
{
#ifdef __SANITIZE_THREAD__
    return !raw; /* ThreadSanitizer's own locks do not survive it */
#else
    (void)raw;
    return true;
#endif
}

/* A child among threads finds AddressSanitizer's allocator as they left it: its lock may be held
 * for ever (gcc 12 does nothing about that in fork()). */
static void skip_where_no_child_can_allocate(void)
{
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
}

static bool is_new(const scene *s, const rig_place *place)
{
    rig_place before = rig_place_of(&s->sealed);
    bool known = memcmp(before.salt, place->salt, KFE_SALT_LEN) == 0;
    for (uint32_t i = 0; i < s->seen->n; i++)
        known |= memcmp(s->seen->places[i].salt, place->salt, KFE_SALT_LEN) == 0;
    return !known;
}

/* ---- In the child ---------------------------------------------------------------------------- */

static void seal_and_open(void *arg)
{
    scene *s = arg;
    kit_record first, second;
    rig_require(rig_seal(s->engine, NULL, &first) == KFE_OK, 1);
    rig_require(rig_seal(s->engine, NULL, &second) == KFE_OK, 2);
    rig_place place = rig_place_of(&first);
    rig_require(place.version == 1 && is_new(s, &place), 3);
    rig_require(place.counter == 0 && rig_place_of(&second).counter == 1, 4);
    rig_require(rig_same_salt(&first, &second), 5);
    rig_require(rig_open(s->engine, &s->sealed) == KFE_OK, 6);
    rig_require(rig_open(s->engine, &second) == KFE_OK, 7);
    s->seen->places[s->seen->n++] = place;
    kit_free(&first);
    kit_free(&second);
}

static void seal_and_free(void *arg)
{
    scene *s = arg;
    seal_and_open(arg);
    kfe_engine_free(s->engine);
}

static void free_unused(void *arg)
{
    kfe_engine_free(((scene *)arg)->engine);
}

static void open_gate_and_seal(void *arg)
{
    kfe_example_gate_open();
    seal_and_open(arg);
}

static void seal_and_fork_again(void *arg)
{
    scene *s = arg;
    seal_and_open(arg);
    rig_place mine = s->seen->places[s->seen->n - 1];
    for (size_t i = 0; i < 2; i++)
        rig_require(!can(kinds[i]) || rig_child(kinds[i], seal_and_open, s) == 0, 20);
    kit_record sealed;
    rig_require(rig_seal(s->engine, NULL, &sealed) == KFE_OK, 21);
    rig_place after = rig_place_of(&sealed);
    rig_require(memcmp(after.salt, mine.salt, KFE_SALT_LEN) == 0 && after.counter == 2, 22);
    kit_free(&sealed);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

/* The parent's session goes on where it was. */
static void expect_parent_goes_on(scene *s)
{
    kit_record sealed;
    uint64_t before = rig_place_of(&s->sealed).counter;
    assert_int_equal(rig_seal(s->engine, NULL, &sealed), KFE_OK);
    assert_true(rig_same_salt(&s->sealed, &sealed));
    assert_int_equal(rig_place_of(&sealed).counter, before + 1);
    kit_free(&s->sealed);
    s->sealed = sealed;
}

static void children_seal_under_salts_of_their_own(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    for (int i = 0; i < 40; i++) {
        if (!can(kinds[i % 2]))
            continue;
        assert_int_equal(rig_child(kinds[i % 2], i % 4 < 2 ? seal_and_open : seal_and_free, s), 0);
        expect_parent_goes_on(s);
    }
    assert_in_range(s->seen->n, 20, 40);
    scene_free(s, config);
}

static void children_may_free_what_they_never_used(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    for (size_t i = 0; i < 2; i++)
        if (can(kinds[i]))
            assert_int_equal(rig_child(kinds[i], free_unused, s), 0);
    expect_parent_goes_on(s);
    scene_free(s, config);
}

static void grandchildren_are_children_too(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    for (size_t i = 0; i < 2; i++)
        if (can(kinds[i]))
            assert_int_equal(rig_child(kinds[i], seal_and_fork_again, s), 0);
    expect_parent_goes_on(s);
    scene_free(s, config);
}

static void a_lock_held_by_the_parent_holds_no_child(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    kfe_state *of_parent = atomic_load(&s->engine->state);
    for (size_t i = 0; i < 2; i++) {
        pthread_mutex_lock(&of_parent->lock);
        int status = can(kinds[i]) ? rig_child(kinds[i], seal_and_open, s) : 0;
        pthread_mutex_unlock(&of_parent->lock);
        assert_int_equal(status, 0);
    }
    expect_parent_goes_on(s);
    scene_free(s, config);
}

static void seal_other(void *arg, unsigned number)
{
    static const kfe_key_ref other = {"other", 0};
    (void)number;
    scene *s = arg;
    kit_record sealed;
    if (rig_seal(s->engine, &other, &sealed))
        atomic_fetch_add(&s->failed, 1);
    kit_free(&sealed);
}

/* One of the parent's threads is in kfe_seal() and in a call of the provider, two wait for it. */
static void a_provider_call_under_way_holds_no_child(void **state)
{
    (void)state;
    skip_where_no_child_can_allocate();
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    rig_thread threads[3];
    pthread_barrier_t start;
    kfe_example_gate_close();
    rig_start(threads, 3, &start, seal_other, s);
    kfe_example_await(1);
    int status[2] = {0, 0};
    for (size_t i = 0; i < 2; i++)
        if (can(kinds[i]))
            status[i] = rig_child(kinds[i], open_gate_and_seal, s);
    expect_parent_goes_on(s);
    kfe_example_gate_open();
    rig_join(threads, 3, &start);
    assert_int_equal(status[0], 0);
    assert_int_equal(status[1], 0);
    assert_int_equal(atomic_load(&s->failed), 0);
    scene_free(s, config);
}

static void seal_until_told(void *arg, unsigned number)
{
    (void)number;
    scene *s = arg;
    while (!atomic_load(&s->stop)) {
        kit_record sealed;
        if (rig_seal(s->engine, NULL, &sealed) || !rig_same_salt(&s->sealed, &sealed) ||
            rig_open(s->engine, &sealed))
            atomic_fetch_add(&s->failed, 1);
        kit_free(&sealed);
    }
}

/* Not by the bare call: the C library's own locks would be left as they are. */
static void records_under_way_hold_no_child(void **state)
{
    (void)state;
    skip_where_no_child_can_allocate();
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    rig_thread threads[4];
    pthread_barrier_t start;
    rig_start(threads, 4, &start, seal_until_told, s);
    unsigned bad = 0, children = rig_slow() ? 15 : 150;
    for (unsigned i = 0; i < children; i++)
        bad += rig_child(false, i % 2 == 0 ? seal_and_open : seal_and_free, s) != 0;
    atomic_store(&s->stop, true);
    rig_join(threads, 4, &start);
    assert_int_equal(bad, 0);
    assert_int_equal(s->seen->n, children);
    assert_int_equal(atomic_load(&s->failed), 0);
    scene_free(s, config);
}

/* ---- Forked by a signal handler, in the middle of a call ------------------------------------- */

/* The engine's backend, but for a fork behind its work. */
static struct {
    kfe_backend backend;
    const kfe_backend *real;
    bool raw;
    long child;
} torn;

static void tear(void)
{
    torn.child = torn.raw ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
}

static kfe_error seal_and_tear(const kfe_aead_batch *batch)
{
    kfe_error err = torn.real->seal(batch);
    return tear(), err;
}

static kfe_error open_and_tear(const kfe_aead_batch *batch)
{
    kfe_error err = torn.real->open(batch);
    return tear(), err;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

typedef kfe_error call(kfe_engine *, const kfe_record *, kfe_record *, size_t, void *, size_t,
                       unsigned);

/* Calls, and is two processes then. The child has made nothing of it, and goes on with sessions of
 * its own. */
static void tear_call(scene *s, call *f, const kfe_record *in, size_t cap)
{
    uint8_t *space = calloc(1, cap);
    kfe_record out;
    assert_non_null(space);
    torn.child = -1;
    kfe_error err = f(s->engine, in, &out, 1, space, cap, 0);
    if (torn.child == 0) {
        rig_require(err == KFE_E_KEY_EXHAUSTED && out.error == err, 1);
        rig_require(out.value.data == NULL && out.key.data == NULL && out.n_headers == 0, 2);
        rig_require(all_zero(space, cap), 3);
        s->engine->settings.backend = torn.real;
        seal_and_open(s);
        _exit(0);
    }
    assert_int_equal(err, KFE_OK);
    int status = -1;
    assert_int_equal(waitpid((pid_t)torn.child, &status, 0), torn.child);
    assert_int_equal(status, 0);
    free(space);
}

static void tear_calls(bool deterministic, bool raw)
{
    kfe_config *config = rig_config();
    if (deterministic) {
        kit_set(config, "encryption.encrypt.keys", "deterministic");
        kit_set(config, "encryption.keymanager.deterministic.key", "orders@1");
    }
    scene s = {.engine = kit_engine(config), .seen = share()};
    torn.real = s.engine->settings.backend;
    torn.backend = *torn.real, torn.raw = raw;
    torn.backend.seal = seal_and_tear, torn.backend.open = open_and_tear;
    assert_int_equal(rig_seal(s.engine, NULL, &s.sealed), KFE_OK);
    s.engine->settings.backend = &torn.backend;
    rig_wear_out(s.engine); /* the next session has it */
    const kfe_record in = {.topic = kit_text("topic"),
                           .key = kit_text("customer 4711"),
                           .value = kit_text("three pieces"),
                           .partition = -1};
    tear_call(&s, kfe_seal, &in, kfe_seal_space(&in, 1, 0));
    tear_call(&s, kfe_open, &s.sealed.r, kfe_open_space(&s.sealed.r, 1, 0));
    s.engine->settings.backend = torn.real;
    scene_end(&s, config);
}

static void a_child_in_the_middle_of_a_call_gives_nothing_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        if (can(kinds[i / 2]))
            tear_calls(i % 2 != 0, kinds[i / 2]);
}

/* ---- Many threads in one child --------------------------------------------------------------- */

static void seal_into_place(void *arg, unsigned number)
{
    scene *s = arg;
    kit_record sealed;
    if (rig_seal(s->engine, NULL, &sealed))
        atomic_fetch_add(&s->failed, 1);
    s->seen->places[number] = rig_place_of(&sealed);
    kit_free(&sealed);
}

static void seal_on_threads(void *arg)
{
    scene *s = arg;
    unsigned opened = kfe_example_counted().open;
    rig_threads(8, seal_into_place, s);
    rig_require(atomic_load(&s->failed) == 0, 1);
    rig_require(kfe_example_counted().open == opened + 1, 2);
    for (int i = 1; i < 8; i++)
        rig_require(memcmp(s->seen->places[0].salt, s->seen->places[i].salt, KFE_SALT_LEN) == 0, 3);
    rig_require(is_new(s, &s->seen->places[0]), 4);
}

static void threads_of_a_child_share_one_new_state(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    assert_int_equal(rig_child(false, seal_on_threads, s), 0);
    scene_free(s, config);
}

static void lose_provider(void *arg)
{
    scene *s = arg;
    kit_record sealed;
    kfe_example_fail(KFE_E_PROVIDER, 1);
    for (int i = 0; i < 3; i++) {
        rig_require(rig_seal(s->engine, NULL, &sealed) == KFE_E_PROVIDER, 1);
        rig_require(sealed.r.value.data == NULL && sealed.r.n_headers == 0, 2);
    }
    rig_pass(250);
    seal_and_open(arg);
}

static void a_child_without_provider_seals_nothing(void **state)
{
    (void)state;
    kfe_config *config = NULL;
    scene *s = scene_new(&config);
    assert_int_equal(rig_child(false, lose_provider, s), 0);
    expect_parent_goes_on(s);
    scene_free(s, config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(children_seal_under_salts_of_their_own),
        TEST(children_may_free_what_they_never_used),
        TEST(grandchildren_are_children_too),
        TEST(a_lock_held_by_the_parent_holds_no_child),
        TEST(a_provider_call_under_way_holds_no_child),
        TEST(records_under_way_hold_no_child),
        TEST(a_child_in_the_middle_of_a_call_gives_nothing_out),
        TEST(threads_of_a_child_share_one_new_state),
        TEST(a_child_without_provider_seals_nothing),
    };
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
