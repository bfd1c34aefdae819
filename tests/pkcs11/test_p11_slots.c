/* SPDX-License-Identifier: Apache-2.0 */
/* Is the token found among a module's slots, whatever the module says of their number? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/slot.h"

/* What the module answers to the question how many, then to that for a list. */
static struct {
    CK_ULONG n[8];
    CK_RV rv[8];
    unsigned asked;
    CK_SLOT_ID ours, twin; /* slots whose token matches; 0: none */
} module;

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *out, CK_ULONG *n)
{
    unsigned at = module.asked++;
    assert_true(present);
    assert_in_range(at, 0, 7);
    for (CK_ULONG i = 0; out != NULL && i < *n && i < module.n[at]; i++)
        out[i] = i + 1;
    *n = module.n[at];
    return module.rv[at];
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    assert_in_range(slot, 1, 100);
    memset(info, ' ', sizeof(*info));
    info->flags = CKF_TOKEN_INITIALIZED;
    if (slot == module.ours || slot == module.twin)
        memcpy(info->label, "kfe", 3);
    return CKR_OK;
}

static kfe_error find(CK_SLOT_ID *slot)
{
    CK_FUNCTION_LIST list = {.C_GetSlotList = get_slot_list, .C_GetTokenInfo = get_token_info};
    CK_TOKEN_INFO info;
    kfe_p11_uri uri;
    module.asked = 0;
    assert_int_equal(kfe_p11_uri_init(&uri, "pkcs11:token=kfe?module-path=/module.so"), KFE_OK);
    kfe_error err = kfe_p11_slot_find(&uri, &list, slot, &info);
    kfe_p11_uri_wipe(&uri);
    return err;
}

static void set(CK_ULONG count, CK_ULONG listed, CK_SLOT_ID ours)
{
    memset(&module, 0, sizeof(module));
    module.n[0] = count;
    module.n[1] = listed;
    module.ours = ours;
}

static void test_found(void **state)
{
    (void)state;
    CK_SLOT_ID slot = 0;
    set(3, 3, 2);
    assert_int_equal(find(&slot), KFE_OK);
    assert_int_equal(slot, 2);
    set(3, 4, 4); /* one was plugged in, and there was room for it */
    assert_int_equal(find(&slot), KFE_OK);
    assert_int_equal(slot, 4);
    set(3, 1, 2); /* one was pulled out */
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    set(0, 0, 1);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    set(3, 3, 2);
    module.twin = 3;
    assert_int_equal(find(&slot), KFE_E_CONFIG);
}

static void test_plugged_in_meanwhile(void **state)
{
    (void)state;
    CK_SLOT_ID slot = 0;
    set(1, 5, 5);
    module.rv[1] = CKR_BUFFER_TOO_SMALL;
    module.n[2] = module.n[3] = 5;
    assert_int_equal(find(&slot), KFE_OK);
    assert_int_equal(slot, 5);
    assert_int_equal(module.asked, 4);
}

/* Nothing is read where nothing was written. */
static void test_absurd_numbers(void **state)
{
    (void)state;
    CK_SLOT_ID slot = 0;
    set((CK_ULONG)-1, 1, 1);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    assert_int_equal(module.asked, 1);
    set(2, 100, 50);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    set(2, (CK_ULONG)-1, 1);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_plugged_in_meanwhile),
        cmocka_unit_test(test_absurd_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
