/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DAY_MS = 24 * 3600 * 1000 };

/* ---- The clock ------------------------------------------------------------------------------ */

int64_t __real_kfe_now_ms(void);
int64_t __wrap_kfe_now_ms(void);

static _Atomic int64_t frozen; /* 0: it runs */

int64_t __wrap_kfe_now_ms(void)
{
    int64_t now = atomic_load(&frozen);
    return now != 0 ? now : __real_kfe_now_ms();
}

void rig_freeze(void)
{
    /* state.c notes the start of the token bucket by the real clock: it must not lie ahead. */
    int64_t seen = atomic_load(&frozen), real = __real_kfe_now_ms();
    atomic_store(&frozen, (seen > real ? seen : real) + DAY_MS);
}

void rig_pass(int64_t ms)
{
    atomic_fetch_add(&frozen, ms);
}

void rig_thaw(void)
{
    atomic_store(&frozen, 0);
}

int rig_set_up(void **state)
{
    (void)state;
    kfe_example_reset();
    rig_freeze();
    return 0;
}

int rig_tear_down(void **state)
{
    (void)state;
    kfe_example_gate_open();
    return 0;
}

/* ---- Engines -------------------------------------------------------------------------------- */

kfe_config *rig_config(void)
{
    return kit_config("encryption.keyprovider.class", EXAMPLE_PROVIDER ":kfe_example_provider",
                      "encryption.keyprovider.example.keys", "orders,other",
                      "encryption.keymanager.class", "topic", "encryption.keymanager.default.key",
                      "orders", (char *)NULL);
}

static kfe_state *state_of(kfe_engine *engine)
{
    return atomic_load(&engine->state);
}

static bool busy(const kfe_state *state)
{
    for (kfe_node *node = state->slots.newest; node != NULL; node = node->older)
        if (((kfe_slot *)node)->wanted || ((kfe_slot *)node)->loading)
            return true;
    for (kfe_node *node = state->sealers.newest; node != NULL; node = node->older)
        if (((kfe_sealer *)node)->wanted || ((kfe_sealer *)node)->making)
            return true;
    return false;
}

void rig_settle(kfe_engine *engine)
{
    kfe_state *state = state_of(engine);
    pthread_mutex_lock(&state->lock);
    while (busy(state))
        pthread_cond_wait(&state->changed, &state->lock);
    pthread_mutex_unlock(&state->lock);
}

kfe_session *rig_session(kfe_engine *engine, const char *name, uint32_t version)
{
    kfe_state *state = state_of(engine);
    kfe_session *found = NULL;
    pthread_mutex_lock(&state->lock);
    for (kfe_node *node = state->sealers.newest; node != NULL; node = node->older) {
        kfe_sealer *sealer = (kfe_sealer *)node;
        if (sealer->slot->version == version && strcmp(sealer->slot->name, name) == 0)
            found = sealer->session;
    }
    pthread_mutex_unlock(&state->lock);
    assert_non_null(found);
    return found;
}

void rig_wear_out(kfe_engine *engine)
{
    kfe_state *state = state_of(engine);
    kfe_session *session = rig_session(engine, "orders", 0);
    pthread_mutex_lock(&state->lock);
    session->born -= KFE_HARD_AGE_MS;
    pthread_mutex_unlock(&state->lock);
}

void rig_no_successors(kfe_engine *engine)
{
    kfe_state *state = state_of(engine);
    pthread_mutex_lock(&state->lock);
    for (kfe_node *node = state->sealers.newest; node != NULL; node = node->older)
        ((kfe_sealer *)node)->retry = INT64_MAX;
    pthread_mutex_unlock(&state->lock);
}

/* ---- Records -------------------------------------------------------------------------------- */

typedef kfe_error call(kfe_engine *, const kfe_record *, kfe_record *, size_t, void *, size_t,
                       unsigned);

static kfe_error run(call *f, size_t space, kfe_engine *engine, const kfe_record *in,
                     kit_record *out)
{
    memset(out, 0, sizeof(*out));
    out->space = malloc(space);
    return out->space == NULL ? KFE_E_MEMORY : f(engine, in, &out->r, 1, out->space, space, 0);
}

kfe_error rig_seal(kfe_engine *engine, const kfe_key_ref *ref, kit_record *out)
{
    static const char topic[] = "topic", key[] = "customer 4711", value[] = "three pieces",
                      h[] = "h";
    const kfe_header header = {.name = {(const uint8_t *)h, 1}, .value = {(const uint8_t *)h, 1}};
    const kfe_record in = {.topic = {(const uint8_t *)topic, sizeof(topic) - 1},
                           .key = {(const uint8_t *)key, sizeof(key) - 1},
                           .value = {(const uint8_t *)value, sizeof(value) - 1},
                           .headers = &header,
                           .n_headers = 1,
                           .partition = -1,
                           .key_ref = ref};
    return run(kfe_seal, kfe_seal_space(&in, 1, 0), engine, &in, out);
}

kfe_error rig_open(kfe_engine *engine, const kit_record *sealed)
{
    kit_record opened;
    kfe_error err = run(kfe_open, kfe_open_space(&sealed->r, 1, 0), engine, &sealed->r, &opened);
    kit_free(&opened);
    return err;
}

static bool read_first(const kit_record *sealed, kfe_envelope *out)
{
    return sealed->r.n_headers > 0 &&
           kfe_envelope_read(sealed->r.headers[0].value, out) == KFE_OK && out->kind == KFE_DERIVED;
}

rig_place rig_place_of(const kit_record *sealed)
{
    rig_place place = {.version = 0};
    kfe_envelope envelope;
    if (!read_first(sealed, &envelope))
        return place;
    memcpy(place.salt, envelope.session.data, KFE_SALT_LEN);
    place.counter = envelope.counter;
    place.version = envelope.version;
    return place;
}

bool rig_same_salt(const kit_record *a, const kit_record *b)
{
    return memcmp(rig_place_of(a).salt, rig_place_of(b).salt, KFE_SALT_LEN) == 0;
}

/* A copy whose envelope has `patch` at the place that `at` points to in the first one. */
static kit_record forge(const kit_record *sealed, const uint8_t *at, const void *patch, size_t len)
{
    const kfe_record *r = &sealed->r;
    kfe_bytes from = r->headers[0].value;
    size_t head = r->n_headers * sizeof(kfe_header);
    kit_record forged = {.r = *r, .space = malloc(head + from.len)};
    assert_non_null(forged.space);
    kfe_header *headers = forged.space;
    uint8_t *to = (uint8_t *)forged.space + head;
    memcpy(headers, r->headers, head);
    memcpy(to, from.data, from.len);
    memcpy(to + (at - from.data), patch, len);
    headers[0].value.data = to;
    forged.r.headers = headers;
    return forged;
}

kit_record rig_forge_salt(const kit_record *sealed, uint32_t n)
{
    kfe_envelope envelope;
    assert_true(read_first(sealed, &envelope));
    return forge(sealed, envelope.session.data, &n, sizeof(n));
}

kit_record rig_forge_name(const kit_record *sealed, uint32_t n)
{
    kfe_envelope envelope;
    assert_true(read_first(sealed, &envelope) && envelope.name.len >= 5);
    char name[5];
    for (int i = 0; i < 5; i++, n /= 26)
        name[i] = (char)('A' + n % 26);
    return forge(sealed, envelope.name.data, name, sizeof(name));
}

kit_record rig_forge_version(const kit_record *sealed, uint8_t version)
{
    kfe_envelope envelope;
    assert_true(read_first(sealed, &envelope) && envelope.version < 128 && version < 128);
    return forge(sealed, envelope.name.data + envelope.name.len, &version, 1);
}

/* ---- Threads and children ------------------------------------------------------------------- */

static void *run_thread(void *arg)
{
    const rig_thread *thread = arg;
    pthread_barrier_wait(thread->start);
    thread->body(thread->arg, thread->number);
    return NULL;
}

void rig_start(rig_thread *threads, unsigned n, pthread_barrier_t *start, rig_body *body, void *arg)
{
    assert_int_equal(pthread_barrier_init(start, NULL, n), 0);
    for (unsigned i = 0; i < n; i++) {
        threads[i] = (rig_thread){.start = start, .body = body, .arg = arg, .number = i};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]), 0);
    }
}

void rig_join(rig_thread *threads, unsigned n, pthread_barrier_t *start)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
    pthread_barrier_destroy(start);
}

void rig_threads(unsigned n, rig_body *body, void *arg)
{
    rig_thread threads[64];
    pthread_barrier_t start;
    rig_start(threads, n, &start, body, arg);
    rig_join(threads, n, &start);
}

int rig_child(bool raw, void (*body)(void *arg), void *arg)
{
    long pid = raw ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(10);
        body(arg);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
    return status;
}

void rig_require(bool fact, int code)
{
    if (!fact)
        _exit(code);
}

bool rig_slow(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return true;
#else
    const char *preload = getenv("LD_PRELOAD"); /* valgrind loads itself this way */
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
#endif
}
