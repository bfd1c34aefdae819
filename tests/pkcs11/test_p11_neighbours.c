/* SPDX-License-Identifier: Apache-2.0 */
/* Is a module started again at once for one token that is lost, and not all the time while others
 * that it serves are well? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/neighbours.h"

enum { SLOTS = 12 };

/* What is in each slot; a blank label: it does not answer. */
static CK_TOKEN_INFO there[SLOTS];

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    assert_in_range(slot, 0, SLOTS - 1);
    *info = there[slot];
    return there[slot].label[0] == ' ' ? CKR_DEVICE_ERROR : CKR_OK;
}

static CK_FUNCTION_LIST calls = {.C_GetTokenInfo = get_token_info};

static CK_TOKEN_INFO named(char letter)
{
    CK_TOKEN_INFO token;
    memset(&token, ' ', sizeof(token));
    token.label[0] = (CK_UTF8CHAR)letter;
    return token;
}

/* 'a' in slot 0 and so on. */
static void serve(kfe_p11_neighbours *who, unsigned n)
{
    memset(who, 0, sizeof(*who));
    for (unsigned i = 0; i < SLOTS; i++)
        there[i] = named(' ');
    for (unsigned i = 0; i < n; i++) {
        there[i] = named((char)('a' + i));
        kfe_p11_neighbours_add(who, i, &there[i]);
    }
}

static bool allow(kfe_p11_neighbours *who, char lost, uint64_t now)
{
    const CK_TOKEN_INFO token = named(lost);
    return kfe_p11_neighbours_allow(who, &calls, &token, now);
}

/* When it is allowed, asked all the time from then on. */
static uint64_t when(kfe_p11_neighbours *who, uint64_t from)
{
    uint64_t now = from;
    while (!allow(who, 'a', now))
        now += 10;
    return now - from;
}

static void test_alone(void **state)
{
    (void)state;
    kfe_p11_neighbours who;
    serve(&who, 1);
    kfe_p11_neighbours_add(&who, 5, &there[0]); /* its other provider, or it moved */
    for (uint64_t now = 0; now < 100000; now += 10)
        assert_true(allow(&who, 'a', now));
}

static void test_ever_more_seldom(void **state)
{
    (void)state;
    kfe_p11_neighbours who;
    const uint64_t pauses[] = {0, 2000, 4000, 8000, 16000, 30000, 30000};
    serve(&who, 2);
    uint64_t now = 1; /* soon after the machine was started */
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        assert_int_equal(when(&who, now), pauses[i]);
        now += pauses[i];
    }
    now += 30000 + 60000; /* the same outage, whose tries take long */
    assert_int_equal(when(&who, now), 0);
    assert_int_equal(when(&who, now), 30000);
    now += 30000 + 30000 + 60010; /* another one */
    assert_int_equal(when(&who, now), 0);
    assert_int_equal(when(&who, now), 2000);
}

/* All of the module's are lost: nobody is there to lose anything. */
static void test_all_lost(void **state)
{
    (void)state;
    kfe_p11_neighbours who;
    serve(&who, 2);
    assert_true(allow(&who, 'a', 1000));
    assert_false(allow(&who, 'a', 1100));
    there[1] = named(' '); /* it does not answer */
    assert_true(allow(&who, 'a', 1200));
    there[1] = named('c'); /* another one has its slot */
    assert_true(allow(&who, 'a', 1300));
    there[1] = named('b'); /* it says so, but its user wants it back */
    assert_false(allow(&who, 'a', 1400));
    assert_true(allow(&who, 'b', 1500));
    assert_true(allow(&who, 'a', 1600));
    kfe_p11_neighbours_add(&who, 0, &there[0]); /* got back */
    assert_false(allow(&who, 'b', 1700));
}

static void test_gone_and_come(void **state)
{
    (void)state;
    kfe_p11_neighbours who;
    serve(&who, 2);
    assert_true(allow(&who, 'a', 1000));
    assert_false(allow(&who, 'a', 1100));
    kfe_p11_neighbours_forget(&who);
    assert_true(allow(&who, 'a', 1200));
    there[7] = named('b');
    kfe_p11_neighbours_add(&who, 7, &there[7]);
    assert_false(allow(&who, 'a', 1300));
}

static void test_many(void **state)
{
    (void)state;
    kfe_p11_neighbours who;
    serve(&who, SLOTS);
    assert_int_equal(who.n, KFE_P11_NEIGHBOURS_MAX);
    assert_true(allow(&who, 'a', 1000));
    assert_false(allow(&who, 'l', 1100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),    cmocka_unit_test(test_ever_more_seldom),
        cmocka_unit_test(test_all_lost), cmocka_unit_test(test_gone_and_come),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
