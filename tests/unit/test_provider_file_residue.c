/* SPDX-License-Identifier: Apache-2.0 */

/* Where in the whole writable memory of the process is a key, as bytes or as base64, while its
 * provider is open, and afterwards? */

#include "tests/unit/file_provider.h"

#include "engine/base64.h"

enum { WINDOW = 16, MASK = 0x5c };

/* What is looked for, masked, so that the search does not find itself. */
static uint8_t raw[32], text[44];

static void learn_key(void)
{
    static char file[4096];
    uint8_t key[32];
    size_t made = 0;
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, file, sizeof(file) - 1);
    (void)close(fd);
    assert_true(n > 0);
    char *at = strstr(file, "\"key\":\"");
    assert_non_null(at);
    at += 7;
    assert_true(kfe_base64_decode(at, 44, key, 32, &made) && made == 32);
    for (size_t i = 0; i < 32; i++)
        raw[i] = key[i] ^ MASK;
    for (size_t i = 0; i < 44; i++)
        text[i] = (uint8_t)at[i] ^ MASK;
    kfe_wipe(key, sizeof(key));
    kfe_wipe(file, sizeof(file));
}

__attribute__((no_sanitize("address"))) static bool matches(const volatile uint8_t *at,
                                                            const uint8_t *masked)
{
    for (size_t i = 0; i < WINDOW; i++)
        if ((at[i] ^ MASK) != masked[i])
            return false;
    return true;
}

/* Windows of the key at `at`: both halves of the bytes, and any whole part of the text. */
static bool any_window(const volatile uint8_t *at)
{
    if (matches(at, raw) || matches(at, raw + 16))
        return true;
    for (size_t i = 0; i + WINDOW < sizeof(text); i += 4)
        if (matches(at, text + i))
            return true;
    return false;
}

/* Hits in every writable mapping but those that are kept out of cores; these count apart. */
static void count_hits(size_t *ordinary, size_t *secret)
{
    static char line[512];
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    size_t hits = 0;
    unsigned long from, to;
    char r, w;
    *ordinary = *secret = 0;
    while (fgets(line, sizeof(line), smaps) != NULL) {
        if (sscanf(line, "%lx-%lx %c%c", &from, &to, &r, &w) == 4) {
            hits = 0;
            bool io = strstr(line, "[vvar") != NULL || strstr(line, "[vsyscall") != NULL;
            for (uintptr_t at = from; r == 'r' && w == 'w' && !io && at + WINDOW <= to; at++)
                hits += any_window((const volatile uint8_t *)at);
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            *(strstr(line, " dd") != NULL ? secret : ordinary) += hits;
        }
    }
    (void)fclose(smaps);
}

static void keys_stay_in_their_place(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("skipped: a sanitizer's shadow memory is too large to be searched\n");
    skip();
#endif
    size_t ordinary = 0, secret = 0;
    uint32_t version = 0;
    assert_int_equal(ops->create(keys, "orders"), KFE_OK);
    learn_key();
    count_hits(&ordinary, &secret);
    assert_int_equal(ordinary, 0);
    assert_int_equal(look("orders", 1), KFE_OK);
    assert_int_equal(ops->rotate(keys, "orders", &version), KFE_OK);
    assert_int_equal(look("orders", 1), KFE_OK);
    count_hits(&ordinary, &secret);
    assert_int_equal(ordinary, 0);
    assert_true(secret > 0); /* the search does find what is there */
    put("{\"version\":1,\"keys\":[]}");
    assert_int_equal(look("orders", 1), KFE_E_KEY_UNKNOWN);
    count_hits(&ordinary, &secret);
    assert_int_equal(ordinary, 0);
    assert_int_equal(secret, 0);
}

/* A text that turns out broken at its very end has been read up to there. */
static void nor_after_a_failure(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    static char file[4096];
    size_t ordinary = 0, secret = 0;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ops->create(keys, "orders"), KFE_OK);
    learn_key();
    int fd = open(path, O_RDWR);
    ssize_t n = read(fd, file, sizeof(file) - 1);
    kfe_wipe(file, sizeof(file));
    assert_int_equal(ftruncate(fd, n - 1), 0);
    (void)close(fd);
    assert_int_equal(look("orders", 1), KFE_E_CONFIG);
    count_hits(&ordinary, &secret);
    assert_int_equal(ordinary, 0);
    assert_int_equal(secret, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_stay_in_their_place),
        cmocka_unit_test(nor_after_a_failure),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
