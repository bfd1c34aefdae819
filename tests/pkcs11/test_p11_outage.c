/* SPDX-License-Identifier: Apache-2.0 */
/* Does a token come back by itself, and are old handles never taken for new ones? */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/derive_rig.h"

enum { RECOVERY_MS = 5000 };

/* ---- An application that starts the module again ------------------------------------------ */

enum { SESSIONS = 16, OTHERS = 8 };

/* Keys of the application's own, as many as make every number of ours one of theirs. */
static void make_others(void)
{
    raw_token raw;
    raw_open(&raw);
    for (uint8_t i = 0; i < OTHERS; i++) {
        uint8_t wrong[32] = {i, 'w', 'r', 'o', 'n', 'g'};
        raw_key key = raw_key_good("another", (uint32_t)i + 1, wrong);
        raw_import(&raw, &key);
    }
    raw_close(&raw);
}

/* Sessions likewise. */
static void start_again(raw_token *raw, CK_SESSION_HANDLE sessions[SESSIONS])
{
    raw_open(raw);
    assert_int_equal(raw->calls->C_Finalize(NULL), CKR_OK);
    raw_open(raw);
    assert_int_equal(raw_count(raw, CKO_SECRET_KEY, "another", NULL), OTHERS);
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(raw->calls->C_OpenSession(raw->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                                   NULL, NULL, &sessions[i]),
                         CKR_OK);
}

static void test_started_again_by_others(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token raw;
    CK_SESSION_HANDLE sessions[SESSIONS];
    CK_SESSION_INFO info;
    make_others();
    rig_init(&rig, h);
    for (int round = 0; round < 3; round++) {
        start_again(&raw, sessions);
        for (int i = 0; i < 3; i++)
            assert_int_equal(rig_derive(&rig), KFE_OK); /* and the right bytes, says rig_derive() */
        /* Nobody else's session was used or closed. */
        for (int i = 0; i < SESSIONS; i++)
            assert_int_equal(raw.calls->C_GetSessionInfo(sessions[i], &info), CKR_OK);
    }
    start_again(&raw, sessions);
    uint32_t version = 0;
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_OK);
    assert_int_equal(version, 2);
    start_again(&raw, sessions);
    rig_wipe(&rig);
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(raw.calls->C_GetSessionInfo(sessions[i], &info), CKR_OK);
}

/* A token that takes no objects of a session: every handle is looked up again then. */
static void test_started_again_without_marks(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token raw;
    CK_SESSION_HANDLE sessions[SESSIONS];
    make_others();
    rig_make_key(h);
    h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_ATTRIBUTE_VALUE_INVALID, 0, 1000000);
    rig_open(&rig, h->config);
    for (int round = 0; round < 3; round++) {
        start_again(&raw, sessions);
        assert_int_equal(rig_derive(&rig), KFE_OK);
    }
    rig_wipe(&rig);
}

/* ---- Outages, by the shim ------------------------------------------------------------------ */

static const char *const data_calls[] = {"C_SignInit",       "C_Sign",        "C_FindObjectsInit",
                                         "C_GetSessionInfo", "C_OpenSession", "C_GetAttributeValue",
                                         "C_GetTokenInfo",   "C_Login"};

static void token_gone(const test_token *h, bool gone)
{
    for (size_t i = 0; i < sizeof(data_calls) / sizeof(data_calls[0]); i++)
        h->shim->inject(data_calls[i], SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, gone ? 1000000 : 0);
}

static void test_nobody_waits_for_a_dead_token(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    token_gone(h, true);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    unsigned long signs = h->shim->calls("C_SignInit");
    uint64_t start = now_ms();
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        assert_non_null(strstr(kfe_error_detail(), "HSM not reachable since"));
    }
    assert_true(now_ms() - start < 5000);
    assert_int_equal(h->shim->calls("C_SignInit"), signs);
    token_gone(h, false);
    start = now_ms();
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    assert_true(now_ms() - start < RECOVERY_MS);
    assert_int_equal(rig.p->ops->create(rig.p, "another"), KFE_OK);
    rig_wipe(&rig);
}

static void test_outage_of_some_length(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init(&rig, h);
    token_gone(h, true);
    uint64_t start = now_ms(), until = start + PATIENCE_MS;
    unsigned long tries = 0;
    while (tries < 4 && now_ms() < until) {
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        pause_1_ms();
        tries = h->shim->calls("C_Initialize");
    }
    assert_int_equal(tries, 4);
    assert_true(now_ms() - start >= 50 + 100 + 200 + 400); /* ever more seldom */
    assert_true(h->shim->calls("C_Finalize") >= 3); /* the only way back for a remote token */
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    rig.p->ops->statistics(rig.p, &s);
    assert_int_not_equal(s.breaker, KFE_BREAKER_CLOSED);
    token_gone(h, false);
    start = now_ms();
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    assert_true(now_ms() - start < RECOVERY_MS);
    rig.p->ops->statistics(rig.p, &s);
    assert_int_equal(s.breaker, KFE_BREAKER_CLOSED);
    assert_true(s.reconnects >= 1);
    rig_wipe(&rig);
}

/* Whoever sends forged secrets must not shut the others out, nor wear sessions out. */
static void test_bad_data_is_no_outage(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    uint8_t aad[3] = {1, 2, 3}, secret[32] = {7}, opened[32], wrapped[KFE_KEY_WRAPPED_MAX];
    size_t len = 0;
    aes_import("kek", 1, 32, AES_CRYPT);
    rig_init(&rig, h);
    kfe_key *kek = aes_get(rig.p, "kek", 1);
    kfe_bytes context = {aad, sizeof(aad)};
    assert_int_equal(kek->ops->wrap(kek, context, secret, wrapped, &len), KFE_OK);
    h->shim->reset();
    for (size_t i = 0; i < 200; i++) {
        wrapped[1 + i % (len - 1)] ^= 1;
        assert_int_equal(kek->ops->unwrap(kek, context, (kfe_bytes){wrapped, len}, opened),
                         KFE_E_AUTH);
        wrapped[1 + i % (len - 1)] ^= 1;
        assert_int_equal(rig_derive(&rig), KFE_OK);
    }
    assert_in_range(h->shim->calls("C_Decrypt"), 200, 600); /* three, where the code says little */
    assert_int_equal(h->shim->calls("C_OpenSession"), 0);
    assert_int_equal(h->shim->calls("C_CloseSession"), 0);
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    rig.p->ops->statistics(rig.p, &s);
    assert_int_equal(s.breaker, KFE_BREAKER_CLOSED);
    kek->ops->release(kek);
    rig_wipe(&rig);
}

/* Both use one module: what one starts again the other finds gone, and both come back. */
static void test_two_providers(void **state)
{
    const test_token *h = *state;
    struct rig one, two;
    rig_init(&one, h);
    rig_open(&two, h->config);
    for (int round = 0; round < 3; round++) {
        token_gone(h, true);
        assert_int_equal(rig_derive(&one), KFE_E_PROVIDER);
        if (round != 1)
            assert_int_equal(rig_derive(&two), KFE_E_PROVIDER);
        token_gone(h, false);
        assert_int_equal(rig_derive_again(&one), KFE_OK);
        assert_int_equal(rig_derive_again(&two), KFE_OK);
        assert_int_equal(rig_derive(&one), KFE_OK);
    }
    rig_wipe(&one);
    rig_wipe(&two);
    assert_true(test_token_is_finalised(h));
}

/* ---- One of two tokens ---------------------------------------------------------------------
 */

/* The one token's folder, and where it is not seen. */
struct folder {
    char here[300], away[300];
};

static void find_folder(const test_token *h, struct folder *out)
{
    char pattern[200];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/{,*/}*-*-*-*", h->dir);
    assert_int_equal(glob(pattern, GLOB_BRACE, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    snprintf(out->here, sizeof(out->here), "%s", found.gl_pathv[0]);
    snprintf(out->away, sizeof(out->away), "%s.away", h->dir);
    globfree(&found);
}

static void open_second(struct rig *rig)
{
    char uri[300];
    snprintf(uri, sizeof(uri), "pkcs11:token=second%s", strchr(test_token_uri(), '?'));
    kfe_config *config = test_token_config(uri, NULL);
    kfe_key_provider *p = NULL;
    assert_int_equal(kfe_pkcs11.open(&p, config), KFE_OK);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    p->ops->free(p);
    rig_open(rig, config);
    rig->config = config;
}

/* Until the module was finalised so often, with the other token at work. */
static uint64_t work_until(const test_token *h, struct rig *other, unsigned long ends)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (h->shim->calls("C_Finalize") < ends && now_ms() < until) {
        assert_int_equal(rig_derive(other), KFE_OK);
        pause_1_ms();
    }
    assert_int_equal(h->shim->calls("C_Finalize"), ends);
    return now_ms();
}

/* It is looked for all the time, but sessions and logins of the other one are not taken each time.
 */
static void test_one_of_two_tokens(void **state)
{
    const test_token *h = *state;
    struct folder folder;
    struct rig one, two;
    test_token_needs(TOKEN_HAS_ROOM);
    find_folder(h, &folder);
    rig_init(&one, h);
    test_token_add("second");
    open_second(&two);
    h->shim->reset();
    assert_int_equal(rename(folder.here, folder.away), 0);
    assert_int_equal(rig_derive(&one), KFE_E_PROVIDER);
    uint64_t first = work_until(h, &two, 1);
    uint64_t second = work_until(h, &two, 2);
    assert_true(second - first >= 1900);
    unsigned long looks = h->shim->calls("C_GetSlotList");
    while (h->shim->calls("C_GetSlotList") < looks + 4) /* two of a look */
        assert_int_equal(rig_derive(&two), KFE_OK);
    uint64_t late = now_ms() - second;
    assert_in_range(h->shim->calls("C_Finalize"), 2, late < 3900 ? 2 : 3);
    assert_int_equal(rename(folder.away, folder.here), 0);
    assert_int_equal(rig_derive_again(&one), KFE_OK);
    assert_int_equal(rig_derive(&two), KFE_OK);
    rig_wipe(&one);
    rig_wipe(&two);
}

/* The application started the module: it is not ours to finalise, in an outage either. */
static void test_the_application_s_module(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    raw_token raw;
    CK_SESSION_INFO info;
    rig_make_key(h);
    raw_open(&raw);
    rig_open(&rig, h->config);
    h->shim->reset();
    token_gone(h, true);
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    uint64_t until = now_ms() + PATIENCE_MS;
    while (h->shim->calls("C_GetSlotList") < 2 && now_ms() < until)
        pause_1_ms();
    assert_true(h->shim->calls("C_GetSlotList") >= 2);
    token_gone(h, false);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    assert_int_equal(raw.calls->C_GetSessionInfo(raw.session, &info), CKR_OK);
    rig_wipe(&rig);
    raw_close(&raw);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_started_again_by_others),
        TOKEN_TEST(test_started_again_without_marks),
        TOKEN_TEST(test_nobody_waits_for_a_dead_token),
        TOKEN_TEST(test_outage_of_some_length),
        TOKEN_TEST(test_bad_data_is_no_outage),
        TOKEN_TEST(test_two_providers),
        TOKEN_TEST(test_the_application_s_module),
        TOKEN_TEST(test_one_of_two_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
