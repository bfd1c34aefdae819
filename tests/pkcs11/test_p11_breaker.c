/* SPDX-License-Identifier: Apache-2.0 */
/* How long does the breaker keep callers away, and what moves it? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkcs11/breaker.h"

/* One outage after which every try fails: the pauses, all with the same random number. */
static void pauses(uint32_t random, uint64_t out[10])
{
    kfe_p11_breaker b = {0};
    uint64_t now = 1000;
    for (int i = 0; i < 10; i++) {
        kfe_p11_breaker_fail(&b, now, random);
        assert_int_equal(b.state, KFE_P11_OPEN);
        assert_int_equal(b.since, 1000);
        out[i] = kfe_p11_breaker_wait(&b, now);
        now = b.next;
        assert_int_equal(kfe_p11_breaker_wait(&b, now), 0);
        kfe_p11_breaker_try(&b);
        assert_int_equal(b.state, KFE_P11_HALF_OPEN);
    }
}

static void test_pauses_double_up_to_a_limit(void **state)
{
    static const uint64_t longest[10] = {100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 2000};
    uint64_t got[10];
    (void)state;
    pauses(0, got);
    for (int i = 0; i < 10; i++)
        assert_int_equal(got[i], longest[i]);
}

static void test_pauses_are_jittered_by_half_at_most(void **state)
{
    static const uint64_t longest[10] = {100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 2000};
    uint64_t got[10];
    unsigned apart = 0;
    (void)state;
    for (uint32_t random = 1; random != 0 && random < UINT32_MAX / 3; random *= 3) {
        pauses(random, got);
        for (int i = 0; i < 10; i++) {
            assert_true(got[i] <= longest[i]);
            assert_true(got[i] >= longest[i] / 2);
            apart += got[i] != longest[i] ? 1 : 0;
        }
    }
    assert_true(apart > 100);
}

/* Calls that were under way when it opened fail one after the other. */
static void test_late_failures_put_nothing_off(void **state)
{
    kfe_p11_breaker b = {0};
    (void)state;
    kfe_p11_breaker_fail(&b, 1000, 0);
    for (uint64_t now = 1001; now < 1100; now++)
        kfe_p11_breaker_fail(&b, now, 0);
    assert_int_equal(b.next, 1100);
    assert_int_equal(b.failures, 1);
}

static void test_closing_forgets(void **state)
{
    kfe_p11_breaker b = {0};
    (void)state;
    for (uint64_t now = 1000; now < 60000; now += 10000) {
        kfe_p11_breaker_fail(&b, now, 0);
        kfe_p11_breaker_try(&b);
    }
    kfe_p11_breaker_close(&b);
    assert_int_equal(b.state, KFE_P11_CLOSED);
    kfe_p11_breaker_fail(&b, 90000, 0);
    assert_int_equal(b.since, 90000);
    assert_int_equal(b.next, 90100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_double_up_to_a_limit),
        cmocka_unit_test(test_pauses_are_jittered_by_half_at_most),
        cmocka_unit_test(test_late_failures_put_nothing_off),
        cmocka_unit_test(test_closing_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
