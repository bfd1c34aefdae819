/* SPDX-License-Identifier: Apache-2.0 */
/* Is good data told from forged by a token whose codes tell nothing, also when it opens nothing for
 * a while, though it answers? Some say "function failed" of both. */
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/rows_work.h"
#include "tests/pkcs11/wrap_rig.h"

enum { ALWAYS = 1000000 };

static const CK_RV codes[] = {CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_DEVICE_ERROR,
                              CKR_VENDOR_DEFINED + 7};

static const char *opening_call(const struct work *w)
{
    return w->kind == WORK_UNWRAP_RFC3394 ? "C_UnwrapKey" : "C_Decrypt";
}

static void expect(struct work *w, const char *what, kfe_error wanted)
{
    kfe_error err = work_do(w);
    if (err != wanted)
        fail_msg("%s: %s: %s: %s", work_name(w->kind), what, kfe_error_name(err),
                 kfe_error_detail());
    assert_int_equal(work_statistics(w).breaker, KFE_BREAKER_CLOSED);
}

/* The byte that is forged, in what the work opens. */
static uint8_t *forged_byte(struct work *w)
{
    return w->kind == WORK_OPEN ? &w->sealed[WORK_LEN - 1] : &w->wrapped[w->len - 1];
}

/* Another provider, by which nothing has been opened yet. */
static void begin_anew(struct work *w)
{
    w->h->shim->reset();
    w->key->ops->release(w->key);
    w->p->ops->free(w->p);
    w->p = test_token_open(w->h);
    w->key = aes_get(w->p, "k", 1);
    w->h->shim->reset();
}

/* The call is made and its result lost, or it is not made: its operation stands in that session. */
static void opens_nothing(struct work *w)
{
    for (size_t i = 0; i < 2 * sizeof(codes) / sizeof(codes[0]); i++) {
        w->h->shim->inject(opening_call(w), i % 2 ? SHIM_AFTER : SHIM_INSTEAD, codes[i / 2], 0,
                           ALWAYS);
        expect(w, "good data while nothing opens", KFE_E_PROVIDER);
        expect(w, "the same once more", KFE_E_PROVIDER);
        *forged_byte(w) ^= 1;
        expect(w, "forged data while nothing opens", KFE_E_PROVIDER);
        *forged_byte(w) ^= 1;
        w->h->shim->reset();
        expect(w, "afterwards", KFE_OK);
    }
}

static void busy_for_a_while(struct work *w)
{
    for (unsigned long i = 0; i < 4; i++) {
        w->h->shim->reset();
        w->h->shim->inject(opening_call(w), i % 2 ? SHIM_AFTER : SHIM_INSTEAD, CKR_FUNCTION_FAILED,
                           0, 1 + i / 2);
        expect(w, "good data, busy for one call or two", KFE_OK);
    }
    w->h->shim->reset();
}

/* A token that leaves the operation standing whenever it refuses data, and opens what is good: the
 * data is tried first, and again when what is known to be good has opened in another session. */
static unsigned long inits;

static void refuse_data(void *arg)
{
    const struct work *w = arg;
    inits++;
    if (inits == 1 || inits == 4)
        w->h->shim->inject("C_Decrypt", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, 1);
}

static void forged_and_stuck(struct work *w)
{
    inits = 0;
    w->h->shim->reset();
    w->h->shim->before_each("C_DecryptInit", refuse_data, w);
    expect(w, "forged data, and each operation stands", KFE_E_AUTH);
    w->h->shim->before_each("C_DecryptInit", NULL, NULL);
    w->h->shim->reset();
}

/* Data that is bad by a code which says nothing, and by what the token itself says. */
static void forged(struct work *w)
{
    const unsigned long opened = w->h->shim->calls("C_OpenSession");
    *forged_byte(w) ^= 1;
    for (int i = 0; i < 2; i++) {
        const unsigned long before = w->h->shim->calls(opening_call(w));
        expect(w, "forged data", KFE_E_AUTH);
        assert_in_range(w->h->shim->calls(opening_call(w)) - before, 1, 3);
    }
    assert_in_range(w->h->shim->calls("C_OpenSession") - opened, 0, 1); /* the first one */
    w->h->shim->inject(opening_call(w), SHIM_INSTEAD, CKR_FUNCTION_FAILED, 0, 1);
    expect(w, "forged data, and the operation stands", KFE_E_AUTH);
    if (w->kind != WORK_UNWRAP_RFC3394)
        forged_and_stuck(w);
    *forged_byte(w) ^= 1;
    expect(w, "good data", KFE_OK);
}

static void check(void **state, work_kind kind)
{
    struct work w;
    work_init(&w, *state, kind);
    opens_nothing(&w);
    busy_for_a_while(&w);
    forged(&w);
    begin_anew(&w); /* what is known to be good is made on the spot */
    opens_nothing(&w);
    begin_anew(&w);
    busy_for_a_while(&w);
    begin_anew(&w);
    forged(&w);
    work_wipe(&w);
}

#define WORK_TEST(name, kind)                                                                      \
    static void name(void **state)                                                                 \
    {                                                                                              \
        check(state, kind);                                                                        \
    }
WORK_TEST(test_gcm, WORK_UNWRAP_GCM)
WORK_TEST(test_rfc3394, WORK_UNWRAP_RFC3394)
WORK_TEST(test_rsa, WORK_UNWRAP_RSA)
WORK_TEST(test_field, WORK_OPEN)

/* Nothing has opened yet, and the key may make nothing: what is said twice is believed. */
static void test_nothing_known(void **state)
{
    static const uint8_t iv[12] = {1, 2, 3};
    struct wrap_rig rig;
    aes_import("kek", 1, 32, AES_DECRYPT);
    wrap_rig_open(&rig, *state);
    rig.wrapped[0] = 2;
    rig.len = 61;
    memcpy(rig.wrapped + 1, iv, sizeof(iv));
    aes_gcm_seal(32, (kfe_bytes){iv, sizeof(iv)}, wrap_aad, (kfe_bytes){wrap_secret, 32},
                 rig.wrapped + 13, rig.wrapped + 45);
    for (int i = 0; i < 2; i++) {
        rig.h->shim->inject("C_Decrypt", i == 0 ? SHIM_INSTEAD : SHIM_AFTER, CKR_FUNCTION_FAILED, 0,
                            ALWAYS);
        assert_int_equal(wrap_rig_unwrap(&rig), KFE_E_AUTH);
    }
    rig.h->shim->reset();
    wrap_rig_round(&rig);
    wrap_rig_wipe(&rig);
}

/* What opened under a key says nothing of another one that has its place now. */
static void test_another_key(void **state)
{
    struct wrap_rig rig;
    raw_token raw;
    CK_OBJECT_HANDLE key;
    aes_import("kek", 1, 32, AES_CRYPT);
    wrap_rig_open(&rig, *state);
    assert_int_equal(wrap_rig_wrap(&rig), KFE_OK);
    wrap_rig_round(&rig);
    raw_open(&raw);
    assert_int_equal(raw_count(&raw, CKO_SECRET_KEY, "kek", &key), 1);
    assert_int_equal(raw.calls->C_DestroyObject(raw.session, key), CKR_OK);
    raw_close(&raw);
    aes_import("kek", 1, 16, AES_CRYPT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wrap_rig_unwrap(&rig), KFE_E_AUTH);
    wrap_rig_wipe(&rig);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_gcm),   TOKEN_TEST(test_rfc3394),       TOKEN_TEST(test_rsa),
        TOKEN_TEST(test_field), TOKEN_TEST(test_nothing_known), TOKEN_TEST(test_another_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
