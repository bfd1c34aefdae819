/* SPDX-License-Identifier: Apache-2.0 */
/* What is got back after sessions, logins, handles or tokens are lost, and what is an error? */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/rows_work.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- Lost for true ------------------------------------------------------------------------ */

static void lose_found(const test_token *h)
{
    h->shim->lose_handles(SHIM_FOUND);
}

static void lose_objects(const test_token *h)
{
    h->shim->lose_handles(SHIM_OBJECTS);
}

static void lose_sessions(const test_token *h)
{
    h->shim->lose_handles(SHIM_SESSIONS);
}

static void close_all(const test_token *h)
{
    raw_token raw;
    (void)h;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_CloseAllSessions(raw.slot), CKR_OK);
}

static void log_out(const test_token *h)
{
    raw_token raw;
    (void)h;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Logout(raw.session), CKR_OK);
    raw_close(&raw);
}

static void finalise(const test_token *h)
{
    raw_token raw;
    (void)h;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Finalize(NULL), CKR_OK);
}

static const struct loss {
    const char *what;
    void (*lose)(const test_token *h);
    unsigned long logins; /* to get it back */
} losses[] = {
    {"handles of objects that were found", lose_found, 0},
    {"handles of all objects", lose_objects, 0},
    {"sessions, by the token", lose_sessions, 1},
    {"sessions, by others", close_all, 1},
    {"the login, by others", log_out, 1},
    {"the module, by others", finalise, 1},
};

/* Whatever was lost, the next call has it back, and the one after that knows it all again. */
static void check_loss(struct work *w, const struct loss *loss)
{
    const shim_table *shim = w->h->shim;
    assert_int_equal(work_do(w), KFE_OK);
    shim->reset();
    assert_int_equal(work_do(w), KFE_OK);
    const unsigned long searches = shim->calls("C_FindObjectsInit");
    loss->lose(w->h);
    shim->reset();
    kfe_error err = work_do(w);
    if (err || shim->calls("C_Login") != loss->logins)
        fail_msg("%s, without %s: %s after %lu logins: %s", work_name(w->kind), loss->what,
                 kfe_error_name(err), shim->calls("C_Login"), kfe_error_detail());
    assert_int_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
    if (w->kind == WORK_DERIVE && loss->logins > 0)
        assert_int_equal(shim->calls("C_SignInit"), 1); /* the old handle is not tried */
    shim->reset();
    assert_int_equal(work_do(w), KFE_OK);
    assert_int_equal(shim->calls("C_FindObjectsInit"), searches);
}

/* Runs `check` for every kind of work, each in a token of its own. */
static void for_each_work(void **state, void (*check)(struct work *w))
{
    for (work_kind kind = 0; kind < N_WORKS; kind++) {
        struct work w;
        work_init(&w, *state, kind);
        check(&w);
        work_wipe(&w);
        test_token_teardown(state);
        test_token_setup(state);
    }
}

static void lose_all(struct work *w)
{
    for (size_t i = 0; i < 2 * COUNT(losses); i++)
        check_loss(w, &losses[i % COUNT(losses)]);
}

static void test_lost(void **state)
{
    for_each_work(state, lose_all);
}

static void test_finalised_by_others(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token raw;
    rig_init(&rig, h);
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Finalize(NULL), CKR_OK);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 1);
    rig_wipe(&rig);
    assert_int_equal(h->shim->calls("C_Finalize"), 0); /* he may use it, too */
}

/* Where no object of ours tells that the login is gone, a search finds nothing, and that is not
 * believed. */
static void test_logged_out_without_marks(void **state)
{
    const test_token *h = *state;
    struct work w;
    h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_FUNCTION_NOT_SUPPORTED, 0, 1000000);
    work_init(&w, h, WORK_FIND);
    log_out(h);
    h->shim->reset();
    assert_int_equal(work_do(&w), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 1);
    work_wipe(&w);
}

/* ---- Keys that are gone, and tokens ------------------------------------------------------- */

static int destroy_raw(void *arg)
{
    const struct work *w = arg;
    raw_token raw;
    CK_OBJECT_HANDLE key = 0;
    raw_open(&raw);
    const CK_OBJECT_CLASS class = w->rsa ? CKO_PRIVATE_KEY : CKO_SECRET_KEY;
    while (raw_count(&raw, class, "k", &key) > 0) /* and its copy */
        if (raw.calls->C_DestroyObject(raw.session, key) != CKR_OK)
            return 1;
    return 0;
}

static int destroy_by_kfe(void *arg)
{
    const struct work *w = arg;
    const kfe_key_ref ref = {"k", 1};
    kfe_key_provider *p;
    if (kfe_pkcs11.open(&p, w->h->config) || p->ops->set_state(p, &ref, KFE_KEY_DESTROYED))
        return 1;
    return 0;
}

/* A session copy goes on for a while. */
static bool uses_copy(const struct work *w)
{
    return w->kind == WORK_SEAL || w->kind == WORK_OPEN;
}

static void expect_gone(struct work *w, kfe_error wanted)
{
    if (w->kind == WORK_MAKE) /* which does without that key */
        return;
    if (uses_copy(w))
        w->h->shim->lose_handles(SHIM_OBJECTS);
    for (int i = 0; i < 2; i++) {
        kfe_error err = work_do_again(w);
        if (err != wanted)
            fail_msg("%s: %s: %s", work_name(w->kind), kfe_error_name(err), kfe_error_detail());
        assert_int_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
    }
}

static void destroy_elsewhere(struct work *w)
{
    assert_int_equal(in_child(destroy_raw, w), 0);
    expect_gone(w, KFE_E_KEY_UNKNOWN);
}

static void destroy_elsewhere_by_kfe(struct work *w)
{
    assert_int_equal(in_child(destroy_by_kfe, w), 0);
    expect_gone(w, KFE_E_KEY_DESTROYED);
}

static void test_destroyed_elsewhere(void **state)
{
    for_each_work(state, destroy_elsewhere);
    for_each_work(state, destroy_elsewhere_by_kfe);
}

/* What a token says of a key that was destroyed, it says as well when its store is gone. */
static void expect_outage(struct work *w)
{
    kfe_error err = work_do(w);
    if (err != KFE_E_PROVIDER)
        fail_msg("%s: %s: %s", work_name(w->kind), kfe_error_name(err), kfe_error_detail());
    assert_int_not_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
    assert_int_equal(work_do(w), KFE_E_PROVIDER);
    assert_non_null(strstr(kfe_error_detail(), "not reachable since"));
}

static void lose_store(struct work *w)
{
    if (uses_copy(w))
        return;
    assert_int_equal(in_child(destroy_raw, w), 0);
    w->h->shim->inject("C_GetTokenInfo", SHIM_INSTEAD, CKR_GENERAL_ERROR, 0, 1000000);
    expect_outage(w);
    w->h->shim->reset();
    expect_gone(w, KFE_E_KEY_UNKNOWN);
}

static void lose_folder(struct work *w)
{
    char away[sizeof(w->h->dir) + 8];
    if (uses_copy(w))
        return;
    snprintf(away, sizeof(away), "%s.away", w->h->dir);
    assert_int_equal(rename(w->h->dir, away), 0);
    expect_outage(w);
    assert_int_equal(rename(away, w->h->dir), 0);
    assert_int_equal(work_do_again(w), KFE_OK);
    assert_int_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
}

static void test_store_lost(void **state)
{
    for_each_work(state, lose_store);
}

static void test_folder_lost(void **state)
{
    test_token_needs(TOKEN_IS_A_FOLDER);
    for_each_work(state, lose_folder);
}

static kfe_error current_again(kfe_key_provider *p, kfe_key **key)
{
    kfe_error err = p->ops->get_current_key(p, "k", key);
    for (int ms = 0; err == KFE_E_PROVIDER && ms < 10000; ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        err = p->ops->get_current_key(p, "k", key);
    }
    return err;
}

/* "Not found" is not believed when the token does not answer. */
static void test_not_found_is_checked(void **state)
{
    const test_token *h = *state;
    kfe_key *key = NULL;
    kfe_key_provider *p = test_token_open(h);
    h->shim->inject("C_GetTokenInfo", SHIM_INSTEAD, CKR_GENERAL_ERROR, 0, 1000);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_PROVIDER);
    h->shim->reset();
    assert_int_equal(current_again(p, &key), KFE_E_KEY_UNKNOWN);
    h->shim->inject("C_FindObjects", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1000);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_PROVIDER);
    h->shim->reset();
    h->shim->inject("C_FindObjects", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_KEY_UNKNOWN);
    h->shim->inject("C_FindObjectsFinal", SHIM_INSTEAD, CKR_SESSION_CLOSED, 0, 1);
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_KEY_UNKNOWN);
    assert_null(key);
    p->ops->free(p);
}

/* An object that goes between being found and being read is no failure of the token. */
static void test_gone_while_looking(void **state)
{
    const test_token *h = *state;
    const kfe_key_ref other = {"k", 2};
    kfe_key_provider_statistics before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    kfe_key *key = NULL;
    struct rig rig;
    rig_init(&rig, h);
    assert_int_equal(rig.p->ops->get_key(rig.p, &other, &key), KFE_E_KEY_UNKNOWN);
    const unsigned long usual = h->shim->calls("C_GetAttributeValue");
    rig.p->ops->statistics(rig.p, &before);
    h->shim->reset();
    h->shim->inject("C_GetAttributeValue", SHIM_INSTEAD, CKR_OBJECT_HANDLE_INVALID, usual - 1, 1);
    assert_int_equal(rig.p->ops->get_key(rig.p, &other, &key), KFE_E_KEY_UNKNOWN);
    assert_true(h->shim->calls("C_GetAttributeValue") > usual); /* it is looked for anew */
    rig.p->ops->statistics(rig.p, &after);
    assert_int_equal(after.failures, before.failures);
    rig_wipe(&rig);
}

/* What was written may not be written again: a second key of that version would be ambiguous. */
static void test_writes_are_not_repeated(void **state)
{
    const test_token *h = *state;
    uint32_t version = 0;
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_GenerateKey", SHIM_AFTER, CKR_SESSION_CLOSED, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    assert_int_equal(h->shim->calls("C_GenerateKey"), 1);
    h->shim->inject("C_GenerateKey", SHIM_AFTER, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    assert_int_equal(h->shim->calls("C_GenerateKey"), 2);
    h->shim->inject("C_GenerateKey", SHIM_INSTEAD, CKR_SESSION_HANDLE_INVALID, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK); /* surely not made */
    assert_int_equal(version, 2); /* what was made, if it was, bears no version */
    h->shim->inject("C_GenerateKey", SHIM_INSTEAD, CKR_TOKEN_WRITE_PROTECTED, 0, 1);
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_KEY_DENIED);
    h->shim->inject("C_GetAttributeValue", SHIM_INSTEAD, CKR_USER_NOT_LOGGED_IN, 6, 1);
    assert_int_not_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK);
    assert_true(h->shim->calls("C_GenerateKey") <= 6);
    rig_wipe(&rig);
}

/* A state is another object where data objects are refused, and not where the token fails. */
static void test_second_choice_of_a_marker(void **state)
{
    const test_token *h = *state;
    const kfe_key_ref ref = {"k", 1};
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(rig.p->ops->set_state(rig.p, &ref, KFE_KEY_DECRYPT_ONLY), KFE_E_PROVIDER);
    assert_int_equal(h->shim->calls("C_GenerateKey"), 0);
    h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_ATTRIBUTE_VALUE_INVALID, 0, 1);
    assert_int_equal(rig.p->ops->set_state(rig.p, &ref, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_int_equal(h->shim->calls("C_GenerateKey"), 1);
    rig_wipe(&rig);
}

/* A module whose server died writes to a closed socket. */
static void test_sigpipe(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    sigset_t waiting, mask;
    rig_init(&rig, h);
    signal(SIGPIPE, SIG_DFL);
    h->shim->inject("C_SignInit", SHIM_PIPE, CKR_DEVICE_ERROR, 0, 1000);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    sigpending(&waiting);
    assert_int_equal(sigismember(&waiting, SIGPIPE), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    h->shim->reset();
    rig_wipe(&rig);
}

static void test_openssl_queue(void **state)
{
    struct rig rig;
    ERR_clear_error();
    rig_init(&rig, *state);
    uint32_t version;
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK);
    rig_wipe(&rig);
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_USER, 77); /* the application's own entry stays */
    kfe_key_provider *p = test_token_open(*state);
    p->ops->free(p);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 77);
    assert_int_equal(ERR_get_error(), 0);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_lost),
        TOKEN_TEST(test_logged_out_without_marks),
        TOKEN_TEST(test_finalised_by_others),
        TOKEN_TEST(test_destroyed_elsewhere),
        TOKEN_TEST(test_store_lost),
        TOKEN_TEST(test_folder_lost),
        TOKEN_TEST(test_not_found_is_checked),
        TOKEN_TEST(test_gone_while_looking),
        TOKEN_TEST(test_writes_are_not_repeated),
        TOKEN_TEST(test_second_choice_of_a_marker),
        TOKEN_TEST(test_sigpipe),
        TOKEN_TEST(test_openssl_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
