/* SPDX-License-Identifier: Apache-2.0 */
/* Does careless use fail closed: a reference without a name, a view without bytes, a provider or a
 * KeyManager that breaks its contract? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/work.h"
#include "tests/unit/record_rig.h"

static void expect(rig *r, const kfe_record *plain, kfe_error expected)
{
    kit_record sealed;
    assert_int_equal(kit_seal(r->engine, plain, &sealed), expected);
    assert_null(sealed.r.key.data);
    assert_null(sealed.r.value.data);
    assert_int_equal(sealed.r.n_headers, 0);
    kit_free(&sealed);
}

/* Without KeyManager a record with no reference may leave in clear; one with half a reference not.
 */
static void a_reference_without_a_name(void **unused)
{
    (void)unused;
    rig r = rig_new("no manager", "", NULL);
    const kfe_key_ref nobody = {NULL, 0}, empty = {"", 0};
    kfe_header headers[] = {header_of("h", "SECRET")};
    kfe_record plain = record_of("SECRET", "SECRET", headers, 1);
    plain.key_ref = &nobody;
    expect(&r, &plain, KFE_E_ARGUMENT);
    plain.key_ref = &empty;
    expect(&r, &plain, KFE_E_ARGUMENT);
    plain.key_ref = NULL;
    headers[0].key_ref = &nobody;
    expect(&r, &plain, KFE_E_ARGUMENT);
    rig_free(&r);
}

static void views_without_bytes(void **unused)
{
    (void)unused;
    static const char *const scopes[] = {"field", "record"};
    for (int s = 0; s < 2; s++) {
        rig r = rig_new("encryption.scope", scopes[s], NULL);
        kfe_header good = header_of("h", "v"), nameless = {.value = kit_text("v")};
        kfe_header hollow = {.name = kit_text("h"), .value = {NULL, 9}};
        kfe_record bad[] = {record_of("k", "v", NULL, 0),    record_of("k", "v", NULL, 0),
                            record_of("k", "v", &hollow, 1), record_of("k", "v", &nameless, 1),
                            record_of("k", "v", NULL, 0),    record_of("k", "v", &good, 1)};
        bad[0].key = (kfe_bytes){NULL, 5};
        bad[1].value = (kfe_bytes){NULL, 5};
        bad[4].topic = (kfe_bytes){NULL, 5};
        bad[5].headers = NULL;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
            /* Beside a good record: that one is sealed all the same. */
            kfe_record in[2] = {bad[i], record_of("k", "v", &good, 1)}, out[2];
            size_t cap = kfe_seal_space(in, 2, 0);
            void *space = malloc(cap);
            assert_int_equal(kfe_seal(r.engine, in, out, 2, space, cap, 0), KFE_E_ARGUMENT);
            assert_int_equal(out[0].error, KFE_E_ARGUMENT);
            assert_int_equal(out[1].error, KFE_OK);
            free(space);
            kit_record opened;
            assert_int_equal(kit_open(r.engine, &bad[i], &opened), KFE_E_ARGUMENT);
            kit_free(&opened);
        }
        rig_free(&r);
    }
}

/* Lengths that wrap the sum must not make it small. */
static void lengths_beyond_all_limits(void **unused)
{
    (void)unused;
    rig r = rig_new(NULL);
    static uint8_t long_value[9000];
    kfe_record in[2] = {record_of("k", "v", NULL, 0), record_of("k", NULL, NULL, 0)};
    in[1].value = (kfe_bytes){long_value, sizeof(long_value)};
    const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 9000, (size_t)1 << 63, (size_t)KFE_LEN_MAX + 1};
    for (int i = 0; i < 4; i++) {
        kfe_record out[2];
        in[0].value.len = lengths[i];
        size_t cap = kfe_seal_space(in, 2, 0);
        assert_in_range(cap, sizeof(long_value), 20000);
        uint8_t *space = malloc(cap);
        assert_int_equal(kfe_seal(r.engine, in, out, 2, space, cap, 0), KFE_E_RECORD);
        assert_int_equal(out[1].error, KFE_OK);
        assert_true(out[1].value.data + out[1].value.len <= space + cap);
        assert_true(kfe_open_space(in, 2, 0) >= sizeof(long_value));
        free(space);
    }
    rig_free(&r);
}

/* Also where nothing could be done at all, a record's old content is no result. */
static void every_record_has_its_error(void **unused)
{
    (void)unused;
    rig r = rig_new(NULL);
    uint8_t space[8];
    kfe_record both[2] = {record_of("k", "SECRET", NULL, 0), record_of("k", "SECRET", NULL, 0)};
    assert_int_equal(kfe_seal(r.engine, both, both, 2, space, sizeof(space), 0), KFE_E_SPACE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(both[i].error, KFE_E_SPACE);
        assert_null(both[i].value.data);
    }
    assert_int_equal(kfe_seal(r.engine, NULL, NULL, 0, NULL, 0, 0), KFE_OK);
    rig_free(&r);
}

/* encryption.encrypt.keys says that keys are sealed: no key for the record is then an error, also
 * where values may stay in clear. */
static void a_key_does_not_leave_in_clear(void **unused)
{
    (void)unused;
    rig r = rig_new("encryption.encrypt.values", "false", "encryption.keymanager.topics",
                    "other=orders.k", "encryption.keymanager.headers.key", "tags", NULL);
    kfe_header headers[] = {header_of("h", "v")};
    kfe_record plain = record_of("SECRET", "v", headers, 1);
    expect(&r, &plain, KFE_E_NO_KEY);
    rig_free(&r);
}

static void statuses_of_a_clear_record_are_our_own(void **unused)
{
    (void)unused;
    rig r = rig_new("encryption.unencrypted.topics", "orders", NULL);
    kfe_header headers[] = {header_of("h", "v")};
    headers[0].status = KFE_FIELD_OPENED;
    kfe_record plain = record_of("k", "v", headers, 1);
    plain.value_status = KFE_FIELD_OPENED;
    kit_record opened;
    assert_int_equal(kit_open(r.engine, &plain, &opened), KFE_OK);
    assert_int_equal(opened.r.value_status, KFE_FIELD_CLEAR);
    assert_int_equal(opened.r.headers[0].status, KFE_FIELD_CLEAR);
    assert_true(kit_same(&opened.r, &plain));
    kit_free(&opened);
    rig_free(&r);
}

static void inspect_tells_all_or_nothing(void **unused)
{
    (void)unused;
    rig r = rig_new("encryption.keymanager.headers.key", "tags", NULL);
    kfe_header headers[] = {header_of("h", "v")};
    kfe_record plain = record_of("k", "v", headers, 1);
    kit_record sealed;
    assert_int_equal(kit_seal(r.engine, &plain, &sealed), KFE_OK);
    ((uint8_t *)(uintptr_t)sealed.r.headers[1].value.data)[0] = 9;
    kfe_envelope_info info[KFE_GROUPS_MAX];
    size_t n = 7;
    assert_int_equal(kfe_inspect(&sealed.r, info, &n), KFE_E_AUTH);
    assert_int_equal(n, 0);
    assert_string_equal(info[0].key_name, "");
    kit_free(&sealed);
    rig_free(&r);
}

static void details_hold_no_control_characters(void **unused)
{
    (void)unused;
    static const char hostile[] = "a\nb\x1b[31m\x7f\xc2\x9b\x33\xc2\xa0\xc3\xa9";
    kfe_fail(KFE_E_AUTH, "%s", hostile);
    assert_string_equal(kfe_error_detail(), "a?b?[31m???3\xc2\xa0\xc3\xa9");
}

static void workspaces_are_aligned_and_shrink(void **unused)
{
    (void)unused;
    kfe_work *work = kfe_work_new();
    for (size_t i = 1; i < 100; i++)
        assert_int_equal((uintptr_t)kfe_work_take(work, i) % 16, 0);
    assert_non_null(kfe_work_take(work, (size_t)64 << 20));
    kfe_work_end(work);
    assert_true(work->call == NULL || work->call->size < (size_t)8 << 20);
    kfe_work_free(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_without_a_name),
        cmocka_unit_test(views_without_bytes),
        cmocka_unit_test(lengths_beyond_all_limits),
        cmocka_unit_test(every_record_has_its_error),
        cmocka_unit_test(a_key_does_not_leave_in_clear),
        cmocka_unit_test(statuses_of_a_clear_record_are_our_own),
        cmocka_unit_test(inspect_tells_all_or_nothing),
        cmocka_unit_test(details_hold_no_control_characters),
        cmocka_unit_test(workspaces_are_aligned_and_shrink),
    };
    return cmocka_run_group_tests(tests, rig_set_up, NULL);
}
