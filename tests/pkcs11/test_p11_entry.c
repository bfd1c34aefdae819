/* SPDX-License-Identifier: Apache-2.0 */
/* What does a code do that is said before the work has begun? */
#include <string.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/rows.h"

enum { ALWAYS = 1000000 };

/* A token that is busy for a moment when our own object is looked at, or a session opened: once
 * more, and no outage; also of what writes, as nothing was done. Said twice, it is one. */
static void entry(struct work *w, const table_row *row, const char *function, bool dead)
{
    const shim_table *shim = w->h->shim;
    const bool opens = strcmp(function, "C_OpenSession") == 0;
    for (unsigned count = 1; count <= 2; count++) {
        shim->reset();
        if (opens) /* the session that there is, is replaced */
            shim->inject("C_SignInit", SHIM_INSTEAD, CKR_OPERATION_ACTIVE, 0, 1);
        shim->inject(function, SHIM_INSTEAD, row->rv, 0, count);
        if (dead)
            shim->inject("C_GetTokenInfo", SHIM_INSTEAD, CKR_DEVICE_ERROR, 0, ALWAYS);
        kfe_error err = work_do(w);
        const bool outage = dead || count > 1;
        if (err != (outage ? KFE_E_PROVIDER : KFE_OK))
            fail_msg("%s: %s 0x%lx, %u times: %s: %s", work_name(w->kind), function, row->rv, count,
                     kfe_error_name(err), kfe_error_detail());
        assert_int_equal(work_statistics(w).breaker == KFE_BREAKER_CLOSED, !outage);
        assert_int_equal(shim->calls("C_Login"), 0);
        if (opens)
            assert_int_equal(shim->calls(function), dead ? 1 : 2);
        shim->reset();
        assert_int_equal(work_do_again(w), KFE_OK);
    }
}

static void check_entry(void **state, work_kind kind)
{
    struct work w;
    work_init(&w, *state, kind);
    for (const table_row *row = row_table; row < row_table + row_n; row++) {
        if (row->is[USES] != DOUBT)
            continue;
        entry(&w, row, "C_GetAttributeValue", false);
        if (kind != WORK_DERIVE)
            continue;
        entry(&w, row, "C_OpenSession", false);
        entry(&w, row, "C_GetAttributeValue", true);
        entry(&w, row, "C_OpenSession", true);
    }
    work_wipe(&w);
}

static void test_entry(void **state)
{
    check_entry(state, WORK_DERIVE);
}

static void test_entry_to_make(void **state)
{
    check_entry(state, WORK_MAKE);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_entry),
        TOKEN_TEST(test_entry_to_make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
