/* SPDX-License-Identifier: Apache-2.0 */
/* Whose is a module that kfe and the application both start? It is never pulled away from under an
 * application that started it again, and finalised when nobody else is there. */
#include <string.h>

#include "tests/pkcs11/derive_rig.h"

/* ---- The application ------------------------------------------------------------------------ */

/* Finalises, whoever started it, and starts it for itself. */
static void start_again(raw_token *app)
{
    raw_open(app);
    assert_int_equal(app->calls->C_Finalize(NULL), CKR_OK);
    raw_open(app);
    assert_true(app->initialised);
}

static void assert_works(const raw_token *app)
{
    CK_SESSION_INFO info;
    assert_int_equal(app->calls->C_GetSessionInfo(app->session, &info), CKR_OK);
    assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
    assert_int_equal(raw_count(app, CKO_SECRET_KEY, "k", NULL), 1);
}

/* ---- Started again --------------------------------------------------------------------------- */

/* Found out at close. */
static void test_unseen(void **state)
{
    struct rig rig;
    raw_token app;
    rig_init(&rig, *state);
    start_again(&app);
    rig_wipe(&rig);
    assert_works(&app);
    raw_close(&app);
}

/* Found out by a call, which gets new sessions. */
static void test_seen(void **state)
{
    struct rig rig;
    raw_token app;
    rig_init(&rig, *state);
    start_again(&app);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_works(&app);
    rig_wipe(&rig);
    assert_works(&app);
    raw_close(&app);
}

/* The application is told that it was up already, and goes on with it. */
static void started_by_us(const test_token *h, bool application_first)
{
    struct rig rig;
    raw_token app;
    rig_make_key(h);
    if (application_first)
        raw_open(&app);
    rig_open(&rig, h->config);
    if (!application_first)
        raw_open(&app);
    assert_int_equal(app.calls->C_Finalize(NULL), CKR_OK);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    raw_open(&app);
    assert_false(app.initialised);
    rig_wipe(&rig);
    assert_works(&app);
    assert_int_equal(app.calls->C_Finalize(NULL), CKR_OK);
}

static void test_started_by_us(void **state)
{
    started_by_us(*state, false);
}

static void test_started_by_us_after_the_application(void **state)
{
    started_by_us(*state, true);
}

/* Of two providers one or both find out, in either order of leaving. */
static void test_two_providers(void **state)
{
    const test_token *h = *state;
    rig_make_key(h);
    for (unsigned which = 0; which < 8; which++) {
        struct rig rigs[2];
        raw_token app;
        unsigned first = which >> 2;
        rig_open(&rigs[0], h->config);
        rig_open(&rigs[1], h->config);
        start_again(&app);
        for (unsigned i = 0; i < 2; i++)
            if (which >> i & 1)
                assert_int_equal(rig_derive(&rigs[i]), KFE_OK);
        rig_wipe(&rigs[first]);
        assert_works(&app);
        rig_wipe(&rigs[!first]);
        assert_works(&app);
        raw_close(&app);
        assert_true(test_token_is_finalised(h));
    }
}

/* ---- An outage --------------------------------------------------------------------------------
 */

static void out_and_back(const test_token *h, struct rig *rig)
{
    h->shim->reset();
    h->shim->out_of_reach(true);
    assert_int_equal(rig_derive(rig), KFE_E_PROVIDER);
    uint64_t until = now_ms() + PATIENCE_MS;
    while (h->shim->calls("C_Initialize") == 0 && now_ms() < until)
        pause_1_ms();
    h->shim->out_of_reach(false);
}

/* Until it comes back by being finalised, however often that fails. */
static void assert_comes_back(const test_token *h, struct rig *rig)
{
    out_and_back(h, rig);
    assert_int_equal(rig_derive_again(rig), KFE_OK);
    assert_true(h->shim->calls("C_Finalize") > 0);
}

static void start_now(void *arg)
{
    raw_open(arg);
}

/* Between the sight of a module that is finalised and our start of it: it is the application's for
 * sure, and not ours to finalise for a token that is gone. */
static void test_started_before_us(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token app;
    if (!h->tells_finalised) {
        print_message("skipped, as the module does not tell that it is finalised\n");
        skip();
    }
    rig_init(&rig, h);
    raw_open(&app);
    assert_int_equal(app.calls->C_Finalize(NULL), CKR_OK);
    h->shim->before("C_Initialize", start_now, &app);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_true(app.initialised);
    out_and_back(h, &rig);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    rig_wipe(&rig);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    raw_close(&app);
}

/* Sessions may be gone for other reasons: then the module is left up by who leaves, and still
 * started again for a token that comes back in no other way; by the next provider, too. */
static void test_lost_sessions(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    for (int i = 0; i < 2; i++) {
        h->shim->lose_handles(SHIM_SESSIONS);
        assert_int_equal(rig_derive(&rig), KFE_OK);
        rig_wipe(&rig);
        assert_false(test_token_is_finalised(h));
        rig_open(&rig, h->config);
        out_and_back(h, &rig);
        assert_int_equal(rig_derive_again(&rig), KFE_OK);
        assert_true(h->shim->calls("C_Finalize") > 0);
    }
    rig_wipe(&rig);
}

/* ---- Starts and ends that failed --------------------------------------------------------------
 */

/* And yet it was up: in an outage, which has to be got over still. */
static void test_start_failed_in_an_outage(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    for (unsigned long n = 1; n <= 3; n++) {
        h->shim->reset();
        h->shim->out_of_reach(true);
        h->shim->inject("C_Initialize", SHIM_AFTER, CKR_DEVICE_ERROR, 0, n);
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        uint64_t until = now_ms() + PATIENCE_MS;
        while (h->shim->calls("C_Initialize") <= n && now_ms() < until)
            pause_1_ms();
        h->shim->out_of_reach(false);
        assert_int_equal(rig_derive_again(&rig), KFE_OK);
        assert_comes_back(h, &rig);
    }
    rig_wipe(&rig);
}

/* The first one, of a provider that is not there then. */
static void test_first_start_failed(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    kfe_key_provider *p = NULL;
    rig_make_key(h);
    h->shim->inject("C_Initialize", SHIM_AFTER, CKR_DEVICE_ERROR, 0, 1);
    assert_int_equal(kfe_pkcs11.open(&p, h->config), KFE_E_PROVIDER);
    rig_open(&rig, h->config);
    assert_comes_back(h, &rig);
    rig_wipe(&rig);
}

static void test_end_failed(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_Finalize", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    rig_wipe(&rig);
    assert_false(test_token_is_finalised(h));
    rig_open(&rig, h->config);
    assert_comes_back(h, &rig);
    rig_wipe(&rig);
}

/* It was left up, and the token can be reached, but not through what was started before: whoever
 * opens it gets over that. */
static void test_end_failed_in_an_outage(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    for (int tried = 0; tried < 2; tried++) {
        h->shim->reset();
        h->shim->out_of_reach(true);
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        uint64_t until = now_ms() + PATIENCE_MS; /* dead at first, then it shows no slots */
        while (tried && h->shim->calls("C_Initialize") == 0 && now_ms() < until)
            pause_1_ms();
        h->shim->inject("C_Finalize", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1000000);
        rig_wipe(&rig);
        h->shim->reset();
        rig_open(&rig, h->config);
        assert_true(h->shim->calls("C_Finalize") > 0);
    }
    rig_wipe(&rig);
}

typedef enum { START_FAILED, END_FAILED, N_FAILURES } failure;

static void fail_once(const test_token *h, failure which)
{
    kfe_key_provider *p = NULL;
    if (which == START_FAILED) {
        h->shim->inject("C_Initialize", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
        assert_int_equal(kfe_pkcs11.open(&p, h->config), KFE_E_PROVIDER);
    } else {
        h->shim->inject("C_Finalize", SHIM_AFTER, CKR_DEVICE_ERROR, 0, 1);
        p = test_token_open(h);
        p->ops->free(p);
    }
    assert_true(test_token_is_finalised(h));
}

/* What really failed, or did not, says nothing of the application's start that comes next. */
static void test_started_after_a_failure(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token app;
    rig_make_key(h);
    for (failure which = 0; which < N_FAILURES; which++) {
        fail_once(h, which);
        raw_open(&app);
        assert_true(app.initialised);
        rig_open(&rig, h->config);
        rig_wipe(&rig);
        assert_works(&app);
        if (h->tells_finalised) { /* so it is the application's for sure */
            rig_open(&rig, h->config);
            out_and_back(h, &rig);
            assert_int_equal(h->shim->calls("C_Finalize"), 0);
            rig_wipe(&rig);
            assert_int_equal(h->shim->calls("C_Finalize"), 0);
        }
        raw_close(&app);
        /* And the next one is alone again. */
        rig_open(&rig, h->config);
        rig_wipe(&rig);
        assert_true(test_token_is_finalised(h));
    }
}

/* A sick module may say that it is not initialised, and be up: that makes it nobody else's. */
static void test_not_finalised_after_all(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    h->shim->inject("C_SignInit", SHIM_INSTEAD, CKR_CRYPTOKI_NOT_INITIALIZED, 0, 1);
    h->shim->inject("C_GetInfo", SHIM_INSTEAD, CKR_CRYPTOKI_NOT_INITIALIZED, 0, 1);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_comes_back(h, &rig);
    rig_wipe(&rig);
}

/* A start of ours that fails beside the application's makes that none of ours. */
static void test_start_failed_beside_the_application(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token app;
    rig_make_key(h);
    raw_open(&app);
    rig_open(&rig, h->config);
    h->shim->reset();
    h->shim->inject("C_Initialize", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 2);
    h->shim->inject("C_SignInit", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
    h->shim->inject("C_GetTokenInfo", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 3);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    assert_true(h->shim->calls("C_Initialize") >= 2);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    rig_wipe(&rig);
    assert_works(&app);
    raw_close(&app);
}

/* ---- Nobody else ------------------------------------------------------------------------------
 */

static void test_alone(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token app;
    rig_make_key(h);
    for (int i = 0; i < 2; i++) {
        h->shim->reset();
        rig_open(&rig, h->config);
        rig_wipe(&rig);
        assert_int_equal(h->shim->calls("C_Finalize"), 1);
        assert_true(test_token_is_finalised(h));
        /* After one that was there and left, we are alone again. */
        rig_open(&rig, h->config);
        start_again(&app);
        rig_wipe(&rig);
        raw_close(&app);
        assert_true(test_token_is_finalised(h));
    }
}

/* What we started again in an outage, under two providers, is ours. */
static void test_alone_in_an_outage(void **state)
{
    const test_token *h = *state;
    struct rig one, two;
    rig_init(&one, h);
    rig_open(&two, h->config);
    out_and_back(h, &one);
    assert_int_equal(rig_derive_again(&one), KFE_OK);
    assert_int_equal(rig_derive_again(&two), KFE_OK);
    rig_wipe(&one);
    rig_wipe(&two);
    assert_true(test_token_is_finalised(h));
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_unseen),
        TOKEN_TEST(test_seen),
        TOKEN_TEST(test_started_by_us),
        TOKEN_TEST(test_started_by_us_after_the_application),
        TOKEN_TEST(test_two_providers),
        TOKEN_TEST(test_started_before_us),
        TOKEN_TEST(test_lost_sessions),
        TOKEN_TEST(test_start_failed_in_an_outage),
        TOKEN_TEST(test_first_start_failed),
        TOKEN_TEST(test_end_failed),
        TOKEN_TEST(test_end_failed_in_an_outage),
        TOKEN_TEST(test_started_after_a_failure),
        TOKEN_TEST(test_start_failed_beside_the_application),
        TOKEN_TEST(test_not_finalised_after_all),
        TOKEN_TEST(test_alone),
        TOKEN_TEST(test_alone_in_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
