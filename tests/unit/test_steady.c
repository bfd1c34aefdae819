/* SPDX-License-Identifier: Apache-2.0 */

/* Does a steady load allocate nothing, and does an engine leave nothing behind? Counts every
 * allocation of the process by standing in for malloc(), and tells OpenSSL's own from the others.
 */
#include "tests/unit/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define COUNTING 0 /* they stand in for malloc() themselves */
#else
#define COUNTING 1
#endif

static _Atomic long allocations, live, by_openssl;

#if COUNTING
#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *block);

static void *counted(void *block)
{
    atomic_fetch_add(&allocations, 1);
    atomic_fetch_add(&live, block != NULL);
    return block;
}

EXPORT void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

EXPORT void *calloc(size_t n, size_t size)
{
    return counted(__libc_calloc(n, size));
}

EXPORT void *realloc(void *block, size_t size)
{
    atomic_fetch_sub(&live, block != NULL);
    return counted(__libc_realloc(block, size));
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return counted(__libc_memalign(align, size));
}

EXPORT void free(void *block)
{
    atomic_fetch_sub(&live, block != NULL);
    __libc_free(block);
}
#endif

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    atomic_fetch_add(&by_openssl, 1);
    return malloc(size);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    atomic_fetch_add(&by_openssl, 1);
    return realloc(block, size);
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

/* ---- A steady load --------------------------------------------------------------------------- */

enum { RECORDS = 50, HEADERS = 4, WARM = 5, BATCHES = 1000 };

typedef struct {
    kfe_engine *engine;
    kfe_record in[RECORDS], sealed[RECORDS], opened[RECORDS];
    kfe_header headers[RECORDS][HEADERS];
    uint8_t *space, *open_space;
    size_t cap, open_cap;
    unsigned flags;
} batch;

static batch *batch_new(const kfe_config *config, unsigned flags)
{
    static const char *const names[HEADERS] = {"trace", "tenant", "secret-a", "secret-b"};
    batch *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->engine = kit_engine(config);
    b->flags = flags;
    for (int i = 0; i < RECORDS; i++) {
        for (int h = 0; h < HEADERS; h++)
            b->headers[i][h] = (kfe_header){kit_text(names[h]), kit_text("other"), NULL, 0};
        b->in[i] = (kfe_record){.topic = kit_text("dc1.topic"), .partition = -1};
        b->in[i].key = kit_text("key");
        b->in[i].value = kit_text(i % 5 == 0 ? NULL : "a value of some length");
        b->in[i].headers = b->headers[i];
        b->in[i].n_headers = (size_t)i % (HEADERS + 1);
    }
    b->cap = kfe_seal_space(b->in, RECORDS, 0);
    assert_non_null(b->space = malloc(b->cap));
    assert_non_null(b->open_space = malloc(b->open_cap = 2 * b->cap));
    return b;
}

static void batch_free(batch *b)
{
    kfe_engine_free(b->engine);
    free(b->space);
    free(b->open_space);
    free(b);
}

static void turn(batch *b)
{
    if (kfe_seal(b->engine, b->in, b->sealed, RECORDS, b->space, b->cap, 0) ||
        kfe_open(b->engine, b->sealed, b->opened, RECORDS, b->open_space, b->open_cap, b->flags))
        fail_msg("%s", kfe_error_detail());
}

static void steady(const char *what, kfe_config *config, unsigned flags)
{
    batch *b = batch_new(config, flags);
    for (int i = 0; i < WARM; i++)
        turn(b);
    long before = atomic_load(&allocations), openssl = atomic_load(&by_openssl);
    for (int i = 0; i < (rig_slow() ? 50 : BATCHES); i++)
        turn(b);
    openssl = atomic_load(&by_openssl) - openssl;
    long others = atomic_load(&allocations) - before - (COUNTING ? openssl : 0);
    print_message("%s: %ld by OpenSSL, %ld by others\n", what, openssl, others);
    assert_int_equal(others, 0);
    batch_free(b);
    kfe_config_free(config);
}

static void a_steady_load_allocates_nothing(void **state)
{
    (void)state;
    steady("plain", rig_config(), 0);
    steady("in place", rig_config(), KFE_IN_PLACE);
    kfe_config *config = rig_config();
    kit_set(config, "encryption.scope", "record");
    kit_set(config, "encryption.commit", "true");
    steady("record scope", config, 0);
    config = rig_config();
    kit_set(config, "encryption.keymanager.headers.key", "other");
    steady("two groups", config, 0);
    config = rig_config();
    kit_set(config, "encryption.algorithms", "C20P1305");
    steady("ChaCha20", config, 0);
}

static void patterns_and_templates_allocate_nothing(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kit_set(config, "encryption.encrypt.headers", "secret-.*");
    kit_set(config, "encryption.unencrypted.topics", "public\\..*|metrics");
    steady("patterns", config, 0);
    config = rig_config();
    kit_set(config, "encryption.keymanager.topics", "a.*=orders;.*(\\d+)=orders;.*\\.topic=other");
    steady("topics", config, 0);
}

static void deterministic_keys_allocate_nothing(void **state)
{
    (void)state;
    kfe_config *config = rig_config();
    kit_set(config, "encryption.encrypt.keys", "deterministic");
    kit_set(config, "encryption.keymanager.deterministic.key", "orders@1");
    steady("deterministic", config, 0);
}

/* ---- Engines come and go --------------------------------------------------------------------- */

static void one_life(bool use)
{
    kfe_config *config = rig_config();
    kfe_engine *engine = kit_engine(config);
    kit_record sealed;
    if (use) {
        assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_OK);
        assert_int_equal(rig_open(engine, &sealed), KFE_OK);
        rig_pass(60000); /* the keeper gets work, and may be at it when the engine goes */
        kit_free(&sealed);
        assert_int_equal(rig_seal(engine, NULL, &sealed), KFE_OK);
        kit_free(&sealed);
    }
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static void engines_leave_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        one_life(i % 4 != 0);
    long before = atomic_load(&live);
    for (int i = 0; i < (rig_slow() ? 40 : 400); i++)
        one_life(i % 4 != 0);
    assert_int_equal(atomic_load(&live), before);
    kfe_example_counts counts = kfe_example_counted();
    assert_int_equal(counts.open, counts.free);
    assert_int_equal(counts.handed_out, counts.release);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(a_steady_load_allocates_nothing),
        TEST(patterns_and_templates_allocate_nothing),
        TEST(deterministic_keys_allocate_nothing),
        TEST(engines_leave_nothing_behind),
    };
    return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
