/* SPDX-License-Identifier: Apache-2.0 */

/* Does the file KeyProvider survive each allocation that fails, with an error that says so and
 * the file as it was or as it should be? The linker sends our own allocations through here. */

#include "tests/unit/file_provider.h"

static unsigned countdown; /* the allocation that fails; 0: none */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static kfe_error ignore(void *arg, const kfe_key_info *info)
{
    (void)arg;
    return info->version > 0 ? KFE_OK : KFE_E_ARGUMENT;
}

static kfe_error whole_life(const kfe_config *with)
{
    kfe_key_provider *made = NULL;
    uint8_t out[32];
    uint32_t version = 0;
    kfe_error err = ops->open(&made, with);
    if (err)
        return err;
    err = ops->create(made, "more");
    if (err == KFE_OK)
        err = ops->rotate(made, "more", &version);
    if (err == KFE_OK)
        err = derive(made, "more", 2, out, NULL);
    if (err == KFE_OK)
        err = ops->list(made, ignore, NULL);
    ops->free(made);
    return err;
}

/* Fails the first, the second, ... allocation until none is left; returns how many there are. */
static unsigned each_allocation(const kfe_config *with, const char *file)
{
    for (unsigned n = 1;; n++) {
        assert_true(n < 1000);
        put(file);
        countdown = n;
        kfe_error err = whole_life(with);
        unsigned left = countdown;
        countdown = 0;
        if (left > 0) {
            assert_int_equal(err, KFE_OK);
            return n - 1;
        }
        assert_int_equal(err, KFE_E_MEMORY);
        assert_true(says("memory"));
        char next[128];
        (void)snprintf(next, sizeof(next), "%s.new", path);
        assert_int_equal(access(next, F_OK), -1);
        kfe_key_provider *after = NULL; /* the file is good */
        assert_int_equal(ops->open(&after, with), KFE_OK);
        ops->free(after);
    }
}

static void plain(void **state)
{
    (void)state;
    kfe_config *with = config_of(NULL);
    assert_true(each_allocation(with, ONE_KEY) > 20);
    kfe_config_free(with);
}

/* Made elsewhere with log2 N = 14 (tests/unit/test_keyseal.c), so that many runs are quick. */
static void sealed(void **state)
{
    (void)state;
    static const char box[] =
        "{\"version\":1,\"sealed\":{\"kdf\":\"scrypt\",\"log2_n\":14,\"r\":8,\"p\":1,\"salt\":"
        "\"AAECAwQFBgcICQoLDA0ODw==\",\"cipher\":\"A256GCM\",\"nonce\":\"AAECAwQFBgcICQoL\","
        "\"data\":"
        "\"3yms1js/nCPQzSAC2aiXbLYyRZretiy73Vq8QjjDjVlohhbct+3DqD0B4JZHxqQ5BzFojSl24S0VD91VbR7q"
        "WdqDpNb1Prz415qi8rWKwub3735gHXJzOu4RlyUTOYQN25DUE9c4eFk5TtOt9c60573ThEOPn4hyZGm2Jlf0ksWR"
        "6VNYf1EtXGCcN2Kb+8OggB8pjBRjjHkm9pT8dxso8Ms7rF5Ik3XS62m6vqN971rPsCNK14h8UCg240p7Wz6ZgtjN"
        "+qJXdl6UneGB/hOdldL6jCsKf0fDhdy/jLUSrjSpmV9hyC56eZk6p6doCYekxYpXLuxdFJ7D/sN8KKYLVykNzXyJ"
        "dQnzmU8=\"}}";
    kfe_config *with = config_of("env:KFE_TEST_PASSPHRASE");
    assert_int_equal(setenv("KFE_TEST_PASSPHRASE", "correct horse", 1), 0);
    assert_true(each_allocation(with, box) > 20);
    kfe_config_free(with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(sealed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
