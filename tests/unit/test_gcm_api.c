/* SPDX-License-Identifier: Apache-2.0 */
/* Does <kfe/gcm.h> keep its word: with wrong arguments, with forgeries, with many keys and backends
 * in one call, from many threads, in a child? Whether the ciphers are right in every shape is asked
 * in tests/backend. */
#include "tests/unit/gcm_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 150, KEYS = 70, THREADS = 8 };

static rig_key keys[KEYS];
static rig_message messages[MESSAGES];
static kfe_gcm_op ops[MESSAGES];

static size_t count(const char *const *names)
{
    size_t n = 0;
    while (names[n] != NULL)
        n++;
    return n;
}

/* Keys of all backends in turn. */
static int set_up(void **state)
{
    (void)state;
    size_t n = count(kfe_backends());
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = rig_key_new(kfe_backends()[i % n]);
    for (size_t i = 0; i < MESSAGES; i++)
        rig_message_init(&messages[i], &keys[kit_below(KEYS)], false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        kfe_gcm_key_free(keys[i].key);
    kfe_gcm_key_free(NULL);
    return 0;
}

static void a_key_is_what_was_asked_for(void **state)
{
    (void)state;
    uint8_t raw[40] = {0};
    for (const char *const *name = kfe_backends(); *name != NULL; name++)
        for (size_t len = 0; len <= sizeof(raw); len++) {
            kfe_gcm_key *key = NULL;
            bool good = len == 16 || len == 24 || len == 32;
            assert_int_equal(kfe_gcm_key_new(&key, raw, len, *name),
                             good ? KFE_OK : KFE_E_ARGUMENT);
            assert_true((key != NULL) == good);
            if (good)
                assert_string_equal(kfe_gcm_key_backend(key), *name);
            kfe_gcm_key_free(key);
        }
    kfe_gcm_key *key = NULL;
    assert_int_equal(kfe_gcm_key_new(NULL, raw, 16, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_key_new(&key, NULL, 16, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_key_new(&key, raw, 16, "portable"), KFE_E_BACKEND);
    assert_null(key);
}

static void the_environment_names_a_backend(void **state)
{
    (void)state;
    static const uint8_t raw[32];
    kfe_gcm_key *key = NULL;
    const char *before = getenv("KFE_BACKEND");
    char *kept = before != NULL ? strdup(before) : NULL;
    assert_int_equal(unsetenv("KFE_BACKEND"), 0);
    assert_int_equal(kfe_gcm_key_new(&key, raw, 32, NULL), KFE_OK);
    assert_string_equal(kfe_gcm_key_backend(key), kfe_backends()[0]);
    kfe_gcm_key_free(key);
    assert_int_equal(setenv("KFE_BACKEND", "openssl", 1), 0);
    assert_int_equal(kfe_gcm_key_new(&key, raw, 32, NULL), KFE_OK);
    assert_string_equal(kfe_gcm_key_backend(key), "openssl");
    kfe_gcm_key_free(key);
    assert_int_equal(setenv("KFE_BACKEND", "none-such", 1), 0);
    assert_int_equal(kfe_gcm_key_new(&key, raw, 32, NULL), KFE_E_BACKEND);
    assert_int_equal(kfe_gcm_key_new(&key, raw, 32, "openssl"), KFE_OK);
    kfe_gcm_key_free(key);
    assert_int_equal(kept != NULL ? setenv("KFE_BACKEND", kept, 1) : unsetenv("KFE_BACKEND"), 0);
    free(kept);
}

/* ---- Wrong arguments ------------------------------------------------------------------------ */

/* Both calls refuse the batch, touch nothing, and count nothing as verified. */
static void refused(size_t n, const char *what)
{
    uint64_t failed[4] = {0, 0, 0, 5};
    for (int sealing = 0; sealing < 2; sealing++) {
        kfe_error err = sealing ? kfe_gcm_seal(ops, n) : kfe_gcm_open(ops, n, failed);
        if (err != KFE_E_ARGUMENT || strstr(kfe_error_detail(), what) == NULL)
            fail_msg("%s: %s, %s", what, kfe_error_name(err), kfe_error_detail());
    }
    assert_int_equal(kfe_gcm_open(ops, n, NULL), KFE_E_ARGUMENT);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(failed[i / 64] >> (i % 64) & 1, 1);
    assert_true(n % 64 == 0 || failed[n / 64] >> (n % 64) == 0);
    assert_int_equal(failed[3], 5);
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(messages[i].tag, messages[i].sealed_tag, 16);
}

static void no_null_gets_through(void **state)
{
    (void)state;
    enum { N = 131 };
    static const kfe_gcm_prefix odd = {.len = 17}, endless = {.len = (uint64_t)1 << 61};
    for (size_t i = 0; i < N; i++)
        rig_open_op(&messages[i], &ops[i]);
    for (int round = 0; round < 100; round++) {
        size_t i = kit_below(N), n = i + 1 + kit_below((uint32_t)(N - i));
        const kfe_gcm_op good = ops[i];
        char where[32];
        snprintf(where, sizeof(where), "operation %zu:", i);
        ops[i].key = NULL;
        refused(n, where);
        ops[i] = good, ops[i].nonce = NULL;
        refused(n, where);
        ops[i] = good, ops[i].tag = NULL;
        refused(n, where);
        ops[i] = good, ops[i].aad = NULL, ops[i].aad_len = 1;
        refused(n, where);
        ops[i] = good, ops[i].in = NULL, ops[i].len = 1;
        refused(n, where);
        ops[i] = good, ops[i].out = NULL, ops[i].len = 1;
        refused(n, where);
        ops[i] = good, ops[i].prefix = &odd;
        refused(n, where);
        ops[i] = good, ops[i].prefix = &endless;
        refused(n, where);
        ops[i] = good;
    }
    assert_int_equal(kfe_gcm_seal(NULL, 1), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_open(NULL, 1, NULL), KFE_E_ARGUMENT);
}

static void nothing_may_be_null(void **state)
{
    (void)state;
    uint8_t tag[16], nonce[12] = {0}, byte = 7;
    uint64_t failed = 9;
    assert_int_equal(kfe_gcm_seal(NULL, 0), KFE_OK);
    assert_int_equal(kfe_gcm_open(NULL, 0, &failed), KFE_OK);
    assert_int_equal(failed, 9);
    for (size_t i = 0; i < KEYS; i++) {
        kfe_gcm_op op = {.key = keys[i].key, .nonce = nonce, .tag = tag};
        assert_int_equal(kfe_gcm_seal(&op, 1), KFE_OK);
        assert_int_equal(kfe_gcm_open(&op, 1, &failed), KFE_OK);
        assert_int_equal(failed, 0);
        kfe_gcm_op pair[] = {op, op}; /* one has text, the other may still have none */
        pair[1].in = pair[1].out = &byte;
        pair[1].len = 1;
        pair[1].aad = nonce;
        pair[1].aad_len = 1;
        assert_int_equal(kfe_gcm_seal(pair, 2), KFE_OK);
    }
}

static void absorbing_wants_whole_blocks(void **state)
{
    (void)state;
    uint8_t aad[64] = {0};
    kfe_gcm_prefix prefix = {.len = 77};
    assert_int_equal(kfe_gcm_absorb(NULL, aad, 16, &prefix), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, NULL, 16, &prefix), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, aad, 16, NULL), KFE_E_ARGUMENT);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, aad, 15, &prefix), KFE_E_ARGUMENT);
    assert_int_equal(prefix.len, 77);
    assert_int_equal(kfe_gcm_absorb(keys[0].key, NULL, 0, &prefix), KFE_OK);
    assert_int_equal(prefix.len, 0);
}

/* ---- Many messages --------------------------------------------------------------------------- */

static void both_ways(size_t n)
{
    uint64_t failed[(MESSAGES + 63) / 64];
    bool forged[MESSAGES] = {false}, any = false;
    for (size_t i = 0; i < n; i++)
        rig_seal_op(&messages[i], &ops[i]);
    assert_int_equal(kfe_gcm_seal(ops, n), KFE_OK);
    rig_check_sealed(messages, n);
    for (size_t i = 0; i < n; i++) {
        rig_open_op(&messages[i], &ops[i]);
        forged[i] = kit_below(40) == 0;
        messages[i].tag[i % 16] ^= forged[i];
        any = any || forged[i];
    }
    memset(failed, 0xff, sizeof(failed));
    assert_int_equal(kfe_gcm_open(ops, n, failed), any ? KFE_E_AUTH : KFE_OK);
    rig_check_opened(messages, forged, n);
    for (size_t i = 0; i < (n + 63) / 64 * 64; i++)
        assert_int_equal(failed[i / 64] >> (i % 64) & 1, i < n && forged[i]);
}

static void any_mix_of_keys_and_backends(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MESSAGES; n++)
        both_ways(n);
}

static void one_backend_at_a_time(void **state)
{
    (void)state;
    for (const char *const *name = kfe_backends(); *name != NULL; name++) {
        rig_key key = rig_key_new(*name);
        for (size_t i = 0; i < MESSAGES; i++)
            rig_message_init(&messages[i], &key, i % 3 == 0);
        both_ways(MESSAGES);
        both_ways(1);
        kfe_gcm_key_free(key.key);
    }
    for (size_t i = 0; i < MESSAGES; i++)
        rig_message_init(&messages[i], &keys[kit_below(KEYS)], false);
}

/* More than one portion of what is done at once when nobody wants to know which ones failed. */
static void one_of_very_many_is_forged(void **state)
{
    (void)state;
    enum { N = 40000 };
    uint8_t nonce[12] = {0}, tag[16], text[4] = "abc";
    kfe_gcm_op *many = calloc(N, sizeof(*many));
    assert_non_null(many);
    kfe_gcm_op op = {.key = keys[0].key, .nonce = nonce, .in = text, .out = text, .tag = tag};
    op.len = sizeof(text);
    assert_int_equal(kfe_gcm_seal(&op, 1), KFE_OK);
    uint8_t sealed[4], opened[4], wrong[16];
    memcpy(sealed, text, 4);
    memcpy(wrong, tag, 16);
    wrong[0] ^= 1;
    for (size_t i = 0; i < N; i++) {
        many[i] = op;
        many[i].in = sealed;
        many[i].out = opened;
    }
    assert_int_equal(kfe_gcm_open(many, N, NULL), KFE_OK);
    static const size_t places[] = {0, N / 2, N - 1};
    for (int i = 0; i < 3; i++) {
        many[places[i]].tag = wrong;
        assert_int_equal(kfe_gcm_open(many, N, NULL), KFE_E_AUTH);
        many[places[i]].tag = tag;
    }
    free(many);
}

/* ---- Prefixes that nobody could hash ----------------------------------------------------------
 */

enum { LONG_N = 24 };

/* Seals `n` messages, all as long as the first or each a byte longer than the one before. */
static void seal_behind(const kfe_gcm_key *key, const kfe_gcm_prefix *prefix, size_t n, bool alike,
                        uint8_t tags[LONG_N][16])
{
    static const uint8_t nonce[12], text[64], aad[20] = "a little more of it";
    static uint8_t out[LONG_N][64];
    kfe_gcm_op op[LONG_N];
    for (size_t i = 0; i < n; i++)
        op[i] = (kfe_gcm_op){.key = key,
                             .nonce = nonce,
                             .prefix = prefix,
                             .aad = aad,
                             .aad_len = alike ? 20 : (uint32_t)i % 20,
                             .in = text,
                             .out = out[i],
                             .len = alike ? 33 : 20 + (uint32_t)i,
                             .tag = tags[i]};
    assert_int_equal(kfe_gcm_seal(op, n), KFE_OK);
}

/* Does the number of bits of an AAD have 64 bits, in every way to go about a batch? A state is one
 * whatever it was made of; OpenSSL's tags are corrected for it by arithmetic of their own. */
static void prefixes_may_be_very_long(void **state)
{
    (void)state;
    static const uint64_t lens[] = {(uint64_t)1 << 29, ((uint64_t)1 << 32) - 16, (uint64_t)1 << 32,
                                    (uint64_t)1 << 60, ((uint64_t)1 << 61) - ((uint64_t)1 << 32)};
    static const size_t sizes[] = {1, 3, LONG_N};
    uint8_t raw[32] = {1}, expected[LONG_N][16], tags[LONG_N][16];
    kfe_gcm_key *openssl = NULL;
    assert_int_equal(kfe_gcm_key_new(&openssl, raw, 32, "openssl"), KFE_OK);
    for (const char *const *name = kfe_backends(); *name != NULL; name++) {
        kfe_gcm_key *key = NULL;
        assert_int_equal(kfe_gcm_key_new(&key, raw, 32, *name), KFE_OK);
        for (size_t i = 0; i < 5 * 3 * 2; i++) {
            kfe_gcm_prefix prefix = {{7, (uint8_t)i, 9}, lens[i / 6]};
            size_t n = sizes[i / 2 % 3];
            seal_behind(openssl, &prefix, n, i % 2 != 0, expected);
            seal_behind(key, &prefix, n, i % 2 != 0, tags);
            assert_memory_equal(tags, expected, n * 16);
        }
        kfe_gcm_key_free(key);
    }
    kfe_gcm_key_free(openssl);
}

/* ---- Threads and children ------------------------------------------------------------------- */

typedef struct {
    pthread_t thread;
    kfe_gcm_key *own;
    bool good;
} worker;

/* Shares a key, with descriptors and buffers of its own, and makes one. */
static void *work(void *arg)
{
    worker *w = arg;
    const rig_message *m = messages;
    w->good = kfe_gcm_key_new(&w->own, keys[0].raw, keys[0].len, NULL) == KFE_OK;
    for (int round = 0; w->good && round < 2000; round++) {
        uint8_t text[RIG_LEN], tag[16];
        const rig_message *one = &m[round % MESSAGES];
        bool own = one->key == &keys[0] && round % 2;
        kfe_gcm_op op = {.key = own ? w->own : one->key->key,
                         .nonce = one->nonce,
                         .aad = one->aad,
                         .aad_len = one->absorbed + one->aad_len,
                         .in = one->plain,
                         .out = text,
                         .len = one->len,
                         .tag = tag};
        w->good = kfe_gcm_seal(&op, 1) == KFE_OK && memcmp(text, one->sealed_text, op.len) == 0 &&
                  memcmp(tag, one->sealed_tag, 16) == 0;
        op.in = text;
        w->good = w->good && kfe_gcm_open(&op, 1, NULL) == KFE_OK &&
                  memcmp(text, one->plain, op.len) == 0;
    }
    return NULL;
}

static void threads_share_keys(void **state)
{
    (void)state;
    worker workers[THREADS] = {{0}};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    bool good = true;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        good = good && workers[i].good;
        kfe_gcm_key_free(workers[i].own);
    }
    assert_true(good);
}

static void keys_live_on_in_a_child(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        worker w = {0};
        (void)work(&w);
        kfe_gcm_key_free(w.own);
        for (size_t i = 0; i < KEYS; i++)
            kfe_gcm_key_free(keys[i].key);
        _exit(w.good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    both_ways(MESSAGES);
}

int main(void)
{
    kit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_what_was_asked_for),
        cmocka_unit_test(the_environment_names_a_backend),
        cmocka_unit_test(no_null_gets_through),
        cmocka_unit_test(nothing_may_be_null),
        cmocka_unit_test(absorbing_wants_whole_blocks),
        cmocka_unit_test(any_mix_of_keys_and_backends),
        cmocka_unit_test(one_backend_at_a_time),
        cmocka_unit_test(one_of_very_many_is_forged),
        cmocka_unit_test(prefixes_may_be_very_long),
        cmocka_unit_test(threads_share_keys),
        cmocka_unit_test(keys_live_on_in_a_child),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
