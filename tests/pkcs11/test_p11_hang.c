/* SPDX-License-Identifier: Apache-2.0 */
/* Whom does a call hold up that hangs while the way to the token is opened or got back, and is all
 * well again when it returns? */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/gate.h"

enum { RECOVERY_MS = 5000 };

static kfe_config *hasty_config(const char *uri)
{
    kfe_config *config = test_token_config(uri, NULL);
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.timeout.ms", "200"),
                     KFE_OK);
    return config;
}

static void rig_init_hasty(struct rig *rig, const test_token *h)
{
    rig_make_key(h);
    kfe_config *config = hasty_config(NULL);
    rig_open(rig, config);
    rig->config = config;
    h->shim->reset();
}

/* ---- Getting back ------------------------------------------------------------------------- */

/* The application finalises the module: it is started, and the token logged in to, anew. */
static void lose_all(void)
{
    raw_token raw;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Finalize(NULL), CKR_OK);
}

static void test_late_but_there(void **state)
{
    const test_token *h = *state;
    static const char *const at[] = {"C_Initialize",   "C_GetSlotList", "C_OpenSession",
                                     "C_GetTokenInfo", "C_Login",       "C_CreateObject"};
    struct rig rig;
    rig_init_hasty(&rig, h);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct gate gate;
        assert_int_equal(rig_derive_again(&rig), KFE_OK);
        unsigned long logins = h->shim->calls("C_Login");
        gate_shut(&gate, h, at[i]);
        lose_all();
        uint64_t start = now_ms();
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        assert_true(now_ms() - start < 5000);
        gate_await(&gate, 1);
        for (int n = 0; n < 100; n++)
            assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
        assert_int_equal(gate_inside(&gate), 1); /* nobody else tries the same meanwhile */
        start = now_ms();
        gate_open(&gate);
        assert_int_equal(rig_derive_again(&rig), KFE_OK);
        assert_true(now_ms() - start < RECOVERY_MS);
        assert_int_equal(h->shim->calls("C_Login") - logins, 1);
    }
    rig_wipe(&rig);
}

/* The same met by a search. It shuts out all, as the login that they need is not got back. */
static void test_late_for_a_search(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    kfe_key *key = NULL;
    rig_init_hasty(&rig, h);
    gate_shut(&gate, h, "C_Login");
    lose_all();
    assert_int_equal(rig.p->ops->get_current_key(rig.p, "k", &key), KFE_E_PROVIDER);
    gate_await(&gate, 1);
    for (int n = 0; n < 100; n++)
        assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    kfe_key_provider_statistics seen = {.size = sizeof(seen)};
    rig.p->ops->statistics(rig.p, &seen);
    assert_int_equal(seen.timeouts, 1);
    gate_open(&gate);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    /* The search that was late may still be under way. */
    kfe_error err = KFE_E_PROVIDER;
    for (uint64_t until = now_ms() + PATIENCE_MS; err == KFE_E_PROVIDER && now_ms() < until;) {
        pause_1_ms();
        err = rig.p->ops->get_current_key(rig.p, "k", &key);
    }
    assert_int_equal(err, KFE_OK);
    key->ops->release(key);
    rig_wipe(&rig);
}

/* ---- Another module ----------------------------------------------------------------------- */

/* The shim again, as a file of its own: another module for whoever loads it. */
static void copy_shim(const test_token *h, char uri[300])
{
    char path[160];
    struct stat file;
    snprintf(path, sizeof(path), "%s/another.so", h->dir);
    snprintf(uri, 300, "pkcs11:token=kfe%%20test?module-path=%s", path);
    int from = open(KFE_TEST_SHIM, O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(fstat(from, &file), 0);
    while (file.st_size > 0) {
        ssize_t n = sendfile(to, from, NULL, (size_t)file.st_size);
        assert_true(n > 0);
        file.st_size -= n;
    }
    close(from);
    assert_int_equal(close(to), 0);
}

static void *open_there(void *arg)
{
    struct rig *rig = arg;
    rig->p = NULL;
    return kfe_pkcs11.open(&rig->p, rig->config) == KFE_OK ? rig : NULL;
}

static void test_another_module(void **state)
{
    const test_token *h = *state;
    static const char *const at[] = {"C_Initialize", "C_GetSlotList", "C_Login"};
    char uri[300];
    copy_shim(h, uri);
    rig_make_key(h);
    kfe_config *config = test_token_config(uri, NULL);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct gate gate;
        struct rig stuck = {.config = h->config}, well;
        pthread_t thread;
        void *opened = NULL;
        gate_shut(&gate, h, at[i]);
        assert_int_equal(pthread_create(&thread, NULL, open_there, &stuck), 0);
        gate_await(&gate, 1);
        rig_open(&well, config);
        assert_int_equal(rig_derive(&well), KFE_OK);
        assert_int_equal(gate_inside(&gate), 1);
        gate_open(&gate);
        assert_int_equal(pthread_join(thread, &opened), 0);
        assert_non_null(opened);
        /* One token behind both: who did not start it goes first. */
        rig_wipe(&well);
        stuck.p->ops->free(stuck.p);
    }
    kfe_config_free(config);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_late_but_there),
        TOKEN_TEST(test_late_for_a_search),
        TOKEN_TEST(test_another_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
