/* SPDX-License-Identifier: Apache-2.0 */
/* Where a token's RSA-OAEP lacks SHA-256, libp11 is used. Is what it does to modules and sessions
 * kept from them, and can it neither hang nor crash, whatever the token says? */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/rsa_key.h"

static const uint8_t aad_bytes[] = "a context", secret[32] = {3, 1, 4, 1, 5};
static const kfe_bytes aad = {aad_bytes, sizeof(aad_bytes)};

typedef struct {
    const test_token *h;
    EVP_PKEY *known;
    kfe_key_provider *provider;
    kfe_key *key;
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX];
    size_t len;
} scene;

static kfe_error unwrap(scene *s)
{
    uint8_t back[32];
    kfe_error err = s->key->ops->unwrap(s->key, aad, (kfe_bytes){s->wrapped, s->len}, back);
    if (!err)
        assert_memory_equal(back, secret, 32);
    return err;
}

/* A token that says of itself that it lacks SHA-256 there is asked no more; others are made to. */
static void lacks_sha256(const test_token *h)
{
    h->shim->inject("C_DecryptInit", SHIM_INSTEAD, CKR_MECHANISM_PARAM_INVALID, 0, 1);
}

static void scene_open(scene *s)
{
    s->provider = test_token_open(s->h);
    s->key = aes_get(s->provider, "kek", 1);
    s->len = rsa_encrypt(s->known, &rsa_right, secret, 32, s->wrapped);
}

static void scene_close(scene *s)
{
    s->key->ops->release(s->key);
    s->provider->ops->free(s->provider);
}

static scene scene_new(void **state)
{
    scene s = {.h = *state};
    const rsa_spec good = rsa_good("kek", 1);
    s.known = rsa_import(&good);
    rsa_allow(s.h->config);
    scene_open(&s);
    return s;
}

static void scene_free(scene *s)
{
    scene_close(s);
    EVP_PKEY_free(s->known);
}

/* What libp11 calls at its own will, each of which is a trap beside sessions of ours. */
static const char *const never[] = {
    "C_Initialize",  "C_Finalize",     "C_GetInfo",          "C_GetSlotList", "C_GetSlotInfo",
    "C_OpenSession", "C_CloseSession", "C_CloseAllSessions", "C_Login",       "C_Logout"};
enum { N_NEVER = sizeof(never) / sizeof(never[0]) };

static void test_only_the_decryption_reaches_the_token(void **state)
{
    scene s = scene_new(state);
    lacks_sha256(s.h);
    assert_int_equal(unwrap(&s), KFE_OK); /* opens the worker's session */
    s.h->shim->reset();
    for (int i = 0; i < 50; i++)
        assert_int_equal(unwrap(&s), KFE_OK);
    for (size_t i = 0; i < N_NEVER; i++)
        if (s.h->shim->calls(never[i]) != 0)
            fail_msg("%lu calls of %s", s.h->shim->calls(never[i]), never[i]);
    assert_int_equal(s.h->shim->calls("C_DecryptInit"), 50);
    assert_int_equal(s.h->shim->calls("C_Decrypt"), 50);
    scene_free(&s);
    assert_int_equal(s.h->shim->calls("C_Finalize"), 1); /* ours */
}

/* libp11 waits for ever on a session that does not open, goes on with those that are gone, and
 * believes what it is told of slots. Each of its calls fails here, with codes of all sorts. */
static void test_whatever_fails(void **state)
{
    static const CK_RV codes[] = {CKR_DEVICE_ERROR, CKR_SESSION_COUNT, CKR_GENERAL_ERROR,
                                  CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID};
    scene s = scene_new(state);
    lacks_sha256(s.h);
    assert_int_equal(unwrap(&s), KFE_OK);
    for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++) {
        s.h->shim->reset();
        for (size_t i = 0; i < N_NEVER; i++)
            s.h->shim->inject(never[i], SHIM_INSTEAD, codes[c], 0, 1000000);
        assert_int_equal(unwrap(&s), KFE_OK);
    }
    s.h->shim->reset();
    scene_free(&s);
}

/* Its contexts come and go; sessions, handles and the login of others stay. */
static void test_others_go_on(void **state)
{
    scene s = scene_new(state);
    aes_import("aes", 2, 32, AES_CRYPT);
    kfe_key *aes = aes_get(s.provider, "aes", 2);
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX], back[32];
    size_t len;
    lacks_sha256(s.h);
    assert_int_equal(unwrap(&s), KFE_OK);
    assert_int_equal(aes->ops->wrap(aes, aad, secret, wrapped, &len), KFE_OK);
    raw_token raw;
    raw_open(&raw);
    s.h->shim->reset();
    for (int i = 0; i < 20; i++) {
        CK_SESSION_INFO info;
        assert_int_equal(unwrap(&s), KFE_OK);
        assert_int_equal(aes->ops->unwrap(aes, aad, (kfe_bytes){wrapped, len}, back), KFE_OK);
        assert_memory_equal(back, secret, 32);
        assert_int_equal(raw.calls->C_GetSessionInfo(raw.session, &info), CKR_OK);
        assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
    }
    assert_int_equal(s.h->shim->calls("C_Login"), 0);
    assert_int_equal(s.h->shim->calls("C_OpenSession"), 0);
    raw_close(&raw);
    aes->ops->release(aes);
    scene_free(&s);
}

/* ---- Codes from where the work is done ------------------------------------------------------ */

static void test_codes(void **state)
{
    static const struct {
        const char *function;
        CK_RV rv;
        kfe_error is;
    } cases[] = {
        {"C_Decrypt", CKR_ENCRYPTED_DATA_INVALID, KFE_E_AUTH},
        {"C_Decrypt", CKR_ENCRYPTED_DATA_LEN_RANGE, KFE_E_AUTH},
        {"C_Decrypt", CKR_GENERAL_ERROR, KFE_OK}, /* it may have been busy: asked twice */
        {"C_Decrypt", CKR_VENDOR_DEFINED + 5, KFE_OK},
        {"C_DecryptInit", CKR_KEY_HANDLE_INVALID, KFE_OK},
        {"C_DecryptInit", CKR_SESSION_HANDLE_INVALID, KFE_OK},
        {"C_DecryptInit", CKR_OPERATION_ACTIVE, KFE_OK},
        {"C_DecryptInit", CKR_MECHANISM_INVALID, KFE_E_KEY_DENIED},
        {"C_DecryptInit", CKR_KEY_FUNCTION_NOT_PERMITTED, KFE_E_KEY_DENIED},
        {"C_Decrypt", CKR_HOST_MEMORY, KFE_E_MEMORY},
        {"C_DecryptInit", CKR_VENDOR_DEFINED + 5, KFE_E_PROVIDER},
    };
    scene s = scene_new(state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lacks_sha256(s.h);
        assert_int_equal(unwrap(&s), KFE_OK);
        s.h->shim->inject(cases[i].function, SHIM_INSTEAD, cases[i].rv, 0, 1);
        kfe_error err = unwrap(&s);
        if (err != cases[i].is)
            fail_msg("case %zu: %s: %s", i, kfe_error_name(err), kfe_error_detail());
        assert_int_equal(unwrap(&s), KFE_OK);
        s.h->shim->reset();
        scene_close(&s);
        scene_open(&s);
    }
    scene_free(&s);
}

/* A token that is coming up may say that it lacks what it has: libp11 is kept only where it works,
 * and the token asked as it was by a provider that had not heard of it. */
static void test_a_passing_lack(void **state)
{
    scene s = scene_new(state);
    s.h->shim->reset();
    assert_int_equal(unwrap(&s), KFE_OK);
    const unsigned long once = s.h->shim->calls("C_DecryptInit"); /* twice where it is lacking */
    scene_close(&s);
    scene_open(&s);
    s.h->shim->inject("C_DecryptInit", SHIM_INSTEAD, CKR_MECHANISM_INVALID, 0, 2); /* raw, too */
    assert_int_equal(unwrap(&s), KFE_E_KEY_DENIED);
    s.h->shim->reset();
    assert_int_equal(unwrap(&s), KFE_OK);
    assert_int_equal(s.h->shim->calls("C_DecryptInit"), once);
    assert_int_equal(unwrap(&s), KFE_OK);
    assert_int_equal(s.h->shim->calls("C_DecryptInit"), once + 1);
    scene_free(&s);
}

/* ---- Threads and children ------------------------------------------------------------------- */

enum { THREADS = 8, TIMES = 25 };

struct team {
    scene *s;
    atomic_uint bad;
};

static void *run(void *arg)
{
    struct team *team = arg;
    uint8_t back[32];
    for (int i = 0; i < TIMES; i++) {
        scene *s = team->s;
        kfe_error err = s->key->ops->unwrap(s->key, aad, (kfe_bytes){s->wrapped, s->len}, back);
        if (err || memcmp(back, secret, 32) != 0)
            atomic_fetch_add(&team->bad, 1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    scene s = scene_new(state);
    struct team team = {.s = &s};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &team), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(team.bad, 0);
    scene_free(&s);
}

static int child(void *arg)
{
    scene s = *(scene *)arg;
    lacks_sha256(s.h);
    scene_open(&s);
    kfe_error err = unwrap(&s);
    scene_close(&s);
    return (int)err;
}

static void test_fork(void **state)
{
#ifdef __SANITIZE_THREAD__ /* see p11_fork in CMakeLists.txt */
    print_message("skipped, as ThreadSanitizer does not bear threads of a child\n");
    skip();
#endif
    scene s = scene_new(state);
    lacks_sha256(s.h);
    assert_int_equal(unwrap(&s), KFE_OK);
    assert_int_equal(in_child(child, &s), 0);
    assert_int_equal(unwrap(&s), KFE_OK);
    scene_free(&s);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_only_the_decryption_reaches_the_token),
        TOKEN_TEST(test_whatever_fails),
        TOKEN_TEST(test_others_go_on),
        TOKEN_TEST(test_codes),
        TOKEN_TEST(test_a_passing_lack),
        TOKEN_TEST(test_threads),
        TOKEN_TEST(test_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
