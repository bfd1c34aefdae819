/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a provider that got fewer sessions than it wanted? */
#include "tests/pkcs11/ahead.h"
#include "tests/pkcs11/derive_rig.h"

enum { MINUTE_S = 60 };

static kfe_key_provider_statistics statistics(struct rig *rig)
{
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    rig->p->ops->statistics(rig->p, &s);
    return s;
}

static void derive_some(struct rig *rig)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_derive(rig), KFE_OK);
}

/* A provider whose workers have no session yet: it has found its key, no more. */
static void rig_init_idle(struct rig *rig, const test_token *h)
{
    const kfe_key_ref ref = {"k", 1};
    rig_init(rig, h);
    struct rig idle = *rig;
    assert_int_equal(kfe_pkcs11.open(&idle.p, h->config), KFE_OK);
    assert_int_equal(idle.p->ops->get_key(idle.p, &ref, &idle.key), KFE_OK);
    rig_wipe(rig);
    *rig = idle;
    h->shim->reset();
}

/* Another process has the sessions for a while. */
static void test_few_for_a_while(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init_idle(&rig, h);
    h->shim->inject("C_OpenSession", SHIM_INSTEAD, CKR_SESSION_COUNT, 0, 2);
    derive_some(&rig);
    assert_int_equal(h->shim->calls("C_OpenSession"), 2);
    unsigned before = (unsigned)statistics(&rig).sessions;
    ahead_s += MINUTE_S - 10;
    derive_some(&rig);
    assert_int_equal(h->shim->calls("C_OpenSession"), 2); /* it is not asked all the time */
    ahead_s += 11;
    derive_some(&rig);
    assert_int_equal(h->shim->calls("C_OpenSession"), 3);
    assert_int_equal(statistics(&rig).sessions, before + 1);
    rig_wipe(&rig);
}

/* The one session that there is cannot be changed for another, with the login in it, but by a new
 * login. */
static void test_the_only_one(void **state)
{
    static const CK_RV codes[] = {CKR_OPERATION_ACTIVE, CKR_VENDOR_DEFINED + 1};
    const test_token *h = *state;
    struct rig rig;
    rig_make_key(h);
    h->shim->reset();
    h->shim->limit(1);
    rig_open(&rig, h->config);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        unsigned long logins = h->shim->calls("C_Login");
        h->shim->inject("C_SignInit", SHIM_INSTEAD, codes[i], 0, 1);
        assert_int_equal(rig_derive(&rig), i == 0 ? KFE_OK : KFE_E_PROVIDER);
        derive_some(&rig);
        assert_int_equal(h->shim->calls("C_Login") - logins, 1);
    }
    assert_int_equal(h->shim->calls("C_Initialize"), 1); /* by open */
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    assert_int_equal(statistics(&rig).sessions, 1);
    rig_wipe(&rig);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_few_for_a_while),
        TOKEN_TEST(test_the_only_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
