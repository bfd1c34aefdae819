/* SPDX-License-Identifier: Apache-2.0 */
/* Is a wrong PIN tried once only, and does no PIN ever show? */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/pkcs11/ahead.h"
#include "tests/pkcs11/test_token.h"

static kfe_error try_open(const kfe_config *config)
{
    kfe_key_provider *p = NULL;
    kfe_error err = kfe_pkcs11.open(&p, config);
    if (!err)
        p->ops->free(p);
    else
        assert_null(p);
    return err;
}

static void assert_no_pin(const char *pin)
{
    assert_string_not_equal(kfe_error_detail(), "");
    if (strstr(kfe_error_detail(), pin))
        fail_msg("a PIN shows: %s", kfe_error_detail());
}

static void test_wrong_pin_is_tried_once(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* a wrong PIN may lock it */
    const test_token *h = *state;
    setenv("KFE_TEST_PIN", "wrong-pin-1", 1);
    assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
    assert_no_pin("wrong-pin-1");
    assert_non_null(strstr(kfe_error_detail(), "CKR_PIN_INCORRECT"));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
        assert_no_pin("wrong-pin-1");
        assert_non_null(strstr(kfe_error_detail(), "encryption.keyprovider.pkcs11.pin"));
    }
    assert_int_equal(h->shim->calls("C_Login"), 1);
    setenv("KFE_TEST_PIN", "wrong-pin-2", 1);
    assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
    assert_int_equal(h->shim->calls("C_Login"), 2);
    setenv("KFE_TEST_PIN", test_token_pin(), 1);
    assert_int_equal(try_open(h->config), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 3);
    setenv("KFE_TEST_PIN", "wrong-pin-1", 1);
    assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
    assert_int_equal(h->shim->calls("C_Login"), 3);
}

/* The next test of this process has another token: its serial differs. */
static void test_other_token_other_latch(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* a wrong PIN may lock it */
    test_token_needs(TOKEN_HAS_SERIAL);
    const test_token *h = *state;
    setenv("KFE_TEST_PIN", "wrong-pin-1", 1);
    assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
    assert_int_equal(h->shim->calls("C_Login"), 1);
}

static void test_lost_login_latches_too(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* a wrong PIN may lock it */
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h);
    kfe_key *key = NULL;
    setenv("KFE_TEST_PIN", "rotated-away", 1);
    raw_token raw;
    raw_open(&raw);
    raw.calls->C_Logout(raw.session);
    raw.calls->C_CloseSession(raw.session);
    for (int i = 0; i < 3; i++)
        assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_CREDENTIALS);
    assert_int_equal(h->shim->calls("C_Login"), 2);
    setenv("KFE_TEST_PIN", test_token_pin(), 1);
    kfe_error err = KFE_E_CREDENTIALS; /* until the next try, which asks for the PIN again */
    for (int ms = 0; err == KFE_E_CREDENTIALS && ms < 10000; ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        err = p->ops->get_current_key(p, "k", &key);
    }
    assert_int_equal(err, KFE_E_KEY_UNKNOWN);
    assert_int_equal(h->shim->calls("C_Login"), 3);
    p->ops->free(p);
}

static void *open_many(void *arg)
{
    const test_token *h = arg;
    for (int i = 0; i < 5; i++) {
        if (try_open(h->config) != KFE_E_CREDENTIALS)
            return arg;
    }
    return NULL;
}

static void test_threads_try_once(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* a wrong PIN may lock it */
    test_token *h = *state;
    pthread_t threads[8];
    setenv("KFE_TEST_PIN", "wrong-in-threads", 1);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_many, h), 0);
    for (size_t i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(h->shim->calls("C_Login"), 1);
}

static void test_last_try_is_left(void **state)
{
    const test_token *h = *state;
    h->shim->token_flags(CKF_USER_PIN_FINAL_TRY);
    assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
    h->shim->token_flags(CKF_USER_PIN_LOCKED);
    assert_int_equal(try_open(h->config), KFE_E_CREDENTIALS);
    assert_int_equal(h->shim->calls("C_Login"), 0);
    h->shim->token_flags(CKF_USER_PIN_COUNT_LOW);
    assert_int_equal(try_open(h->config), KFE_OK);
}

static void test_pin_from_a_file(void **state)
{
    const test_token *h = *state;
    char path[160], source[200];
    snprintf(path, sizeof(path), "%s/pin", h->dir);
    snprintf(source, sizeof(source), "file:%s", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", test_token_pin());
    fclose(file);
    kfe_config *config = test_token_config(NULL, source);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(try_open(config), KFE_E_CONFIG);
    assert_no_pin(test_token_pin());
    assert_int_equal(h->shim->calls("C_Login"), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(try_open(config), KFE_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_not_equal(try_open(config), KFE_OK);
    kfe_config_free(config);
    unsetenv("KFE_TEST_PIN");
    assert_int_not_equal(try_open(h->config), KFE_OK);
    setenv("KFE_TEST_PIN", "", 1);
    assert_int_not_equal(try_open(h->config), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 1);
}

static long give_pin(void *arg, const char *option, uint8_t *out, size_t cap)
{
    assert_string_equal(option, "encryption.keyprovider.pkcs11.pin");
    assert_true(cap >= strlen(test_token_pin()));
    memcpy(out, test_token_pin(), strlen(test_token_pin()));
    ++*(int *)arg;
    return (long)strlen(test_token_pin());
}

static void test_pin_from_a_callback(void **state)
{
    kfe_config *config = test_token_config(NULL, "");
    int asked = 0;
    (void)state;
    assert_int_equal(try_open(config), KFE_E_CONFIG);
    kfe_config_on_secret(config, give_pin, &asked);
    assert_int_equal(try_open(config), KFE_OK);
    assert_int_equal(asked, 1);
    kfe_config_free(config);
}

struct person {
    const char *pin;
    int asked;
};

static long type_pin(void *arg, const char *option, uint8_t *out, size_t cap)
{
    struct person *person = arg;
    size_t len = strlen(person->pin);
    (void)option;
    assert_true(cap >= len);
    memcpy(out, person->pin, len);
    person->asked++;
    return (long)len;
}

static kfe_error wait_while_refused(kfe_key_provider *p, int milliseconds)
{
    kfe_key *key = NULL;
    kfe_error err = KFE_E_CREDENTIALS;
    for (int ms = 0; err == KFE_E_CREDENTIALS && ms < milliseconds; ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        err = p->ops->get_current_key(p, "k", &key);
    }
    return err;
}

/* Each try to get the login back would ask, every two seconds for ever. */
static void test_nobody_is_asked_all_the_time(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* a wrong PIN may lock it */
    const test_token *h = *state;
    kfe_config *config = test_token_config(NULL, "");
    struct person person = {.pin = test_token_pin()};
    kfe_key_provider *p = NULL;
    kfe_config_on_secret(config, type_pin, &person);
    assert_int_equal(kfe_pkcs11.open(&p, config), KFE_OK);
    person.pin = "no-longer-so";
    raw_token raw;
    raw_open(&raw);
    raw.calls->C_Logout(raw.session);
    raw.calls->C_CloseSession(raw.session);
    assert_int_equal(wait_while_refused(p, 1500), KFE_E_CREDENTIALS);
    assert_int_equal(person.asked, 2);
    assert_int_equal(h->shim->calls("C_Login"), 2);
    person.pin = test_token_pin();
    ahead_s += 61;
    assert_int_equal(wait_while_refused(p, 10000), KFE_E_KEY_UNKNOWN);
    assert_int_equal(person.asked, 3);
    p->ops->free(p);
    kfe_config_free(config);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_wrong_pin_is_tried_once), TOKEN_TEST(test_other_token_other_latch),
        TOKEN_TEST(test_lost_login_latches_too),  TOKEN_TEST(test_threads_try_once),
        TOKEN_TEST(test_last_try_is_left),        TOKEN_TEST(test_pin_from_a_file),
        TOKEN_TEST(test_pin_from_a_callback),     TOKEN_TEST(test_nobody_is_asked_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
