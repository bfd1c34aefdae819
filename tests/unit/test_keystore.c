/* SPDX-License-Identifier: Apache-2.0 */

/* Does the text of a key file come back as it was written, and is everything else refused? */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/keystore.h"
#include "engine/secret.h"

#define KEY64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ENTRY(name, version, state)                                                                \
    "{\"name\":\"" name "\",\"version\":" version ",\"state\":\"" state "\",\"key\":\"" KEY64 "\"" \
    "}"
#define ALL(entries) "{\"version\":1,\"keys\":[" entries "]}"

/* ---- Text to store --------------------------------------------------------------------------- */

static kfe_error read_text(const char *text, kfe_keystore **out)
{
    /* Memory of exactly this size: a sanitizer sees any step beyond. */
    size_t len = strlen(text);
    char *exact = malloc(len + (len == 0));
    memcpy(exact, text, len);
    kfe_error err = kfe_keystore_read(out, exact, len);
    free(exact);
    return err;
}

static void reads_keys(void **state)
{
    (void)state;
    kfe_keystore *store = NULL;
    const char *text = " {\r\n\t\"keys\" : [ " ENTRY("b", "2", "active") "," ENTRY(
        "a", "4294967295",
        "decrypt-only") ", {\"state\":\"destroyed\",\"version\":1,\"name\":\"b\"} ], "
                        "\"version\":1} \n";
    assert_int_equal(read_text(text, &store), KFE_OK);
    assert_int_equal(store->n, 3);
    assert_string_equal(store->keys[0].name, "a"); /* sorted */
    assert_int_equal(store->keys[0].state, KFE_KEY_DECRYPT_ONLY);
    assert_null(kfe_keystore_find(store, "b", 1)->master);
    assert_int_equal(kfe_keystore_find(store, "b", 2)->master->key[31], 31);
    assert_null(kfe_keystore_find(store, "b", 3));
    assert_null(kfe_keystore_find(store, "c", 1));
    assert_int_equal(kfe_keystore_newest(store, "b")->version, 2);
    assert_int_equal(kfe_keystore_newest(store, "a")->version, UINT32_MAX);
    assert_null(kfe_keystore_newest(store, "aa"));
    assert_null(kfe_keystore_newest(store, ""));
    assert_null(kfe_keystore_newest(store, "z"));
    assert_int_equal(kfe_keystore_current(store, "b")->version, 2);
    assert_null(kfe_keystore_current(store, "a"));
    kfe_keystore_free(store);
    assert_int_equal(read_text(ALL(""), &store), KFE_OK);
    assert_int_equal(store->n, 0);
    assert_null(kfe_keystore_newest(store, "a"));
    kfe_keystore_free(store);
    kfe_keystore_free(NULL);
}

static const char *const bad[] = {
    "",
    " ",
    "null",
    "[]",
    "{}",
    "{",
    "1",
    "\"\"",
    "{\"version\":1}",
    "{\"keys\":[]}",
    "{\"version\":2,\"keys\":[]}",
    "{\"version\":0,\"keys\":[]}",
    "{\"version\":\"1\",\"keys\":[]}",
    "{\"version\":1.0,\"keys\":[]}",
    "{\"version\":01,\"keys\":[]}",
    "{\"version\":1e0,\"keys\":[]}",
    "{\"version\":-1,\"keys\":[]}",
    "{\"version\":4294967297,\"keys\":[]}",
    "{\"version\":18446744073709551617,\"keys\":[]}",
    "{\"version\":1,\"version\":1,\"keys\":[]}",
    "{\"version\":1,\"keys\":[],\"keys\":[]}",
    "{\"version\":1,\"keys\":{}}",
    "{\"version\":1,\"keys\":null}",
    "{\"version\":1,\"keys\":[],\"more\":1}",
    "{\"Version\":1,\"keys\":[]}",
    "{\"version\":1,\"keys\":[],}",
    "{,\"version\":1,\"keys\":[]}",
    "{\"version\":1 \"keys\":[]}",
    "{\"version\" 1,\"keys\":[]}",
    "{version:1,\"keys\":[]}",
    ALL("") "x",
    ALL("") "{}",
    "\xef\xbb\xbf" ALL(""),
    ALL(","),
    ALL("1"),
    ALL("[]"),
    ALL("{}"),
    "{\"version\":1,\"sealed\":{}}", /* a box within a box */
    ALL(ENTRY("a", "1", "active") ","),
    ALL(ENTRY("a", "1", "active") ENTRY("b", "1", "active")),
    ALL(ENTRY("a", "1", "active") "," ENTRY("a", "1", "active")),
    ALL(ENTRY("a", "1", "active") ",{\"name\":\"a\",\"version\":1,\"state\":\"destroyed\"}"),
    ALL(ENTRY("a", "0", "active")),
    ALL(ENTRY("a", "4294967296", "active")),
    ALL(ENTRY("a", "-1", "active")),
    ALL(ENTRY("a", "1.5", "active")),
    ALL(ENTRY("a", "\"1\"", "active")),
    ALL(ENTRY("a", "true", "active")),
    ALL(ENTRY("a", "1", "Active")),
    ALL(ENTRY("a", "1", "")),
    ALL(ENTRY("a", "1", "destroyed")),
    ALL(ENTRY("a", "1", "retired")),
    ALL(ENTRY("", "1", "active")),
    ALL(ENTRY("a\\u0000b", "1", "active")),
    ALL(ENTRY("a\\nb", "1", "active")),
    ALL(ENTRY("a\nb", "1", "active")),
    ALL(ENTRY("\xff", "1", "active")),
    ALL(ENTRY("\\ud800", "1", "active")),
    ALL(ENTRY("\\ud800x", "1", "active")),
    ALL(ENTRY("\\udc00\\ud800", "1", "active")),
    ALL(ENTRY("\\ud800\\u0041", "1", "active")),
    ALL(ENTRY("\\x41", "1", "active")),
    ALL(ENTRY("\\u00g1", "1", "active")),
    ALL(ENTRY("\\u004", "1", "active")),
    ALL(ENTRY("a\\", "1", "active")),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"key\":\"" KEY64 "\"}"),
    ALL("{\"name\":\"a\",\"state\":\"active\",\"key\":\"" KEY64 "\"}"),
    ALL("{\"version\":1,\"state\":\"active\",\"key\":\"" KEY64 "\"}"),
    ALL("{\"name\":\"a\",\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":\"" KEY64 "\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":\"" KEY64 "\",\"note\":\"\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":\"\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":null}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":\"AAAA\"}"),
    /* 31 bytes, 33 bytes, letters that are none, unused bits, an escape for a letter */
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":"
        "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":"
        "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":"
        "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka*xwdHh8=\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":"
        "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\"}"),
    ALL("{\"name\":\"a\",\"version\":1,\"state\":\"active\",\"key\":"
        "\"\\u0041AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}"),
};

static void refuses_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        kfe_keystore *store = NULL;
        kfe_error err = read_text(bad[i], &store);
        if (err != KFE_E_CONFIG)
            fail_msg("taken with %s: %s", kfe_error_name(err), bad[i]);
        assert_null(store);
        assert_null(strstr(kfe_error_detail(), "AAEC")); /* no piece of a key in a message */
    }
    kfe_keystore *store = NULL; /* a NUL is no blank */
    assert_int_equal(kfe_keystore_read(&store, ALL(""), sizeof(ALL(""))), KFE_E_CONFIG);
}

static void names(void **state)
{
    (void)state;
    char longest[KFE_NAME_MAX + 1], text[1024];
    memset(longest, 'n', KFE_NAME_MAX);
    longest[KFE_NAME_MAX] = '\0';
    kfe_keystore *store = NULL;
    (void)snprintf(text, sizeof(text), ALL(ENTRY("%s", "1", "active")), longest);
    assert_int_equal(read_text(text, &store), KFE_OK);
    kfe_keystore_free(store);
    (void)snprintf(text, sizeof(text), ALL(ENTRY("%sn", "1", "active")), longest);
    assert_int_equal(read_text(text, &store), KFE_E_CONFIG);
    assert_int_equal(
        read_text(ALL(ENTRY("\\\"\\\\\\/k\\u00f6\\uD83D\\udd11\xc3\xb6", "1", "active")), &store),
        KFE_OK);
    assert_string_equal(store->keys[0].name, "\"\\/k\xc3\xb6\xf0\x9f\x94\x91\xc3\xb6");
    char *out = NULL;
    size_t len = 0;
    assert_int_equal(kfe_keystore_write(store, &out, &len), KFE_OK);
    kfe_keystore *back = NULL;
    assert_int_equal(kfe_keystore_read(&back, out, len), KFE_OK);
    assert_string_equal(back->keys[0].name, store->keys[0].name);
    kfe_secret_text_free(out);
    kfe_keystore_free(back);
    kfe_keystore_free(store);
}

static kfe_keystore *some_keys(size_t n)
{
    kfe_keystore *store = NULL;
    assert_int_equal(kfe_keystore_new(&store), KFE_OK);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "key-%zu", i * 7919 % n / 3);
        assert_int_equal(kfe_keystore_add(store, name, (uint32_t)i + 1, NULL), KFE_OK);
    }
    for (size_t i = 0; i < n; i++)
        store->keys[i].state = i % 3 == 0 ? KFE_KEY_ACTIVE : KFE_KEY_DECRYPT_ONLY;
    return store;
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    kfe_keystore *store = some_keys(200), *back = NULL;
    kfe_master_free(store->keys[5].master);
    store->keys[5].master = NULL;
    store->keys[5].state = KFE_KEY_DESTROYED;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(kfe_keystore_write(store, &text, &len), KFE_OK);
    assert_int_equal(kfe_keystore_read(&back, text, len), KFE_OK);
    assert_int_equal(back->n, store->n);
    for (size_t i = 0; i < store->n; i++) {
        const kfe_keystore_key *a = &store->keys[i], *b = &back->keys[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->version, b->version);
        assert_int_equal(a->state, b->state);
        if (i == 5)
            assert_null(b->master);
        else
            assert_memory_equal(a->master->key, b->master->key, 32);
    }
    assert_memory_not_equal(store->keys[0].master->key, store->keys[1].master->key, 32);
    kfe_secret_text_free(text);
    kfe_keystore_free(back);
    kfe_keystore_free(store);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    kfe_keystore *store = some_keys(4), *back = NULL;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(kfe_keystore_write(store, &text, &len), KFE_OK);
    for (size_t cut = 0; cut < len; cut++) {
        char *exact = malloc(cut + (cut == 0));
        memcpy(exact, text, cut);
        assert_int_equal(kfe_keystore_read(&back, exact, cut), KFE_E_CONFIG);
        free(exact);
    }
    /* Any one byte changed to any other: taken or refused, but nothing worse. */
    for (size_t i = 0; i < len; i++)
        for (int c = 1; c < 256; c += 2) {
            text[i] = (char)(text[i] ^ c);
            kfe_error err = kfe_keystore_read(&back, text, len);
            text[i] = (char)(text[i] ^ c);
            assert_true(err == KFE_OK || err == KFE_E_CONFIG);
            if (err == KFE_OK)
                kfe_keystore_free(back);
        }
    kfe_secret_text_free(text);
    kfe_keystore_free(store);
}

static void masters(void **state)
{
    (void)state;
    kfe_master *master = kfe_master_new();
    assert_true(kfe_master_alive(master));
    assert_false(kfe_master_alive(NULL));
    kfe_master *copy = kfe_master_copy(master);
    assert_true(copy != master && kfe_master_alive(copy));
    kfe_master_free(copy);
    master->mark = 0; /* as after a fork */
    assert_null(kfe_master_copy(master));
    kfe_master_free(master);
    kfe_master_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_keys),
        cmocka_unit_test(refuses_text),
        cmocka_unit_test(names),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(masters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
