/* SPDX-License-Identifier: Apache-2.0 */
/* Is every malformed envelope refused by its bytes alone, without a key? (Tags would refuse most of
 * them later; a reader of envelopes has no tags to rely on.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/envelope.h"
#include "engine/wire.h"
#include "tests/support/kit.h"

typedef struct {
    uint8_t bytes[4096];
    size_t len;
} buffer;

static const uint8_t salt[KFE_SALT_LEN] = {0xa0}, commitment[KFE_COMMIT_LEN] = {0xc0},
                     map[2] = {0xff, 0x01};

static kfe_envelope typical(void)
{
    return (kfe_envelope){.suite = KFE_A256GCM,
                          .key = KFE_KEY_DETERMINISTIC,
                          .value = KFE_VALUE_SEALED,
                          .n_groups = 1,
                          .n_headers = 9,
                          .map = map,
                          .name = kit_text("orders"),
                          .version = 300,
                          .det_name = kit_text("pin"),
                          .det_version = 7,
                          .session = {salt, KFE_SALT_LEN},
                          .commitment = commitment,
                          .counter = 0x010203040506};
}

static void put(buffer *b, const void *bytes, size_t len)
{
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static buffer write(const kfe_envelope *e)
{
    buffer b = {{0}, 0};
    b.len = (size_t)(kfe_envelope_write(b.bytes, e) - b.bytes);
    uint32_t fields = kfe_envelope_fields(e);
    b.len += KFE_TAG_LEN * (e->record_scope || fields == 0 ? 1 : fields);
    return b;
}

static kfe_error read(const buffer *b, kfe_envelope *e)
{
    return kfe_envelope_read((kfe_bytes){b->bytes, b->len}, e);
}

static void refused(const buffer *b)
{
    kfe_envelope e;
    assert_int_equal(read(b, &e), KFE_E_AUTH);
    assert_non_null(strstr(kfe_error_detail(), "malformed"));
}

static void what_is_written_is_read(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < 64; i++) {
        kfe_envelope e = typical(), got;
        e.record_scope = i & 1;
        e.commitment = i & 2 ? commitment : NULL;
        e.key = (kfe_key_cover)(i >> 2 & 3);
        e.value = (kfe_value_cover)((i >> 4) % 3);
        e.suite = (uint8_t)(1 + i % 3);
        e.det_name = i & 8 ? e.name : e.det_name;
        e.group = i % 5;
        e.n_groups = 5;
        buffer b = write(&e);
        assert_int_equal(read(&b, &got), KFE_OK);
        assert_int_equal(got.suite, e.suite);
        assert_int_equal(got.key, e.key);
        assert_int_equal(got.value, e.value);
        assert_int_equal(got.record_scope, e.record_scope);
        assert_int_equal(got.group, e.group);
        assert_int_equal(got.n_groups, e.n_groups);
        assert_int_equal(got.n_headers, 9);
        assert_int_equal(got.version, 300);
        assert_int_equal(got.counter, e.counter);
        assert_true(kit_same_bytes(got.name, e.name));
        assert_int_equal(got.commitment != NULL, e.commitment != NULL);
        if (e.key == KFE_KEY_DETERMINISTIC) {
            assert_true(kit_same_bytes(got.det_name, e.det_name));
            assert_int_equal(got.det_version, 7);
        }
    }
}

static void every_cut_and_every_growth(void **unused)
{
    (void)unused;
    kfe_envelope e = typical();
    buffer whole = write(&e);
    for (size_t len = 0; len < whole.len; len++) {
        buffer b = whole;
        b.len = len;
        refused(&b);
    }
    whole.len++;
    refused(&whole);
    kfe_envelope got;
    assert_int_equal(kfe_envelope_read((kfe_bytes){NULL, 0}, &got), KFE_E_AUTH);
}

static void bad_bytes_of_the_head(void **unused)
{
    (void)unused;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {{0, 0},    {0, 2},    {1, 0},    {1, 4},    {2, 0x0d}, {2, 0xc5},
                 {3, 0x10}, {3, 0xf0}, {4, 0x88}, {6, 0x02}, {6, 0x81}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        kfe_envelope e = typical();
        buffer b = write(&e);
        b.bytes[cases[i].at] = cases[i].value;
        refused(&b);
    }
}

/* Head, header map and whatever stands for the key reference; a salt, counter and tags behind. */
static buffer with_reference(uint8_t states, const void *reference, size_t len)
{
    const uint8_t head[] = {1, 1, states, 0, 0};
    buffer b = {{0}, 0};
    put(&b, head, sizeof(head));
    put(&b, reference, len);
    b.len += KFE_SALT_LEN + 6 + KFE_TAG_LEN;
    return b;
}

static void key_references(void **unused)
{
    (void)unused;
    kfe_envelope e;
    buffer good = with_reference(4, "\1k\1", 3);
    assert_int_equal(read(&good, &e), KFE_OK);
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\0\1", 2},                    /* no name */
        {"\1k\0", 3},                   /* version 0 */
        {"\1k\200\0", 4},               /* version 0, not minimal */
        {"\1k\201\0", 4},               /* version 1, not minimal */
        {"\201\0k\1", 4},               /* length not minimal */
        {"\1k\200\200\200\200\020", 7}, /* version 2^32 */
        {"\1k\377\377\377\377\377\1", 8},
        {"\1\n\1", 3},
        {"\1\177\1", 3},
        {"\1\200\1", 3},             /* not UTF-8 */
        {"\2\300\200\1", 4},         /* overlong */
        {"\3\355\240\200\1", 5},     /* a surrogate */
        {"\4\364\220\200\200\1", 6}, /* beyond U+10FFFF */
        {"\2\303\1", 3},             /* cut */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        buffer b = with_reference(4, bad[i].bytes, bad[i].len);
        refused(&b);
    }
    buffer largest = with_reference(4, "\1k\377\377\377\377\017", 7);
    assert_int_equal(read(&largest, &e), KFE_OK);
    assert_int_equal(e.version, UINT32_MAX);
}

static void deterministic_references(void **unused)
{
    (void)unused;
    kfe_envelope e;
    buffer own = with_reference(6, "\1k\1\0\3", 5), spelled = with_reference(6, "\1k\1\1k\3", 6),
           none = with_reference(6, "\1k\1\0\0", 5), other = with_reference(6, "\1k\1\1j\3", 6);
    assert_int_equal(read(&own, &e), KFE_OK);
    assert_true(kit_same_bytes(e.det_name, kit_text("k")));
    assert_int_equal(e.det_version, 3);
    assert_int_equal(read(&other, &e), KFE_OK);
    refused(&spelled);
    refused(&none);
}

static void sessions_of_other_kinds(void **unused)
{
    (void)unused;
    static const struct {
        uint8_t form;
        size_t len;
        bool good;
    } wrapped[] = {{1, 41, true},   {1, 40, false}, {1, 42, false}, {2, 61, true},
                   {2, 60, false},  {3, 257, true}, {3, 513, true}, {3, 256, false},
                   {3, 514, false}, {4, 41, false}, {0, 41, false}, {1, 0, false}};
    for (size_t i = 0; i < sizeof(wrapped) / sizeof(*wrapped); i++) {
        const uint8_t head[] = {1, 1, 0x45, 0, 0, 1, 'k', 1};
        uint8_t length[5];
        buffer b = {{0}, 0};
        put(&b, head, sizeof(head));
        put(&b, length, (size_t)(kfe_put_varint(length, (uint32_t)wrapped[i].len) - length));
        b.bytes[b.len] = wrapped[i].form;
        b.len += wrapped[i].len + 6 + 2 * KFE_TAG_LEN;
        kfe_envelope e;
        b.len -= KFE_TAG_LEN; /* states 5: key and value, but see below */
        b.bytes[2] = 0x44;    /* the value alone */
        assert_int_equal(read(&b, &e), wrapped[i].good ? KFE_OK : KFE_E_AUTH);
    }
    for (unsigned iv = 10; iv <= 18; iv++) {
        const uint8_t head[] = {1, 1, 0x84, 0, 0, 1, 'k', 1};
        buffer b = {{0}, 0};
        put(&b, head, sizeof(head));
        b.len += KFE_SALT_LEN;
        b.bytes[b.len++] = (uint8_t)iv;
        b.len += 6 + iv + KFE_TAG_LEN;
        kfe_envelope e;
        assert_int_equal(read(&b, &e), iv >= 12 && iv <= 16 ? KFE_OK : KFE_E_AUTH);
        b.bytes[1] = KFE_C20P1305;
        refused(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),  cmocka_unit_test(every_cut_and_every_growth),
        cmocka_unit_test(bad_bytes_of_the_head),    cmocka_unit_test(key_references),
        cmocka_unit_test(deterministic_references), cmocka_unit_test(sessions_of_other_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
