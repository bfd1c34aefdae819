/* SPDX-License-Identifier: Apache-2.0 */
/* Is the token found among a module's slots, whatever the module says of their number? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    CK_SLOT_ID dead;       /* it has a token that does not answer */
    const char *serial;    /* of both; NULL: their slots' numbers */
    unsigned differ;       /* where the twin does: 1 model, 2 manufacturer, 3 serial */
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
    char serial[24];
    memset(info, ' ', sizeof(*info));
    info->flags = CKF_TOKEN_INITIALIZED;
    const bool ours = slot == module.ours || slot == module.twin;
    memcpy(info->label, ours ? "kfe" : "a b", 3);
    snprintf(serial, sizeof(serial), "%08lu", slot);
    const char *text = ours && module.serial ? module.serial : serial;
    memcpy(info->serialNumber, text, strlen(text));
    CK_UTF8CHAR *const at[] = {info->label, info->model, info->manufacturerID, info->serialNumber};
    if (slot == module.twin && module.differ > 0)
        at[module.differ][15] = '2';
    return slot == module.dead ? CKR_DEVICE_ERROR : CKR_OK;
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

/* So do clients of an HSM that show it in a slot for each way to it. */
static void test_one_in_two_slots(void **state)
{
    (void)state;
    CK_SLOT_ID slot = 0;
    set(4, 4, 2);
    module.twin = 4;
    module.serial = "4711";
    assert_int_equal(find(&slot), KFE_OK);
    assert_int_equal(slot, 2);
    module.dead = 2;
    assert_int_equal(find(&slot), KFE_OK);
    assert_int_equal(slot, 4);
    module.dead = 0;
    for (module.differ = 1; module.differ <= 3; module.differ++) {
        assert_int_equal(find(&slot), KFE_E_CONFIG);
        assert_non_null(strstr(kfe_error_detail(), "2 tokens match"));
    }
    module.differ = 0;
    module.serial = "0000000000000000"; /* which tokens without one show, too */
    assert_int_equal(find(&slot), KFE_E_CONFIG);
    module.serial = "";
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

static void assert_detail(const char *part)
{
    if (strstr(kfe_error_detail(), part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, kfe_error_detail());
}

/* Whoever named none, or several, sees the URIs to choose from: whole ones, as many as have room.
 */
static void test_named(void **state)
{
    (void)state;
    CK_SLOT_ID slot = 0;
    set(4, 4, 2);
    module.twin = 4;
    assert_int_equal(find(&slot), KFE_E_CONFIG);
    assert_detail("2 tokens match");
    assert_detail(": pkcs11:serial=00000002;token=kfe, pkcs11:serial=00000004;token=kfe");
    set(2, 2, 0);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    assert_detail(
        "there is pkcs11:serial=00000001;token=a%20b, pkcs11:serial=00000002;token=a%20b");
    set(50, 50, 0);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    const char *end = strrchr(kfe_error_detail(), ';');
    assert_non_null(end);
    assert_string_equal(end, ";token=a%20b");
    set(0, 0, 0);
    assert_int_equal(find(&slot), KFE_E_PROVIDER);
    assert_detail("/module.so shows no token");
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
        cmocka_unit_test(test_one_in_two_slots),
        cmocka_unit_test(test_plugged_in_meanwhile),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_absurd_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
