/* SPDX-License-Identifier: Apache-2.0 */
/* Do options, KeyManager and key references decide what is sealed, and what is taken? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "tests/unit/record_rig.h"

static void a_key_reference_wins(void **unused)
{
    (void)unused;
    rig r = rig_new(NULL);
    const kfe_key_ref current = {"tags", 0}, first = {"orders.k", 1}, missing = {"nobody", 0},
                      retired = {"old", 1};
    kfe_header headers[] = {header_of("a", "1"), header_of("b", "2")};
    headers[1].key_ref = &first;
    kfe_record plain = record_of("k", "v", headers, 2);
    plain.key_ref = &current;
    kit_record sealed, opened;
    assert_int_equal(pass(&r, &r, &plain, &sealed, &opened), KFE_OK);
    kfe_envelope_info info[KFE_GROUPS_MAX];
    size_t n = 0;
    assert_int_equal(kfe_inspect(&sealed.r, info, &n), KFE_OK);
    assert_int_equal(n, 2);
    assert_string_equal(info[0].key_name, "tags");
    assert_int_equal(info[0].header_map[0], 1);
    assert_string_equal(info[1].key_name, "orders.k");
    assert_int_equal(info[1].key_version, 1); /* as asked, not the current 2 */
    assert_int_equal(info[1].header_map[0], 2);
    assert_true(kit_same(&opened.r, &plain));
    kit_free(&sealed);
    kit_free(&opened);
    plain.key_ref = &missing;
    assert_int_equal(kit_seal(r.engine, &plain, &sealed), KFE_E_KEY_UNKNOWN);
    kit_free(&sealed);
    plain.key_ref = &retired;
    assert_int_equal(kit_seal(r.engine, &plain, &sealed), KFE_E_KEY_DENIED);
    kit_free(&sealed);
    rig_free(&r);
}

static void expect_seal(rig *r, const kfe_record *plain, kfe_error expected)
{
    kit_record sealed;
    assert_int_equal(kit_seal(r->engine, plain, &sealed), expected);
    assert_null(sealed.r.value.data);
    assert_true(kfe_error_detail()[0] != '\0');
    kit_free(&sealed);
}

static void what_cannot_be_sealed_is_an_error(void **unused)
{
    (void)unused;
    rig r = rig_new("encryption.encrypt.headers", "sealed", NULL);
    rig none = rig_new("encryption.keymanager.topics", "payments=orders.k", NULL);
    const kfe_key_ref tags = {"tags", 0}, bad = {"a\nb", 0};
    kfe_header reserved[] = {header_of("kfe", "x")};
    kfe_record plain = record_of("k", "v", reserved, 1);
    expect_seal(&r, &plain, KFE_E_RECORD);
    kfe_header twins[] = {header_of("h", "x"), header_of("h", "y")};
    twins[0].key_ref = &tags;
    plain = record_of("k", "v", twins, 2);
    expect_seal(&r, &plain, KFE_E_RECORD); /* a clear header under a sealed one's name */
    kfe_header *many = calloc(1025, sizeof(*many));
    for (int i = 0; i < 1025; i++)
        many[i] = header_of("h", "x");
    plain = record_of("k", "v", many, 1025);
    expect_seal(&r, &plain, KFE_E_RECORD);
    free(many);
    plain = record_of("k", "v", NULL, 0);
    expect_seal(&none, &plain, KFE_E_NO_KEY);
    twins[1].key_ref = &tags; /* a header's own key does not cover the value */
    plain = record_of("k", "v", twins, 2);
    expect_seal(&none, &plain, KFE_E_NO_KEY);
    plain.key_ref = &bad;
    expect_seal(&none, &plain, KFE_E_ARGUMENT);
    plain = (kfe_record){.value = kit_text("v")};
    expect_seal(&r, &plain, KFE_E_ARGUMENT); /* no topic */
    rig_free(&r);
    rig_free(&none);
}

static void clear_topics_must_be_listed(void **unused)
{
    (void)unused;
    rig listed = rig_new("encryption.unencrypted.topics", "ord.*", NULL);
    rig strict = rig_new(NULL);
    rig bare = rig_new("no manager", "", NULL);
    kfe_record plain = record_of("k", "v", NULL, 0);
    kit_record sealed, opened;
    assert_int_equal(pass(&listed, &listed, &plain, &sealed, &opened), KFE_OK);
    assert_true(kit_same(&sealed.r, &plain));
    assert_int_equal(opened.r.value_status, KFE_FIELD_CLEAR);
    kit_free(&sealed);
    kit_free(&opened);
    assert_int_equal(pass(&bare, &strict, &plain, &sealed, &opened), KFE_E_UNENCRYPTED);
    assert_true(kit_same(&sealed.r, &plain)); /* without KeyManager only what names its key */
    kit_free(&sealed);
    kit_free(&opened);
    const kfe_key_ref ref = {"tags", 0};
    plain.key_ref = &ref;
    assert_int_equal(pass(&bare, &bare, &plain, &sealed, &opened), KFE_OK);
    assert_int_equal(sealed.r.n_headers, 1);
    kit_free(&sealed);
    kit_free(&opened);
    rig_free(&listed);
    rig_free(&strict);
    rig_free(&bare);
}

static void uncovered_values_must_be_allowed(void **unused)
{
    (void)unused;
    rig from = rig_new("encryption.encrypt.values", "false", NULL);
    rig strict = rig_new(NULL);
    kfe_record plain = record_of("k", "v", NULL, 0);
    kit_record sealed, opened;
    assert_int_equal(pass(&from, &strict, &plain, &sealed, &opened), KFE_E_UNENCRYPTED);
    kit_free(&opened);
    assert_int_equal(kit_open(from.engine, &sealed.r, &opened), KFE_OK);
    assert_int_equal(opened.r.value_status, KFE_FIELD_CLEAR);
    assert_int_equal(opened.r.key_status, KFE_FIELD_OPENED);
    kit_free(&sealed);
    kit_free(&opened);
    rig_free(&from);
    rig_free(&strict);
}

static void suites_and_commitment_follow_the_consumer(void **unused)
{
    (void)unused;
    rig gcm128 = rig_new("encryption.algorithms", "A128GCM", NULL);
    rig gcm256 = rig_new(NULL);
    rig commits = rig_new("encryption.commit", "true", NULL);
    kfe_record plain = record_of("k", "v", NULL, 0);
    kit_record sealed, opened;
    assert_int_equal(pass(&gcm128, &gcm256, &plain, &sealed, &opened), KFE_E_SUITE);
    kit_free(&sealed);
    kit_free(&opened);
    assert_int_equal(pass(&gcm256, &commits, &plain, &sealed, &opened), KFE_E_AUTH);
    kit_free(&sealed);
    kit_free(&opened);
    assert_int_equal(pass(&commits, &gcm256, &plain, &sealed, &opened), KFE_OK);
    kit_free(&sealed);
    kit_free(&opened);
    rig_free(&gcm128);
    rig_free(&gcm256);
    rig_free(&commits);
}

static void topic_labels_bind_or_map(void **unused)
{
    (void)unused;
    rig exact = rig_new(NULL), none = rig_new("encryption.aad.topic", "none", NULL);
    rig mapped = rig_new("encryption.aad.topic.map", "mirror\\.(.*)=$1", NULL);
    kfe_record plain = record_of("k", "v", NULL, 0);
    struct {
        rig *from, *to;
        kfe_error expected;
    } cases[] = {{&exact, &exact, KFE_E_AUTH},
                 {&exact, &mapped, KFE_OK},
                 {&none, &none, KFE_OK},
                 {&none, &exact, KFE_E_AUTH}};
    for (int i = 0; i < 4; i++) {
        kit_record sealed, opened;
        assert_int_equal(kit_seal(cases[i].from->engine, &plain, &sealed), KFE_OK);
        sealed.r.topic = kit_text("mirror.orders");
        assert_int_equal(kit_open(cases[i].to->engine, &sealed.r, &opened), cases[i].expected);
        kit_free(&sealed);
        kit_free(&opened);
    }
    rig_free(&exact);
    rig_free(&none);
    rig_free(&mapped);
}

static void added_headers_follow_the_option(void **unused)
{
    (void)unused;
    static const char *const modes[] = {"refuse", "drop", "keep"};
    kfe_header headers[] = {header_of("a", "1")}, stored[4];
    kfe_record plain = record_of("k", "v", headers, 1);
    for (int i = 0; i < 6; i++) {
        rig r = rig_new("encryption.consumer.added.headers", modes[i % 3], NULL);
        kit_record sealed, opened;
        assert_int_equal(kit_seal(r.engine, &plain, &sealed), KFE_OK);
        memcpy(stored, sealed.r.headers, 2 * sizeof(*stored));
        stored[2] = header_of(i < 3 ? "trace" : "a", "t"); /* the second round: a covered name */
        sealed.r.headers = stored;
        sealed.r.n_headers = 3;
        bool fine = i % 3 == 1 || i == 2;
        assert_int_equal(kit_open(r.engine, &sealed.r, &opened), fine ? KFE_OK : KFE_E_AUTH);
        assert_int_equal(opened.r.n_headers, !fine ? 0 : i % 3 == 1 ? 1 : 2);
        if (i == 2)
            assert_int_equal(opened.r.headers[1].status, KFE_FIELD_CLEAR);
        kit_free(&sealed);
        kit_free(&opened);
        rig_free(&r);
    }
}

static void partial_opens_what_it_can(void **unused)
{
    (void)unused;
    const kit_key some[] = {{"tags", 1, {3}, NULL}};
    rig from = rig_new("encryption.keymanager.headers.key", "tags", NULL);
    rig all = rig_new(NULL);
    const char *path = kit_keystore("tags.json", some, 1);
    kfe_config *config = kit_config("encryption.keyprovider.class", "file",
                                    "encryption.keyprovider.file.path", path, NULL);
    kfe_engine *strict = kit_engine(config);
    kit_set(config, "encryption.consumer.partial", "true");
    kfe_engine *partial = kit_engine(config);
    const kfe_header headers[] = {header_of("route", "north")};
    kfe_record plain = record_of("k", "v", headers, 1);
    kit_record sealed, opened;
    assert_int_equal(pass(&from, &all, &plain, &sealed, &opened), KFE_OK);
    kit_free(&opened);
    assert_int_equal(kit_open(strict, &sealed.r, &opened), KFE_E_KEY_UNKNOWN);
    kit_free(&opened);
    assert_int_equal(kit_open(partial, &sealed.r, &opened), KFE_OK);
    assert_int_equal(opened.r.value_status, KFE_FIELD_SEALED);
    assert_int_equal(opened.r.key_status, KFE_FIELD_SEALED);
    assert_int_equal(opened.r.headers[0].status, KFE_FIELD_OPENED);
    assert_true(kit_same_bytes(opened.r.headers[0].value, kit_text("north")));
    assert_true(kit_same_bytes(opened.r.value, sealed.r.value)); /* as stored */
    kit_free(&opened);
    uint8_t *tag = (uint8_t *)(uintptr_t)sealed.r.headers[1].value.data;
    tag[sealed.r.headers[1].value.len - 1] ^= 1;
    assert_int_equal(kit_open(partial, &sealed.r, &opened), KFE_E_AUTH);
    kit_free(&opened);
    kit_free(&sealed);
    plain.n_headers = 0; /* then no group can be opened at all */
    assert_int_equal(kit_seal(from.engine, &plain, &sealed), KFE_OK);
    assert_int_equal(kit_open(partial, &sealed.r, &opened), KFE_E_KEY_UNKNOWN);
    kit_free(&sealed);
    kit_free(&opened);
    kfe_engine_free(strict);
    kfe_engine_free(partial);
    kfe_config_free(config);
    rig_free(&from);
    rig_free(&all);
}

/* One header at a time, however long that takes. */
static bool clash_plainly(const kfe_form *form, const uint8_t *map, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            if ((map[i / 8] >> i % 8 & 1) != 0 && (map[j / 8] >> j % 8 & 1) == 0 &&
                kit_same_bytes(form[i].name, form[j].name))
                return true;
    return false;
}

static void any_two_names_are_compared(void **unused)
{
    (void)unused;
    static char text[KFE_HEADERS_MAX][8];
    static kfe_form form[KFE_HEADERS_MAX];
    static const uint32_t numbers[] = {1, 2, 3, 4, 7, 40, 300, KFE_HEADERS_MAX};
    unsigned seen[2] = {0};
    for (unsigned round = 0; round < 400; round++) {
        uint32_t n = numbers[round % 8], different = 1 + kit_below(round % 3 ? 4 * n * n : n);
        uint8_t map[KFE_HEADERS_MAX / 8] = {0};
        for (uint32_t i = 0; i < n; i++) {
            int len = snprintf(text[i], sizeof(text[i]), "%x", kit_below(different) & 0xffffff);
            form[i].name = (kfe_bytes){(const uint8_t *)text[i], (size_t)(kit_below(9) ? len : 0)};
            map[i / 8] |= (uint8_t)(kit_below(2) << i % 8);
        }
        kfe_group group = {.env = {.map = map, .n_headers = n}};
        const kfe_plan plan = {.n_groups = 1, .groups = &group, .n_headers = n, .form = form};
        bool clash = clash_plainly(form, map, n);
        assert_int_equal(kfe_plan_names_clash(&plan), clash);
        seen[clash]++;
    }
    assert_true(seen[0] > 20 && seen[1] > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_reference_wins),
        cmocka_unit_test(what_cannot_be_sealed_is_an_error),
        cmocka_unit_test(clear_topics_must_be_listed),
        cmocka_unit_test(uncovered_values_must_be_allowed),
        cmocka_unit_test(suites_and_commitment_follow_the_consumer),
        cmocka_unit_test(topic_labels_bind_or_map),
        cmocka_unit_test(added_headers_follow_the_option),
        cmocka_unit_test(partial_opens_what_it_can),
        cmocka_unit_test(any_two_names_are_compared),
    };
    return cmocka_run_group_tests(tests, rig_set_up, NULL);
}
