/* SPDX-License-Identifier: Apache-2.0 */
/* Can a forked child go on with a provider of its own, and never with its parent's? */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/pkcs11/test_token.h"

static const kfe_key_ref ref = {"k", 1};

struct family {
    const test_token *h;
    kfe_key_provider *p;
    kfe_key *key;
    uint8_t good[32];
    int child; /* its exit status */
};

static void family_init(struct family *family, const test_token *h)
{
    family->h = h;
    family->p = test_token_open(h);
    assert_int_equal(family->p->ops->create(family->p, "k"), KFE_OK);
    assert_int_equal(family->p->ops->get_key(family->p, &ref, &family->key), KFE_OK);
    assert_int_equal(family->key->ops->derive(family->key, NULL, 0, family->good), KFE_OK);
}

static void family_wipe(struct family *family)
{
    family->key->ops->release(family->key);
    family->p->ops->free(family->p);
}

static int derives(struct family *family, kfe_key *key)
{
    uint8_t out[32] = {0};
    return key->ops->derive(key, NULL, 0, out) == KFE_OK && memcmp(out, family->good, 32) == 0;
}

/* Each of these runs in a child and returns the number of the step that went wrong, or 0. */
static int old_provider(void *arg)
{
    struct family *family = arg;
    unsigned long signs = family->h->shim->calls("C_SignInit");
    unsigned long opens = family->h->shim->calls("C_OpenSession");
    uint8_t out[32] = {0};
    kfe_key *key;
    uint32_t version;
    if (family->key->ops->derive(family->key, NULL, 0, out) != KFE_E_PROVIDER)
        return 1;
    if (!strstr(kfe_error_detail(), "fork"))
        return 2;
    if (family->p->ops->get_key(family->p, &ref, &key) != KFE_E_PROVIDER)
        return 3;
    if (family->p->ops->rotate(family->p, "k", &version) != KFE_E_PROVIDER)
        return 4;
    family->key->ops->release(family->key);
    family->p->ops->free(family->p);
    return family->h->shim->calls("C_SignInit") == signs &&
                   family->h->shim->calls("C_OpenSession") == opens &&
                   family->h->shim->calls("C_Finalize") == 0
               ? 0
               : 5;
}

static int new_provider(void *arg)
{
    struct family *family = arg;
    kfe_key_provider *p, *q;
    kfe_key *key;
    unsigned long logins = family->h->shim->calls("C_Login");
    for (int i = 0; i < 2; i++) {
        if (kfe_pkcs11.open(&p, family->h->config) || kfe_pkcs11.open(&q, family->h->config))
            return 1;
        if (p->ops->get_key(p, &ref, &key) || !derives(family, key))
            return 2;
        key->ops->release(key);
        p->ops->free(p);
        q->ops->free(q);
        if (family->h->shim->calls("C_Login") != ++logins)
            return 3; /* the parent's login is not ours: we log in once, then share it */
    }
    return 0;
}

static int grandchild(void *arg)
{
    int own = new_provider(arg);
    return own ? own : in_child(new_provider, arg);
}

static void test_child(void **state)
{
    struct family family;
    family_init(&family, *state);
    assert_int_equal(in_child(old_provider, &family), 0);
    assert_true(derives(&family, family.key));
    assert_int_equal(in_child(new_provider, &family), 0);
    assert_true(derives(&family, family.key));
    assert_int_equal(in_child(grandchild, &family), 0);
    assert_true(derives(&family, family.key));
    family_wipe(&family);
}

static atomic_bool stop;

static void *derive_on(void *arg)
{
    struct family *family = arg;
    while (!atomic_load(&stop)) {
        if (!derives(family, family->key))
            return arg;
    }
    return NULL;
}

/* Opens and frees all the time, so that our own locks are often held when the fork happens. */
static void *open_on(void *arg)
{
    struct family *family = arg;
    while (!atomic_load(&stop)) {
        kfe_key_provider *p;
        if (kfe_pkcs11.open(&p, family->h->config))
            return arg;
        p->ops->free(p);
        sched_yield();
    }
    return NULL;
}

static int touch_locks(void *arg)
{
    struct family *family = arg;
    kfe_key_provider *p = NULL;
    kfe_config *config = test_token_config("pkcs11:token=t?module-path=" KFE_TEST_SHIM, NULL);
    uint8_t out[32] = {0};
    /* Fails inside the module or in finding the token; what counts is that it returns. */
    family->h->shim->inject("C_Initialize", SHIM_INSTEAD, CKR_GENERAL_ERROR, 0, 1000);
    if (kfe_pkcs11.open(&p, config) != KFE_E_PROVIDER)
        return 1;
    return family->key->ops->derive(family->key, NULL, 0, out) == KFE_E_PROVIDER ? 0 : 2;
}

static void test_fork_among_threads(void **state)
{
    struct family family;
    pthread_t threads[8];
    family_init(&family, *state);
    atomic_store(&stop, false);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? open_on : derive_on, &family),
                         0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(in_child(touch_locks, &family), 0);
    atomic_store(&stop, true);
    for (size_t i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    family_wipe(&family);
}

static void *get_on(void *arg)
{
    struct family *family = arg;
    kfe_key *key;
    while (!atomic_load(&stop))
        if (family->p->ops->get_key(family->p, &ref, &key) == KFE_OK)
            key->ops->release(key);
    return NULL;
}

static void hangs(int signal)
{
    (void)signal;
    _exit(9);
}

static int get_once(void *arg)
{
    struct family *family = arg;
    kfe_key *key;
    signal(SIGALRM, hangs);
    alarm(5); /* one that waits for a lock of its parent's does so for ever */
    return family->p->ops->get_key(family->p, &ref, &key) == KFE_E_PROVIDER ? 0 : 1;
}

/* The list of keys is locked most of the time while callers are refused at once. */
static void test_fork_among_those_who_find(void **state)
{
    struct family family;
    pthread_t threads[4];
    kfe_key *key;
    family_init(&family, *state);
    family.h->shim->out_of_reach(true);
    assert_int_equal(family.p->ops->get_key(family.p, &ref, &key), KFE_E_PROVIDER);
    atomic_store(&stop, false);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_on, &family), 0);
    int failed = 0;
    for (int i = 0; i < 3000 && failed == 0; i++)
        failed = in_child(get_once, &family);
    atomic_store(&stop, true);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failed, 0);
    family.h->shim->out_of_reach(false);
    family.h->shim->reset();
    family_wipe(&family);
}

static void fork_here(void *arg)
{
    struct family *family = arg;
    family->child = in_child(touch_locks, family);
}

/* The same without luck: the fork happens inside a login, which holds our lock. */
static void test_fork_under_the_lock(void **state)
{
    struct family family;
    raw_token raw;
    family_init(&family, *state);
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Logout(raw.session), CKR_OK);
    raw_close(&raw);
    family.child = -1;
    family.h->shim->before("C_Login", fork_here, &family);
    assert_true(derives(&family, family.key));
    assert_int_equal(family.child, 0);
    family_wipe(&family);
}

static int refused_again(void *arg)
{
    const test_token *h = arg;
    unsigned long logins = h->shim->calls("C_Login");
    kfe_key_provider *p;
    if (kfe_pkcs11.open(&p, h->config) != KFE_E_CREDENTIALS)
        return 1;
    return h->shim->calls("C_Login") == logins ? 0 : 2;
}

/* Children of one parent must not use up the tries one by one. */
static void test_child_knows_refused_pin(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* a wrong PIN may lock it */
    test_token *h = *state;
    kfe_key_provider *p;
    setenv("KFE_TEST_PIN", "wrong-before-fork", 1);
    assert_int_equal(kfe_pkcs11.open(&p, h->config), KFE_E_CREDENTIALS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(in_child(refused_again, h), 0);
}

/* The application initialised the module: in a child it is not ours to finalise either. */
static int leave_it_up(void *arg)
{
    const test_token *h = arg;
    kfe_key_provider *p;
    if (kfe_pkcs11.open(&p, h->config))
        return 1;
    p->ops->free(p);
    return h->shim->calls("C_Finalize") == 0 ? 0 : 2;
}

static void test_shared_module(void **state)
{
    test_token *h = *state;
    raw_token raw;
    raw_open(&raw);
    kfe_key_provider *p = test_token_open(h);
    assert_int_equal(in_child(leave_it_up, h), 0);
    p->ops->free(p);
    raw_close(&raw);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)
#define RESET_TEST(f)                                                                              \
    {                                                                                              \
#f ", reset_on_fork", f, test_token_setup_reset_on_fork, test_token_teardown, NULL         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_child),
        RESET_TEST(test_child),
        TOKEN_TEST(test_fork_among_threads),
        TOKEN_TEST(test_fork_among_those_who_find),
        TOKEN_TEST(test_fork_under_the_lock),
        TOKEN_TEST(test_child_knows_refused_pin),
        RESET_TEST(test_child_knows_refused_pin),
        TOKEN_TEST(test_shared_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
