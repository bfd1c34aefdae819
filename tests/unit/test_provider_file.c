/* SPDX-License-Identifier: Apache-2.0 */

/* Does the file KeyProvider hand out the right key, follow its file at once, and never give an
 * old, destroyed or zeroed one? */

#include "tests/unit/file_provider.h"

/* ---- The life of a key ---- */

static void missing_file(void **state)
{
    (void)state;
    kfe_key *key = NULL;
    const kfe_key_ref ref = {"orders", 1};
    uint32_t version = 7;
    assert_int_equal(ops->get_key(keys, &ref, &key), KFE_E_PROVIDER);
    assert_true(says("kfe keys create") && says(path));
    assert_int_equal(ops->get_current_key(keys, "orders", &key), KFE_E_PROVIDER);
    assert_int_equal(ops->list(keys, NULL, NULL), KFE_E_PROVIDER);
    assert_int_equal(ops->rotate(keys, "orders", &version), KFE_E_IO);
    assert_true(says("kfe keys create"));
    assert_int_equal(set_state("orders", 1, KFE_KEY_DESTROYED), KFE_E_IO);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(key == NULL && version == 7);
}

static void create_rotate_and_current(void **state)
{
    (void)state;
    uint8_t one[32], two[32], again[32];
    uint32_t version = 0;
    struct stat st;
    assert_int_equal(ops->create(keys, "orders"), KFE_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(derive(keys, "orders", 1, one, NULL), KFE_OK);
    assert_int_equal(ops->create(keys, "orders"), KFE_E_ARGUMENT);
    assert_true(says("rotate"));
    assert_int_equal(ops->create(keys, ""), kfe_key_name_check(""));
    assert_int_equal(ops->create(keys, "a\nb"), kfe_key_name_check("a\nb"));
    assert_int_equal(ops->rotate(keys, "nobody", &version), KFE_E_KEY_UNKNOWN);
    assert_true(says("create"));
    assert_int_equal(ops->rotate(keys, "orders", &version), KFE_OK);
    assert_int_equal(version, 2);
    assert_int_equal(current("orders"), 2);
    assert_int_equal(derive(keys, "orders", 2, two, NULL), KFE_OK);
    assert_memory_not_equal(one, two, 32);
    assert_int_equal(derive(keys, "orders", 1, again, NULL), KFE_OK);
    assert_memory_equal(one, again, 32);
    assert_int_equal(look("orders", 3), KFE_E_KEY_UNKNOWN);
    assert_int_equal(look("order", 0), KFE_E_KEY_UNKNOWN);
    const kfe_key_ref newest = {"orders", 0};
    kfe_key *key = NULL;
    assert_int_equal(ops->get_key(keys, &newest, &key), KFE_OK);
    assert_true(key->version == 2 && key->state == KFE_KEY_ACTIVE);
    key->ops->release(key);
}

static void states_go_forward_only(void **state)
{
    (void)state;
    kfe_key *key = NULL;
    const kfe_key_ref two = {"orders", 2};
    assert_int_equal(set_state("orders", 2, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_int_equal(ops->get_key(keys, &two, &key), KFE_OK);
    assert_int_equal(key->state, KFE_KEY_DECRYPT_ONLY);
    key->ops->release(key);
    assert_int_equal(current("orders"), 1); /* the highest that is active */
    assert_int_equal(set_state("orders", 2, KFE_KEY_ACTIVE), KFE_E_KEY_DENIED);
    assert_int_equal(set_state("orders", 2, KFE_KEY_DECRYPT_ONLY), KFE_OK); /* it is so already */
    assert_int_equal(set_state("orders", 1, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_int_equal(look("orders", 0), KFE_E_KEY_DENIED);
    assert_true(says("rotate"));
    assert_int_equal(set_state("orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(set_state("orders", 2, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(look("orders", 1), KFE_E_KEY_DESTROYED);
    assert_int_equal(look("orders", 0), KFE_E_KEY_DESTROYED);
    assert_false(file_has("\"key\"")); /* the bytes are gone, the entries stay */
    assert_true(file_has("destroyed"));
    assert_int_equal(set_state("orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(set_state("orders", 1, KFE_KEY_ACTIVE), KFE_E_KEY_DESTROYED);
    assert_int_equal(set_state("orders", 9, KFE_KEY_DESTROYED), KFE_E_KEY_UNKNOWN);
    assert_int_equal(set_state("orders", 0, KFE_KEY_DESTROYED), KFE_E_ARGUMENT);
    assert_int_equal(set_state("orders", 1, (kfe_key_state)0), KFE_E_ARGUMENT);
    assert_int_equal(set_state("orders", 1, (kfe_key_state)4), KFE_E_ARGUMENT);
    assert_int_equal(ops->create(keys, "orders"), KFE_E_ARGUMENT);
    uint32_t version = 0;
    assert_int_equal(ops->rotate(keys, "orders", &version), KFE_OK);
    assert_int_equal(version, 3); /* a version is never used again */
}

static void last_version(void **state)
{
    (void)state;
    uint32_t version = 0;
    put("{\"version\":1,\"keys\":[{\"name\":\"a\",\"version\":4294967295,\"state\":\"destroyed\"}]"
        "}");
    assert_int_equal(ops->rotate(keys, "a", &version), KFE_E_KEY_DENIED);
    assert_int_equal(version, 0);
}

/* HMAC-SHA-256 under the key of the file, no more and no less. */
static void derives_by_hmac(void **state)
{
    (void)state;
    kfe_crypto *crypto = NULL;
    uint8_t master[32], want[32], out[32];
    for (size_t i = 0; i < 32; i++)
        master[i] = (uint8_t)i;
    assert_int_equal(kfe_crypto_new(&crypto, NULL), KFE_OK);
    assert_int_equal(kfe_hmac_sha256(crypto, master, (const uint8_t *)"context", 7, want), KFE_OK);
    put(ONE_KEY);
    assert_int_equal(derive(keys, "orders", 1, out, NULL), KFE_OK);
    assert_memory_equal(out, want, 32);
    kfe_crypto_free(crypto);
}

typedef struct {
    size_t n;
    char line[8][160];
} listing;

static kfe_error note(void *arg, const kfe_key_info *info)
{
    listing *all = arg;
    assert_int_equal(info->size, sizeof(*info));
    assert_string_equal(info->where, path);
    (void)snprintf(all->line[all->n++], sizeof(all->line[0]), "%s@%u:%d", info->name, info->version,
                   (int)info->state);
    /* The callback may use the provider. */
    assert_int_equal(look("orders", 1), KFE_OK);
    return all->n == 3 ? KFE_E_IO : KFE_OK;
}

static void lists(void **state)
{
    (void)state;
    listing all = {0};
    put(ONE_KEY);
    assert_int_equal(ops->create(keys, "audit"), KFE_OK);
    assert_int_equal(ops->list(keys, note, &all), KFE_OK);
    assert_int_equal(all.n, 2);
    assert_string_equal(all.line[0], "audit@1:1");
    assert_string_equal(all.line[1], "orders@1:1");
    assert_int_equal(ops->create(keys, "zebra"), KFE_OK);
    assert_int_equal(ops->create(keys, "zulu"), KFE_OK);
    all.n = 0;
    assert_int_equal(ops->list(keys, note, &all), KFE_E_IO); /* stops where it is told to */
    assert_int_equal(all.n, 3);
}

/* ---- The file changes ---- */

static void follows_its_file(void **state)
{
    (void)state;
    put(ONE_KEY);
    assert_int_equal(look("orders", 1), KFE_OK);
    put("{\"version\":1,\"keys\":[]}");
    assert_int_equal(look("orders", 1), KFE_E_KEY_UNKNOWN);
    put(ONE_KEY);
    assert_int_equal(look("orders", 1), KFE_OK);
    assert_int_equal(chmod(path, 0644), 0); /* content and mtime are as they were */
    assert_int_equal(look("orders", 1), KFE_E_CONFIG);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(look("orders", 1), KFE_OK);
    put("{\"version\":1,\"keys\":[");
    assert_int_equal(look("orders", 1), KFE_E_CONFIG);
    assert_int_equal(look("orders", 1), KFE_E_CONFIG);
    assert_true(says(path));
    uint32_t version = 0;
    assert_int_equal(ops->rotate(keys, "orders", &version), KFE_E_CONFIG);
    assert_int_equal(ops->create(keys, "more"), KFE_E_CONFIG);
    assert_true(file_has("[") && !file_has("]")); /* a damaged file is not written over */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(look("orders", 1), KFE_E_PROVIDER); /* no stale key */
    put(ONE_KEY);
    assert_int_equal(look("orders", 1), KFE_OK);
}

static int unreadable_as_nobody(void)
{
    if (geteuid() == 0 && (chown(folder, 65534, 65534) != 0 || chown(path, 65534, 65534) != 0 ||
                           setresuid(65534, 65534, 65534) != 0))
        return 1;
    if (look("orders", 1) != KFE_OK)
        return 2;
    if (chmod(path, 0) != 0 || look("orders", 1) != KFE_E_PROVIDER || !says("Permission denied"))
        return 3;
    if (ops->create(keys, "more") != KFE_E_IO)
        return 4;
    if (chmod(folder, 0) != 0 || look("orders", 1) != KFE_E_PROVIDER)
        return 5;
    return chmod(folder, 0700) != 0 || chmod(path, 0600) != 0 || look("orders", 1) != KFE_OK;
}

static void permissions_are_not_now(void **state)
{
    (void)state;
    put(ONE_KEY);
    assert_int_equal(in_child(false, unreadable_as_nobody), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(folder, 0, 0), 0);
    put(ONE_KEY);
}

static int save_when_full(void)
{
    const struct rlimit limit = {64, 64}; /* bytes of a file */
    (void)signal(SIGXFSZ, SIG_IGN);
    uint32_t version = 0;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    if (ops->rotate(keys, "orders", &version) != KFE_E_IO || version != 0)
        return 2;
    return look("orders", 1) != KFE_OK || look("orders", 2) != KFE_E_KEY_UNKNOWN;
}

static void disk_full(void **state)
{
    (void)state;
    put(ONE_KEY);
    assert_int_equal(in_child(false, save_when_full), 0);
    assert_int_equal(look("orders", 1), KFE_OK);
    if (mount("none", folder, "tmpfs", 0, "size=64k,mode=700") != 0) {
        print_message("skipped: no tmpfs of 64 KiB: %s\n", strerror(errno));
        return;
    }
    kfe_error err = KFE_OK;
    size_t made = 0;
    char name[32];
    for (; made < 1000 && err == KFE_OK; made++) {
        (void)snprintf(name, sizeof(name), "key-%zu", made);
        err = ops->create(keys, name);
    }
    kfe_error first = look("key-0", 1), last = look(name, 1);
    (void)snprintf(name, sizeof(name), "key-%zu", made - 2);
    kfe_error before = look(name, 1);
    assert_int_equal(umount(folder), 0);
    assert_int_equal(err, KFE_E_IO);
    assert_int_equal(first, KFE_OK);
    assert_int_equal(before, KFE_OK);
    assert_int_equal(last, KFE_E_KEY_UNKNOWN);
}

/* ---- Opening ---- */

static void opening(void **state)
{
    (void)state;
    kfe_config *empty = NULL, *relative = NULL, *query = config_of(NULL);
    kfe_key_provider *made = NULL;
    assert_int_equal(kfe_config_new(&empty), KFE_OK);
    assert_int_equal(ops->open(&made, empty), KFE_E_CONFIG);
    assert_true(says(PATH));
    put("nonsense");
    assert_int_equal(ops->open(&made, query), KFE_E_CONFIG); /* a bad file is told at once */
    put(ONE_KEY);
    assert_int_equal(kfe_config_set(query, "encryption.openssl.propquery", "provider=none"),
                     KFE_OK);
    assert_int_equal(ops->open(&made, query), KFE_E_BACKEND);
    assert_null(made);
    /* A daemon that goes to / afterwards still finds its keys. */
    char old[256];
    assert_non_null(getcwd(old, sizeof(old)));
    assert_int_equal(kfe_config_new(&relative), KFE_OK);
    assert_int_equal(kfe_config_set(relative, PATH, "keys.json"), KFE_OK);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(ops->open(&made, relative), KFE_OK);
    assert_int_equal(chdir("/"), 0);
    put(ONE_KEY);
    uint8_t out[32];
    assert_int_equal(derive(made, "orders", 0, out, NULL), KFE_OK);
    ops->free(made);
    assert_int_equal(chdir(old), 0);
    kfe_config_free(empty);
    kfe_config_free(relative);
    kfe_config_free(query);
}

static int without_memory(void)
{
    const struct rlimit none = {0, 0};
    kfe_key_provider *made = NULL;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return 1;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return 2;
    return ops->open(&made, config) != KFE_E_MEMORY || !says("RLIMIT_MEMLOCK") || made != NULL;
}

static void no_locked_memory(void **state)
{
    (void)state;
    assert_int_equal(in_child(false, without_memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_file),
        cmocka_unit_test(create_rotate_and_current),
        cmocka_unit_test(states_go_forward_only),
        cmocka_unit_test(last_version),
        cmocka_unit_test(derives_by_hmac),
        cmocka_unit_test(lists),
        cmocka_unit_test(follows_its_file),
        cmocka_unit_test(permissions_are_not_now),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(opening),
        cmocka_unit_test(no_locked_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
