/* SPDX-License-Identifier: Apache-2.0 */
/* Does a key that never leaves the token seal fields as AES-GCM of that key, whoever makes the IV,
 * and is nothing given out of what is forged or fails? */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkcs11/aes_key.h"

enum { FIELDS = 40, LEN_MAX = 20000 };

static const uint8_t aad[] = "P of a record and D of a field";

typedef struct {
    const test_token *h;
    kfe_key_provider *provider;
    kfe_key *key;
    size_t key_len;
    unsigned iv_size;
} scene;

static scene scene_new(void **state, size_t key_len)
{
    aes_import("field", 1, key_len, AES_CRYPT);
    scene s = {.h = *state, .provider = aes_open(*state, "direct"), .key_len = key_len};
    s.key = aes_get(s.provider, "field", 1);
    return s;
}

static void scene_free(scene *s)
{
    s->key->ops->release(s->key);
    s->provider->ops->free(s->provider);
}

typedef struct {
    kfe_key_field fields[FIELDS];
    uint8_t plain[LEN_MAX], sealed[FIELDS][LEN_MAX], opened[FIELDS][LEN_MAX], iv_tag[FIELDS][32];
} bytes;

static bytes *bytes_new(const size_t *lens, size_t n, unsigned iv_size)
{
    bytes *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    for (size_t i = 0; i < LEN_MAX; i++)
        b->plain[i] = (uint8_t)(i * 13 + i / 251);
    for (size_t i = 0; i < FIELDS; i++)
        b->fields[i] = (kfe_key_field){.aad = aad,
                                       .aad_size = sizeof(aad),
                                       .in = b->plain,
                                       .len = lens[i % n],
                                       .out = b->sealed[i],
                                       .iv_tag = b->iv_tag[i],
                                       .iv_size = iv_size};
    return b;
}

static void turn(bytes *b)
{
    for (size_t i = 0; i < FIELDS; i++) {
        b->fields[i].in = b->sealed[i];
        b->fields[i].out = b->opened[i];
    }
}

static void seal(scene *s, bytes *b)
{
    kfe_error err = s->key->ops->seal(s->key, b->fields, FIELDS);
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
}

static void check(const scene *s, const bytes *b)
{
    uint8_t *out = malloc(LEN_MAX);
    for (size_t i = 0; i < FIELDS; i++) {
        const kfe_key_field *f = &b->fields[i];
        assert_true(aes_gcm_open(s->key_len, (kfe_bytes){f->iv_tag, f->iv_size},
                                 (kfe_bytes){aad, sizeof(aad)}, (kfe_bytes){b->sealed[i], f->len},
                                 f->iv_tag + f->iv_size, out));
        assert_memory_equal(out, b->plain, f->len);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(b->iv_tag[i], b->iv_tag[j], f->iv_size);
    }
    free(out);
}

static const size_t many_lens[] = {0, 1, 15, 16, 17, 100, 300, 4096, LEN_MAX};

static void round_trip(scene *s)
{
    assert_int_equal(s->key->ops->iv_size(s->key, &s->iv_size), KFE_OK);
    bytes *b = bytes_new(many_lens, 9, s->iv_size);
    seal(s, b);
    check(s, b);
    turn(b);
    b->fields[7].iv_tag[s->iv_size] ^= 1;
    b->fields[16].iv_tag[0] ^= 1;
    b->sealed[25][300] ^= 1; /* of 4096 bytes */
    assert_int_equal(s->key->ops->open(s->key, b->fields, FIELDS), KFE_OK);
    for (size_t i = 0; i < FIELDS; i++) {
        static const uint8_t zero[LEN_MAX];
        const bool forged = i == 7 || i == 16 || i == 25;
        assert_int_equal(b->fields[i].forged, forged);
        assert_memory_equal(b->opened[i], forged ? zero : b->plain, b->fields[i].len);
    }
    free(b);
}

static void test_host_iv(void **state)
{
    scene s = scene_new(state, 32);
    round_trip(&s);
    assert_int_equal(s.iv_size, 12);
    scene_free(&s);
}

static void test_short_key(void **state)
{
    scene s = scene_new(state, 16);
    round_trip(&s);
    scene_free(&s);
}

static void test_written_back(void **state)
{
    scene s = scene_new(state, 32);
    s.h->shim->iv(SHIM_IV_WRITTEN_BACK);
    round_trip(&s);
    assert_int_equal(s.iv_size, 12);
    scene_free(&s);
}

static void test_appended(void **state)
{
    scene s = scene_new(state, 32);
    s.h->shim->iv(SHIM_IV_APPENDED);
    round_trip(&s);
    assert_int_equal(s.iv_size, 16);
    scene_free(&s);
}

/* A token that changes its ways: a tag would not have the room that the envelope says. */
static void test_changed_iv(void **state)
{
    static const size_t len = 100;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    s.h->shim->iv(SHIM_IV_APPENDED);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    assert_int_equal(s.key->ops->seal(s.key, b->fields, FIELDS), KFE_E_PROVIDER);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(b->sealed[0][i], 0);
    free(b);
    scene_free(&s);
}

static void test_in_place(void **state)
{
    static const size_t len = 300;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    for (size_t i = 0; i < FIELDS; i++) {
        memcpy(b->sealed[i], b->plain, len);
        b->fields[i].in = b->fields[i].out;
    }
    seal(&s, b);
    check(&s, b);
    assert_int_equal(s.key->ops->open(s.key, b->fields, FIELDS), KFE_OK);
    for (size_t i = 0; i < FIELDS; i++)
        assert_memory_equal(b->sealed[i], b->plain, len);
    free(b);
    scene_free(&s);
}

/* One copy for all who hold the key; none where the token makes none. */
static void test_session_copy(void **state)
{
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    kfe_key *again = aes_get(s.provider, "field", 1);
    seal(&s, b);
    assert_int_equal(again->ops->seal(again, b->fields, FIELDS), KFE_OK);
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 1);
    assert_int_equal(aes_session_objects(), 1);
    unsigned long calls = s.h->shim->calls("C_EncryptInit");
    assert_int_equal(again->ops->iv_size(again, &s.iv_size), KFE_OK); /* known by now */
    assert_int_equal(s.h->shim->calls("C_EncryptInit"), calls);
    again->ops->release(again);
    s.h->shim->inject("C_Encrypt", SHIM_INSTEAD, CKR_KEY_HANDLE_INVALID, 3, 1);
    seal(&s, b);
    check(&s, b);
    scene_free(&s);
    s.provider = test_token_open(*state);
    s.key = aes_get(s.provider, "field", 1);
    s.h->shim->reset();
    s.h->shim->inject("C_CopyObject", SHIM_INSTEAD, CKR_FUNCTION_NOT_SUPPORTED, 0, 1000);
    seal(&s, b);
    seal(&s, b);
    check(&s, b);
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 1);
    assert_int_equal(aes_session_objects(), 0);
    free(b);
    scene_free(&s);
}

/* Sessions come and go, by a worker and by the control thread; the copy stays for all others. */
static void test_copy_outlives_sessions(void **state)
{
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    s.h->shim->inject("C_Encrypt", SHIM_AFTER, CKR_OPERATION_NOT_INITIALIZED, 0, 1);
    s.h->shim->inject("C_FindObjectsFinal", SHIM_AFTER, CKR_GENERAL_ERROR, 0, 1);
    seal(&s, b);
    kfe_key *again = aes_get(s.provider, "field", 1);
    assert_int_equal(s.h->shim->calls("C_CloseSession"), 2);
    assert_int_equal(aes_session_objects(), 1);
    seal(&s, b);
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 1);
    again->ops->release(again);
    free(b);
    scene_free(&s);
}

/* What is lost again and again may still be there: the token must not fill up with copies. */
static void test_few_copies(void **state)
{
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    for (int i = 0; i < 20; i++) {
        s.h->shim->inject("C_EncryptInit", SHIM_INSTEAD, CKR_KEY_HANDLE_INVALID, 0, 1);
        seal(&s, b);
    }
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 8);
    raw_token raw; /* another login: as before */
    raw_open(&raw);
    assert_int_equal(raw.calls->C_CloseAllSessions(raw.slot), CKR_OK);
    seal(&s, b);
    seal(&s, b);
    assert_int_equal(s.h->shim->calls("C_CopyObject"), 9);
    free(b);
    scene_free(&s);
}

/* A copy must not outlive a key that was destroyed. */
static void test_destroyed(void **state)
{
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    seal(&s, b);
    assert_int_equal(aes_session_objects(), 1);
    const kfe_key_ref ref = {"field", 1};
    kfe_key *key;
    assert_int_equal(s.provider->ops->set_state(s.provider, &ref, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(s.provider->ops->get_key(s.provider, &ref, &key), KFE_E_KEY_DESTROYED);
    assert_int_equal(aes_session_objects(), 0);
    assert_int_not_equal(s.key->ops->seal(s.key, b->fields, FIELDS), KFE_OK);
    free(b);
    scene_free(&s);
}

/* A record with an IV that the token does not take must not fail those beside it; that the token
 * takes none at all is no word about a record. */
static void test_odd_iv(void **state)
{
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    seal(&s, b);
    turn(b);
    b->fields[5].iv_size = 16;
    s.h->shim->inject("C_DecryptInit", SHIM_INSTEAD, CKR_MECHANISM_PARAM_INVALID, 5, 1);
    assert_int_equal(s.key->ops->open(s.key, b->fields, FIELDS), KFE_OK);
    for (size_t i = 0; i < FIELDS; i++)
        assert_int_equal(b->fields[i].forged, i == 5);
    b->fields[5].iv_size = s.iv_size;
    s.h->shim->inject("C_DecryptInit", SHIM_INSTEAD, CKR_MECHANISM_PARAM_INVALID, 5, 1);
    assert_int_equal(s.key->ops->open(s.key, b->fields, FIELDS), KFE_E_KEY_DENIED);
    assert_int_equal(s.key->ops->open(s.key, b->fields, FIELDS), KFE_OK);
    free(b);
    scene_free(&s);
}

static void test_outage(void **state)
{
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    seal(&s, b);
    s.h->shim->inject("C_Encrypt", SHIM_INSTEAD, CKR_DEVICE_ERROR, 20, 1000);
    memset(b->sealed, 7, sizeof(b->sealed));
    assert_int_equal(s.key->ops->seal(s.key, b->fields, FIELDS), KFE_E_PROVIDER);
    for (size_t i = 0; i < FIELDS; i++)
        for (size_t j = 0; j < len; j++)
            assert_int_equal(b->sealed[i][j], 0);
    free(b);
    scene_free(&s);
}

/* ---- Threads ------------------------------------------------------------------------------ */

enum { THREADS = 6, LOSSES = 20 };

typedef struct {
    scene *s;
    atomic_bool stop;
    atomic_uint failed, rounds[THREADS];
} crowd;

typedef struct {
    crowd *c;
    int number;
    pthread_t thread;
} member;

static bool one_round(kfe_key *key, bytes *b)
{
    kfe_error err = key->ops->seal(key, b->fields, FIELDS);
    turn(b);
    if (!err)
        err = key->ops->open(key, b->fields, FIELDS);
    if (err)
        print_error("%s: %s\n", kfe_error_name(err), kfe_error_detail());
    bool good = !err;
    for (size_t i = 0; i < FIELDS; i++) {
        kfe_key_field *f = &b->fields[i];
        good = good && !f->forged && memcmp(f->out, b->plain, f->len) == 0;
        f->in = b->plain;
        f->out = b->sealed[i];
    }
    return good;
}

static void *seal_and_open(void *arg)
{
    static const size_t lens[] = {10, 300};
    const member *m = arg;
    bytes *b = bytes_new(lens, 2, m->c->s->iv_size);
    while (!m->c->stop) {
        atomic_fetch_add(&m->c->failed, !one_round(m->c->s->key, b));
        atomic_fetch_add(&m->c->rounds[m->number], 1);
    }
    free(b);
    return NULL;
}

/* Until everybody has ended what was begun before, and a round begun since. */
static void two_rounds(crowd *c)
{
    unsigned before[THREADS];
    for (int i = 0; i < THREADS; i++)
        before[i] = c->rounds[i];
    for (int i = 0; i < THREADS; i++)
        while (c->rounds[i] - before[i] < 2)
            sched_yield();
}

/* Also while handles are lost again and again: each call gets over one. The token finds a session
 * stuck afterwards, as the real call was begun and not made: it is closed, with what is in it. */
static void test_threads(void **state)
{
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    crowd c = {.s = &s};
    member members[THREADS];
    for (int i = 0; i < THREADS; i++) {
        members[i] = (member){.c = &c, .number = i};
        assert_int_equal(pthread_create(&members[i].thread, NULL, seal_and_open, &members[i]), 0);
    }
    for (unsigned long i = 0; i < LOSSES; i++) {
        s.h->shim->inject("C_Encrypt", SHIM_INSTEAD, CKR_KEY_HANDLE_INVALID, 3 * i, 1);
        two_rounds(&c);
    }
    c.stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(members[i].thread, NULL);
    assert_int_equal(c.failed, 0);
    scene_free(&s);
}

/* Handles may be lost twice in one call: work that got further goes on, and does nothing again. */
static void test_lost_twice(void **state)
{
    static const char *const functions[][2] = {{"C_EncryptInit", "C_Encrypt"},
                                               {"C_DecryptInit", "C_Decrypt"}};
    static const size_t len = 64;
    scene s = scene_new(state, 32);
    assert_int_equal(s.key->ops->iv_size(s.key, &s.iv_size), KFE_OK);
    bytes *b = bytes_new(&len, 1, s.iv_size);
    for (int i = 0; i < 2; i++) {
        s.h->shim->reset();
        s.h->shim->inject(functions[i][0], SHIM_INSTEAD, CKR_KEY_HANDLE_INVALID, 3, 1);
        s.h->shim->inject(functions[i][1], SHIM_AFTER, CKR_OBJECT_HANDLE_INVALID, 8, 1);
        assert_int_equal((i == 0 ? s.key->ops->seal : s.key->ops->open)(s.key, b->fields, FIELDS),
                         KFE_OK);
        assert_int_equal(s.h->shim->calls(functions[i][0]), FIELDS + 2);
        assert_int_equal(s.h->shim->calls(functions[i][1]), FIELDS + 1);
        if (i == 0)
            check(&s, b);
        turn(b);
    }
    for (size_t i = 0; i < FIELDS; i++)
        assert_memory_equal(b->opened[i], b->plain, len);
    free(b);
    scene_free(&s);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_host_iv),      TOKEN_TEST(test_short_key),
        TOKEN_TEST(test_written_back), TOKEN_TEST(test_appended),
        TOKEN_TEST(test_changed_iv),   TOKEN_TEST(test_in_place),
        TOKEN_TEST(test_session_copy), TOKEN_TEST(test_copy_outlives_sessions),
        TOKEN_TEST(test_few_copies),   TOKEN_TEST(test_destroyed),
        TOKEN_TEST(test_odd_iv),       TOKEN_TEST(test_outage),
        TOKEN_TEST(test_threads),      TOKEN_TEST(test_lost_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
