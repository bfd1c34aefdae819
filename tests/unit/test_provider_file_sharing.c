/* SPDX-License-Identifier: Apache-2.0 */

/* Does the file KeyProvider lose nothing between processes, never use a child's zeroed key, and
 * try a passphrase only once? */

#include "tests/unit/file_provider.h"

/* ---- At once ---- */

enum { ROUNDS = 8 };

static void *rotate_some(void *arg)
{
    atomic_int *failures = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t version = 0;
        if (ops->rotate(keys, "orders", &version) != KFE_OK || look("orders", version) != KFE_OK)
            atomic_fetch_add(failures, 1);
    }
    return NULL;
}

static void rotations_at_once_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[3];
    pid_t pids[3];
    atomic_int failures = 0;
    put(ONE_KEY);
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            (void)alarm(60);
            rotate_some(&failures);
            _exit(atomic_load(&failures));
        }
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rotate_some, &failures), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait_child(pids[i]), 0);
    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(current("orders"), 1 + 6 * ROUNDS);
}

static kfe_key *held;

static int child_of_a_key(void)
{
    uint8_t out[32], zero[32] = {0}, want[32], got[32];
    memset(out, 0xaa, sizeof(out));
    if (held->ops->derive(held, (const uint8_t *)"context", 7, out) != KFE_E_PROVIDER)
        return 1;
    if (memcmp(out, zero, 32) != 0)
        return 2;
    held->ops->release(held);
    /* The provider itself goes on, from the file. */
    if (derive(keys, "orders", 1, got, NULL) != KFE_OK)
        return 3;
    kfe_crypto *crypto = NULL;
    uint8_t master[32];
    for (size_t i = 0; i < 32; i++)
        master[i] = (uint8_t)i;
    if (kfe_crypto_new(&crypto, NULL) != KFE_OK ||
        kfe_hmac_sha256(crypto, master, (const uint8_t *)"context", 7, want) != KFE_OK)
        return 4;
    kfe_crypto_free(crypto);
    return memcmp(got, want, 32) != 0;
}

static void children_never_use_a_zero_key(void **state)
{
    (void)state;
    const kfe_key_ref ref = {"orders", 1};
    uint8_t out[32];
    put(ONE_KEY);
    assert_int_equal(ops->get_key(keys, &ref, &held), KFE_OK);
    assert_int_equal(in_child(false, child_of_a_key), 0);
    assert_int_equal(in_child(true, child_of_a_key), 0);
    assert_int_equal(held->ops->derive(held, (const uint8_t *)"context", 7, out), KFE_OK);
    held->ops->release(held);
}

static atomic_bool stop;

static void *look_until_told(void *arg)
{
    atomic_int *failures = arg;
    while (!atomic_load(&stop))
        if (look("orders", 1) != KFE_OK)
            atomic_fetch_add(failures, 1);
    return NULL;
}

static int child_looks(void)
{
    for (int i = 0; i < 3; i++)
        if (look("orders", 1) != KFE_OK)
            return 1;
    return 0;
}

/* Other threads of the parent hold locks and reload while it forks. */
static void forks_under_load(void **state)
{
    (void)state;
    pthread_t threads[3];
    atomic_int failures = 0;
    atomic_store(&stop, false);
    put(ONE_KEY);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_until_told, &failures), 0);
    int bad = 0;
    for (int i = 0; i < 40; i++) {
        put(ONE_KEY);
        bad += in_child(false, child_looks) != 0;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(bad, 0);
    assert_int_equal(atomic_load(&failures), 0);
}

/* ---- Passphrases ---- */

typedef struct {
    int asked;
    const char *answer;
} person;

static long ask(void *arg, const char *option, uint8_t *out, size_t cap)
{
    person *who = arg;
    who->asked++;
    assert_string_equal(option, PASSPHRASE);
    size_t len = strlen(who->answer);
    assert_true(len <= cap);
    memcpy(out, who->answer, len);
    return (long)len;
}

static void sealed_files(void **state)
{
    (void)state;
    kfe_config *with = config_of("env:KFE_TEST_PASSPHRASE"), *without = config_of(NULL);
    kfe_key_provider *sealed = NULL, *plain = NULL;
    uint8_t one[32], again[32];
    (void)unlink(path);
    assert_int_equal(setenv("KFE_TEST_PASSPHRASE", "swordfish", 1), 0);
    assert_int_equal(ops->open(&sealed, with), KFE_OK);
    assert_int_equal(ops->create(sealed, "orders"), KFE_OK);
    assert_true(file_has("\"sealed\"") && !file_has("orders"));
    assert_int_equal(derive(sealed, "orders", 1, one, NULL), KFE_OK);
    uint32_t version = 0;
    assert_int_equal(ops->rotate(sealed, "orders", &version), KFE_OK);
    assert_true(file_has("\"sealed\""));
    ops->free(sealed);
    assert_int_equal(ops->open(&plain, without), KFE_E_CONFIG); /* sealed, and nobody to ask */
    assert_true(says(PASSPHRASE));
    person who = {0, "swordfish"};
    kfe_config_on_secret(without, ask, &who);
    assert_int_equal(ops->open(&plain, without), KFE_OK);
    assert_int_equal(ops->rotate(plain, "orders", &version), KFE_OK); /* it stays sealed */
    assert_true(file_has("\"sealed\""));
    assert_int_equal(derive(plain, "orders", 1, again, NULL), KFE_OK);
    assert_memory_equal(one, again, 32);
    assert_int_equal(who.asked, 1); /* reloading asks nobody */
    ops->free(plain);
    put(ONE_KEY);
    assert_int_equal(ops->open(&sealed, with), KFE_E_CONFIG); /* a passphrase for a plain file */
    assert_true(says("not sealed"));
    kfe_config_free(with);
    kfe_config_free(without);
}

static void a_wrong_passphrase_is_tried_once(void **state)
{
    (void)state;
    kfe_config *with = config_of("env:KFE_TEST_PASSPHRASE"), *asking = config_of(NULL);
    kfe_key_provider *sealed = NULL, *asks = NULL;
    uint8_t out[32];
    uint32_t version = 0;
    person who = {0, "wrong"};
    kfe_config_on_secret(asking, ask, &who);
    put(ONE_KEY);
    assert_int_equal(ops->open(&asks, asking), KFE_OK); /* plain so far */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(setenv("KFE_TEST_PASSPHRASE", "swordfish", 1), 0);
    assert_int_equal(ops->open(&sealed, with), KFE_OK);
    assert_int_equal(ops->create(sealed, "orders"), KFE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(derive(asks, "orders", 1, out, NULL), KFE_E_CREDENTIALS);
        assert_false(says("wrong") || says("swordfish"));
        assert_int_equal(ops->rotate(asks, "orders", &version), KFE_E_CREDENTIALS);
    }
    assert_int_equal(who.asked, 1);
    assert_int_equal(ops->rotate(sealed, "orders", &version), KFE_OK); /* the file changes */
    assert_int_equal(derive(asks, "orders", 1, out, NULL), KFE_E_CREDENTIALS);
    assert_int_equal(who.asked, 2);
    who.answer = "swordfish";
    assert_int_equal(derive(asks, "orders", 1, out, NULL), KFE_E_CREDENTIALS);
    assert_int_equal(who.asked, 2);
    assert_int_equal(ops->rotate(sealed, "orders", &version), KFE_OK);
    assert_int_equal(derive(asks, "orders", 1, out, NULL), KFE_OK);
    assert_int_equal(who.asked, 3);
    ops->free(sealed);
    ops->free(asks);
    kfe_config_free(with);
    kfe_config_free(asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_at_once_lose_nothing),
        cmocka_unit_test(children_never_use_a_zero_key),
        cmocka_unit_test(forks_under_load),
        cmocka_unit_test(sealed_files),
        cmocka_unit_test(a_wrong_passphrase_is_tried_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
