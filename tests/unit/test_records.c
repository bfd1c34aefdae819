/* SPDX-License-Identifier: Apache-2.0 */
/* What does an application see of sealing and opening? One question a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/record_rig.h"

static size_t varint_len(int64_t n)
{
    uint64_t zigzag = (uint64_t)n << 1;
    size_t len = 1;
    while (zigzag >>= 7)
        len++;
    return len;
}

/* Bytes of a record's key, value and headers in Kafka's format, lengths included. */
static size_t framed(const kfe_record *r)
{
    size_t n = varint_len((int64_t)r->key.len) + r->key.len + varint_len((int64_t)r->value.len) +
               r->value.len + varint_len((int64_t)r->n_headers);
    for (size_t i = 0; i < r->n_headers; i++)
        n += varint_len((int64_t)r->headers[i].name.len) + r->headers[i].name.len +
             varint_len((int64_t)r->headers[i].value.len) + r->headers[i].value.len;
    return n;
}

static void overhead_is_within_bounds(void **unused)
{
    (void)unused;
    static const size_t limits[] = {160, 64};
    static const char *const scopes[] = {"field", "record"};
    char key[101], value[301];
    memset(key, 'k', 100);
    memset(value, 'v', 300);
    key[100] = value[300] = '\0';
    kfe_header headers[5];
    for (int i = 0; i < 5; i++)
        headers[i] = header_of("hname", "value");
    kfe_record plain = record_of(key, value, headers, 5);
    for (int i = 0; i < 2; i++) {
        rig r = rig_new("encryption.scope", scopes[i], NULL);
        kit_record sealed;
        assert_int_equal(kit_seal(r.engine, &plain, &sealed), KFE_OK);
        size_t grown = framed(&sealed.r) - framed(&plain);
        print_message("%s scope: %zu bytes on KIP-317's record\n", scopes[i], grown);
        assert_true(grown <= limits[i]);
        kit_free(&sealed);
        rig_free(&r);
    }
}

static void null_and_empty_stay_apart(void **unused)
{
    (void)unused;
    static const char *const options[] = {"true", "false", "deterministic"};
    const kfe_header headers[] = {header_of("a", NULL), header_of("a", ""), header_of("b", "x")};
    for (int i = 0; i < 12; i++) {
        rig r = i % 3 < 2 ? rig_new("encryption.encrypt.keys", options[i % 3], NULL)
                          : rig_new("encryption.encrypt.keys", "deterministic",
                                    "encryption.keymanager.deterministic.key", "pin@1", NULL);
        kfe_record plain = record_of(i & 1 ? NULL : "", i & 2 ? NULL : "", headers, 3);
        kit_record sealed, opened;
        assert_int_equal(pass(&r, &r, &plain, &sealed, &opened), KFE_OK);
        assert_true(kit_same(&plain, &opened.r));
        assert_int_equal(sealed.r.value.data == NULL, plain.value.data == NULL); /* a tombstone */
        assert_int_equal(opened.r.value_status, KFE_FIELD_OPENED);
        kit_free(&sealed);
        kit_free(&opened);
        rig_free(&r);
    }
}

static void plaintext_is_not_in_the_sealed_record(void **unused)
{
    (void)unused;
    rig r = rig_new(NULL);
    const kfe_header headers[] = {header_of("name", "plaintext marker")};
    kfe_record plain = record_of("plaintext marker", "plaintext marker", headers, 1);
    kit_record sealed;
    assert_int_equal(kit_seal(r.engine, &plain, &sealed), KFE_OK);
    assert_int_equal(sealed.r.n_headers, 2);
    kfe_bytes fields[] = {sealed.r.key, sealed.r.value, sealed.r.headers[0].value,
                          sealed.r.headers[1].value};
    for (int i = 0; i < 4; i++)
        assert_null(memmem(fields[i].data, fields[i].len, "marker", 6));
    kit_free(&sealed);
    rig_free(&r);
}

static void deterministic_keys_stay_equal(void **unused)
{
    (void)unused;
    rig a = rig_new("encryption.encrypt.keys", "deterministic",
                    "encryption.keymanager.deterministic.key", "pin@1", NULL);
    rig b = rig_new("encryption.encrypt.keys", "deterministic", "encryption.algorithms",
                    "C20P1305,A256GCM", "encryption.scope", "record",
                    "encryption.keymanager.deterministic.key", "pin@1", NULL);
    kfe_record plain = record_of("customer 17", "x", NULL, 0), elsewhere = plain;
    elsewhere.topic = kit_text("payments");
    kit_record one, two, opened;
    assert_int_equal(kit_seal(a.engine, &plain, &one), KFE_OK);
    assert_int_equal(pass(&b, &b, &elsewhere, &two, &opened), KFE_OK);
    assert_true(kit_same_bytes(one.r.key, two.r.key));
    assert_int_equal(one.r.key.len, plain.key.len + 17);
    assert_true(kit_same_bytes(opened.r.key, plain.key));
    kit_free(&one);
    kit_free(&two);
    kit_free(&opened);
    rig_free(&a);
    rig_free(&b);
}

/* One bad record among n, at each place: it alone fails and its memory is zero; also in place. */
static void one_bad_among_many(void **unused)
{
    (void)unused;
    enum { N = 17 };
    rig r = rig_new(NULL);
    const kfe_header headers[] = {header_of("a", "header")};
    for (size_t bad = 0; bad < N; bad++) {
        kfe_record plain[N], stored[N], opened[N];
        for (size_t i = 0; i < N; i++) {
            plain[i] = record_of("some key", "some value", headers, 1);
            kit_record sealed;
            assert_int_equal(kit_seal(r.engine, &plain[i], &sealed), KFE_OK);
            stored[i] = kit_copy(&sealed.r);
            kit_free(&sealed);
        }
        kfe_record broken = stored[bad];
        ((uint8_t *)(uintptr_t)broken.value.data)[0] ^= 1;
        unsigned flags = bad % 2 ? KFE_IN_PLACE : 0;
        size_t cap = kfe_open_space(stored, N, flags);
        void *space = calloc(1, cap);
        assert_int_equal(kfe_open(r.engine, stored, opened, N, space, cap, flags), KFE_E_AUTH);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(opened[i].error, i == bad ? KFE_E_AUTH : KFE_OK);
            assert_true(i == bad ? opened[i].value.data == NULL : kit_same(&opened[i], &plain[i]));
        }
        static const uint8_t zero[16];
        if (flags & KFE_IN_PLACE) {
            assert_memory_equal(broken.key.data, zero, broken.key.len);
            assert_memory_equal(broken.value.data, zero, broken.value.len);
        }
        assert_null(memmem(space, cap, bad % 2 ? "some" : "\1some", 5 - bad % 2));
        free(space);
        for (size_t i = 0; i < N; i++)
            kit_drop(&stored[i]);
    }
    rig_free(&r);
}

/* Two envelopes under one (session, counter) would share nonces. */
static void no_counter_occurs_twice(void **unused)
{
    (void)unused;
    enum { N = 64, ROUNDS = 8 };
    rig r = rig_new(NULL);
    const kfe_key_ref first = {"orders.k", 1}, current = {"orders.k", 0};
    kfe_header headers[] = {header_of("a", "1"), header_of("b", "2")};
    headers[0].key_ref = &first;
    headers[1].key_ref = &current;
    static bool seen[4 * N * ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        kfe_record plain[N], sealed[N];
        for (size_t i = 0; i < N; i++)
            plain[i] = record_of("k", "v", headers, i % 3);
        size_t cap = kfe_seal_space(plain, N, 0);
        void *space = malloc(cap);
        assert_int_equal(kfe_seal(r.engine, plain, sealed, N, space, cap, 0), KFE_OK);
        for (size_t i = 0; i < N; i++) {
            kfe_envelope_info info[KFE_GROUPS_MAX];
            size_t n = 0;
            assert_int_equal(kfe_inspect(&sealed[i], info, &n), KFE_OK);
            for (size_t g = 0; g < n; g++) {
                unsigned version = info[g].key_version;
                assert_true(info[g].counter < 2 * N * ROUNDS);
                bool *mark = &seen[(version - 1) * 2 * N * ROUNDS + info[g].counter];
                assert_false(*mark);
                *mark = true;
            }
        }
        free(space);
    }
    rig_free(&r);
}

static void space_and_arguments_are_checked(void **unused)
{
    (void)unused;
    rig r = rig_new(NULL);
    kfe_record plain = record_of("k", "v", NULL, 0), out = {.error = KFE_OK};
    uint8_t space[4096];
    size_t cap = kfe_seal_space(&plain, 1, 0);
    assert_int_equal(kfe_seal(r.engine, &plain, &out, 1, space, cap - 1, 0), KFE_E_SPACE);
    assert_int_equal(kfe_seal(r.engine, &plain, NULL, 1, space, cap, 0), KFE_E_ARGUMENT);
    assert_int_equal(kfe_seal(NULL, &plain, &out, 1, space, cap, 0), KFE_E_ARGUMENT);
    assert_int_equal(kfe_open(r.engine, &plain, &out, 1, space, 0, 0), KFE_E_SPACE);
    assert_int_equal(kfe_seal(r.engine, NULL, NULL, 0, NULL, 1 << 20, 0), KFE_OK);
    /* `out` may be `in`, and no alignment is asked of the space. */
    for (size_t shift = 0; shift < 16; shift++) {
        kfe_record both = plain;
        assert_int_equal(kfe_seal(r.engine, &both, &both, 1, space + shift, cap, 0), KFE_OK);
        kit_record opened;
        assert_int_equal(kit_open(r.engine, &both, &opened), KFE_OK);
        assert_true(kit_same(&opened.r, &plain));
        kit_free(&opened);
    }
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overhead_is_within_bounds),
        cmocka_unit_test(null_and_empty_stay_apart),
        cmocka_unit_test(plaintext_is_not_in_the_sealed_record),
        cmocka_unit_test(deterministic_keys_stay_equal),
        cmocka_unit_test(one_bad_among_many),
        cmocka_unit_test(no_counter_occurs_twice),
        cmocka_unit_test(space_and_arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, rig_set_up, NULL);
}
