/* SPDX-License-Identifier: Apache-2.0 */
/* Does the provider do with each return code, on each call that may give it, what the table says
 * (rows.c)? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/rows.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { ALWAYS = 1000000 };

/* ---- A code on a call --------------------------------------------------------------------- */

typedef struct {
    struct work w;
    const row_place *at;
    const table_row *row;
    action is;
    unsigned long usual, searches; /* calls of that function (0: a token that needs none), and
                                      searches, while all is well */
} test_case;

static void expect(const test_case *t, const char *what, unsigned long got, unsigned long wanted)
{
    if (got != wanted)
        fail_msg("%s: %s 0x%lx: %s: %lu, not %lu: %s", work_name(t->at->work), t->at->function,
                 t->row->rv, what, got, wanted, kfe_error_detail());
}

static unsigned long calls(const test_case *t, const char *function)
{
    return t->w.h->shim->calls(function);
}

static bool reads(const test_case *t)
{
    return strcmp(t->at->function, "C_GetAttributeValue") == 0;
}

static void expect_breaker(const test_case *t, bool closed)
{
    expect(t, "breaker closed", work_statistics(&t->w).breaker == KFE_BREAKER_CLOSED, closed);
}

static void well_again(test_case *t)
{
    t->w.h->shim->reset();
    expect(t, "afterwards", work_do_again(&t->w), KFE_OK);
    expect_breaker(t, true);
    t->w.h->shim->reset();
}

/* Of that function; attributes are also read by what looks for a cure. */
static void expect_calls(const test_case *t, kfe_error err)
{
    unsigned failed = row_seen[t->is].calls - (err ? 0 : 1), each = t->at->skip + 1;
    unsigned long wanted = failed * each + (err ? 0 : t->usual);
    wanted += row_seen[t->is].more;
    if (row_seen[t->is].found && t->is != DOUBT &&
        (t->at->work != WORK_UNWRAP_RSA || t->w.rsa_is_raw))
        wanted += t->at->anew;
    if (!reads(t) || row_seen[t->is].calls == 1)
        expect(t, "calls", calls(t, t->at->function), wanted);
}

/* Of a session, its operations and the token, which are no failures when data is bad. An attribute
 * that is not there is none, either. */
static void expect_failures(const test_case *t, uint64_t before)
{
    const bool of_data = t->is == FORGED || t->is == ASK_TWICE || t->is == OPAQUE;
    if (!reads(t))
        expect(t, "failures counted", work_statistics(&t->w).failures - before, !of_data);
}

static void said_once(test_case *t)
{
    const uint64_t failures = work_statistics(&t->w).failures;
    t->w.h->shim->inject(t->at->function, t->at->how, t->row->rv, t->at->skip, 1);
    kfe_error err = work_do(&t->w);
    expect(t, "once", err, row_seen[t->is].once);
    expect_calls(t, err);
    expect_failures(t, failures);
    expect(t, "sessions opened", calls(t, "C_OpenSession"), row_seen[t->is].opened);
    expect(t, "sessions closed", calls(t, "C_CloseSession"), row_seen[t->is].closed);
    if (t->searches == 0) /* it is not searched for in any case */
        expect(t, "found again", calls(t, "C_FindObjectsInit") > 0, row_seen[t->is].found);
    expect(t, "logins", calls(t, "C_Login"), 0);
    expect_breaker(t, true);
    well_again(t);
}

static void said_always(test_case *t)
{
    if (reads(t)) /* it would be said to what looks for a cure, too */
        return;
    t->w.h->shim->inject(t->at->function, t->at->how, t->row->rv, 0, ALWAYS);
    expect(t, "always", work_do(&t->w), row_seen[t->is].always);
    if (!row_seen[t->is].found || t->at->anew == 0)
        expect(t, "calls, always", calls(t, t->at->function), row_seen[t->is].calls);
    if (row_seen[t->is].always != KFE_E_AUTH) { /* which says nothing of its reason */
        assert_non_null(strstr(kfe_error_detail(), t->at->function));
        assert_null(strstr(kfe_error_detail(), "an unknown code"));
    }
    expect(t, "logins", calls(t, "C_Login"), 0);
    expect_breaker(t, true);
    well_again(t);
}

/* Two ways of asking it whether it is there. */
static void die(void *arg)
{
    static const char *const looks[] = {"C_GetTokenInfo", "C_GetSessionInfo"};
    const test_case *t = arg;
    t->w.h->shim->inject(looks[(t->row - row_table) % 2], SHIM_INSTEAD, CKR_DEVICE_ERROR, 0,
                         ALWAYS);
}

/* "Not found" is believed of a token that answers alone, and so is what a code may mean besides. */
static void said_by_the_dead(test_case *t)
{
    if (!t->at->dead || !row_seen[t->is].dead)
        return;
    t->w.h->shim->inject(t->at->function, t->at->how, t->row->rv, 0, 1);
    t->w.h->shim->before(t->at->function, die, t);
    expect(t, "of a dead token", work_do(&t->w), KFE_E_PROVIDER);
    expect_breaker(t, false);
    const unsigned long asked = calls(t, t->at->function);
    if (t->at->work != WORK_FIND)
        expect(t, "calls, of a dead token", asked, 1);
    expect(t, "at once", work_do(&t->w), KFE_E_PROVIDER);
    const char *since = strstr(kfe_error_detail(), "not reachable since");
    assert_non_null(since);
    assert_null(strstr(since + 1, "not reachable since")); /* what was seen first is told */
    expect(t, "calls, at once", calls(t, t->at->function), asked);
    well_again(t);
}

/* What a token with RSA-OAEP says of its mechanism has libp11 asked: test_p11_libp11.c. */
static bool is_for_libp11(const test_case *t)
{
    const CK_RV rv = t->row->rv;
    const bool of_init = strcmp(t->at->function, "C_DecryptInit") == 0;
    return t->at->work == WORK_UNWRAP_RSA && !t->w.rsa_is_raw &&
           (rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID ||
            rv == CKR_FUNCTION_NOT_SUPPORTED || (of_init && rv == CKR_ARGUMENTS_BAD));
}

/* Reading attributes it is said of one of them, and no failure. */
static bool is_of_an_attribute(const test_case *t)
{
    const CK_RV rv = t->row->rv;
    return reads(t) && (rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
                        rv == CKR_BUFFER_TOO_SMALL);
}

/* When the handle of our own object is stale, all are, and the session with them. */
static action action_of(const test_case *t)
{
    const bool own = reads(t) && t->at->skip == 0;
    return own && t->row->rv == CKR_OBJECT_HANDLE_INVALID ? RECONNECT : t->row->is[t->at->says];
}

/* What says enough is no reason to look whether the token is there, and no outage. */
static void said_of_no_token(test_case *t)
{
    const bool searches = t->at->work == WORK_FIND || t->at->work == WORK_MAKE;
    if (!t->at->dead || row_seen[t->is].dead || row_seen[t->is].calls > 1)
        return;
    t->w.h->shim->inject(t->at->function, t->at->how, t->row->rv, 0, 1);
    t->w.h->shim->before(t->at->function, die, t);
    expect(t, "once, dying", work_do(&t->w), row_seen[t->is].once);
    expect_breaker(t, true);
    if (!searches) /* which look by themselves */
        expect(t, "looks", calls(t, "C_GetTokenInfo") + calls(t, "C_GetSessionInfo"), 0);
    well_again(t);
}

static void check_place(test_case *t)
{
    t->w.h->shim->reset();
    assert_int_equal(work_do(&t->w), KFE_OK);
    t->usual = calls(t, t->at->function);
    t->searches = calls(t, "C_FindObjectsInit");
    t->w.h->shim->reset();
    for (t->row = row_table; t->row < row_table + row_n; t->row++) {
        t->is = action_of(t);
        if (t->is == NEVER || t->usual == 0 || is_for_libp11(t) || is_of_an_attribute(t))
            continue;
        said_once(t);
        said_always(t);
        said_by_the_dead(t);
        said_of_no_token(t);
    }
}

static void check_work(void **state, work_kind kind)
{
    test_case t;
    work_init(&t.w, *state, kind);
    for (t.at = row_places; t.at < row_places + row_n_places; t.at++)
        if (t.at->work == kind)
            check_place(&t);
    work_wipe(&t.w);
}

#define WORK_TEST(name, kind)                                                                      \
    static void name(void **state)                                                                 \
    {                                                                                              \
        check_work(state, kind);                                                                   \
    }
WORK_TEST(test_derive, WORK_DERIVE)
WORK_TEST(test_wrap_gcm, WORK_WRAP_GCM)
WORK_TEST(test_unwrap_gcm, WORK_UNWRAP_GCM)
WORK_TEST(test_wrap_rfc3394, WORK_WRAP_RFC3394)
WORK_TEST(test_unwrap_rfc3394, WORK_UNWRAP_RFC3394)
WORK_TEST(test_wrap_rsa, WORK_WRAP_RSA)
WORK_TEST(test_unwrap_rsa, WORK_UNWRAP_RSA)
WORK_TEST(test_seal, WORK_SEAL)
WORK_TEST(test_open, WORK_OPEN)
WORK_TEST(test_find, WORK_FIND)
WORK_TEST(test_make, WORK_MAKE)

/* ---- Another code each time --------------------------------------------------------------- */

static const CK_RV in_turn[] = {CKR_KEY_HANDLE_INVALID, CKR_OPERATION_ACTIVE,
                                CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR};

struct turn {
    const test_token *h;
    unsigned long said;
};

static void next_code(void *arg)
{
    struct turn *turn = arg;
    turn->said++;
    turn->h->shim->inject("C_SignInit", SHIM_INSTEAD, in_turn[turn->said % COUNT(in_turn)], 0, 1);
}

/* Each has its own cure, and each cure is tried once. */
static void test_cures_run_out(void **state)
{
    struct work w;
    struct turn turn = {.h = *state};
    work_init(&w, *state, WORK_DERIVE);
    w.h->shim->reset();
    w.h->shim->inject("C_SignInit", SHIM_INSTEAD, in_turn[0], 0, 1);
    w.h->shim->before_each("C_SignInit", next_code, &turn);
    assert_int_equal(work_do(&w), KFE_E_PROVIDER);
    assert_int_equal(w.h->shim->calls("C_SignInit"), COUNT(in_turn) + 1);
    w.h->shim->before_each("C_SignInit", NULL, NULL);
    w.h->shim->reset();
    assert_int_equal(work_do(&w), KFE_OK);
    work_wipe(&w);
}

/* ---- A code on the way to the token ------------------------------------------------------- */

/* Runs `check` for each row and each function that may say it. */
static void for_each_lead(const char *const *functions, size_t n, void *arg,
                          void (*check)(void *arg, const table_row *row, const char *function))
{
    for (const table_row *row = row_table; row < row_table + row_n; row++)
        for (size_t i = 0; i < n; i++)
            if (row->is[LEADS] != NEVER && (!row->on || strcmp(row->on, functions[i]) == 0))
                check(arg, row, functions[i]);
}

static void expect_open(const test_token *h, const table_row *row, const char *function,
                        kfe_error wanted)
{
    kfe_key_provider *p = NULL;
    kfe_error err = kfe_pkcs11.open(&p, h->config);
    if (err != wanted)
        fail_msg("%s 0x%lx: open: %s: %s", function, row->rv, kfe_error_name(err),
                 kfe_error_detail());
    if (p)
        p->ops->free(p);
}

static void start(void *arg, const table_row *row, const char *function)
{
    const test_token *h = arg;
    const action is = row->is[LEADS];
    const bool fine = is == FINE;
    char pin[32];
    snprintf(pin, sizeof(pin), "refused-with-%lx", row->rv);
    if (is == LATCH)
        setenv("KFE_TEST_PIN", pin, 1);
    h->shim->reset();
    h->shim->inject(function, fine ? SHIM_AFTER : SHIM_INSTEAD, row->rv, 0, fine ? 1 : ALWAYS);
    const kfe_error errors[] = {
        [FINE] = KFE_OK, [LATCH] = KFE_E_CREDENTIALS, [OUTAGE] = KFE_E_PROVIDER};
    expect_open(h, row, function, errors[is]);
    if (!fine)
        assert_non_null(strstr(kfe_error_detail(), function));
    assert_null(strstr(kfe_error_detail(), pin));
    const unsigned long asked = h->shim->calls(function);
    h->shim->inject(function, SHIM_INSTEAD, row->rv, 0, 0);
    if (is == LATCH) {
        expect_open(h, row, function, KFE_E_CREDENTIALS);
        assert_null(strstr(kfe_error_detail(), pin));
        assert_int_equal(asked, 1);
        assert_int_equal(h->shim->calls(function), 1);
    }
    setenv("KFE_TEST_PIN", test_token_pin(), 1);
    expect_open(h, row, function, KFE_OK);
}

/* What somebody else has initialised is somebody else's to finalise. */
static void start_beside(void *arg, const table_row *row, const char *function)
{
    raw_token raw;
    const bool beside = row->rv == CKR_CRYPTOKI_ALREADY_INITIALIZED;
    if (beside)
        raw_open(&raw);
    start(arg, row, function);
    if (beside)
        raw_close(&raw);
}

static void test_start(void **state)
{
    static const char *const functions[] = {"C_Initialize", "C_GetSlotList", "C_OpenSession",
                                            "C_Login"};
    for_each_lead(functions, COUNT(functions), *state, start_beside);
}

static void wait_for(const test_token *h, const char *function)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (h->shim->calls(function) == 0 && now_ms() < until)
        pause_1_ms();
    assert_true(h->shim->calls(function) > 0);
}

/* Sessions and login are gone for true. */
static void way_back(void *arg, const table_row *row, const char *function)
{
    struct work *w = arg;
    const shim_table *shim = w->h->shim;
    if (row->is[LEADS] != OUTAGE)
        return;
    shim->reset();
    shim->inject(function, SHIM_INSTEAD, row->rv, 0, ALWAYS);
    shim->lose_handles(SHIM_SESSIONS);
    assert_int_equal(work_do(w), KFE_E_PROVIDER);
    assert_int_not_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
    const unsigned long asked = shim->calls("C_SignInit");
    assert_int_equal(work_do(w), KFE_E_PROVIDER);
    if (!strstr(kfe_error_detail(), function))
        fail_msg("%s 0x%lx: %s", function, row->rv, kfe_error_detail());
    wait_for(w->h, "C_Finalize");
    assert_int_equal(shim->calls("C_SignInit"), asked);
    shim->reset();
    assert_int_equal(work_do_again(w), KFE_OK);
    assert_int_equal(shim->calls("C_Login"), 1);
    assert_int_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
}

static void test_way_back(void **state)
{
    static const char *const functions[] = {"C_GetSlotList", "C_OpenSession", "C_Login"};
    struct work w;
    work_init(&w, *state, WORK_DERIVE);
    for_each_lead(functions, COUNT(functions), &w, way_back);
    work_wipe(&w);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_start),      TOKEN_TEST(test_derive),       TOKEN_TEST(test_cures_run_out),
        TOKEN_TEST(test_unwrap_gcm), TOKEN_TEST(test_wrap_rfc3394), TOKEN_TEST(test_unwrap_rfc3394),
        TOKEN_TEST(test_unwrap_rsa), TOKEN_TEST(test_find),         TOKEN_TEST(test_open),
        TOKEN_TEST(test_seal),       TOKEN_TEST(test_wrap_gcm),     TOKEN_TEST(test_wrap_rsa),
        TOKEN_TEST(test_make),       TOKEN_TEST(test_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
