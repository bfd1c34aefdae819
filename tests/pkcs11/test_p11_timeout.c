/* SPDX-License-Identifier: Apache-2.0 */
/* What does a caller see of an HSM that hangs, and what is left of it afterwards? */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/gate.h"

enum { TIMEOUT_MS = 200 };

/* ---- A provider with a short deadline ---------------------------------------------------- */

static kfe_config *config_with(const char *timeout_ms, const char *sessions)
{
    kfe_config *config = test_token_config(NULL, NULL);
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.timeout.ms", timeout_ms),
                     KFE_OK);
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.sessions", sessions),
                     KFE_OK);
    return config;
}

static void rig_init_hasty(struct rig *rig, const test_token *h, const char *sessions)
{
    rig_make_key(h); /* with patience: a busy machine makes keys slowly */
    kfe_config *config = config_with("200", sessions);
    rig_open(rig, config);
    rig->config = config;
    h->shim->reset();
}

static kfe_key_provider_statistics statistics(struct rig *rig)
{
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    rig->p->ops->statistics(rig->p, &s);
    return s;
}

/* ---- Tests ------------------------------------------------------------------------------- */

static void test_deadline(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    rig_init_hasty(&rig, h, "8");
    gate_shut(&gate, h, "C_Sign");
    uint64_t start = now_ms();
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    assert_true(now_ms() - start >= TIMEOUT_MS);
    assert_non_null(strstr(kfe_error_detail(), "did not answer within 200 ms"));
    assert_int_equal(gate_inside(&gate), 1);
    /* It comes back to nobody. */
    gate_open(&gate);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    kfe_key_provider_statistics s = statistics(&rig);
    assert_true(s.timeouts >= 1);
    assert_int_equal(s.breaker, KFE_BREAKER_CLOSED);
    assert_int_equal(h->shim->calls("C_Login"), 0); /* it was well: no reason to start again */
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    rig_wipe(&rig);
}

static void test_finding_has_a_deadline(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    kfe_key *key = NULL;
    rig_init_hasty(&rig, h, "8");
    gate_shut(&gate, h, "C_FindObjectsInit");
    assert_int_equal(rig.p->ops->get_current_key(rig.p, "k", &key), KFE_E_PROVIDER);
    assert_non_null(strstr(kfe_error_detail(), "did not answer within 200 ms"));
    assert_null(key);
    gate_open(&gate);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    rig_wipe(&rig);
}

static kfe_error look_for(struct rig *rig)
{
    kfe_key *key = NULL;
    kfe_error err = rig->p->ops->get_current_key(rig->p, "k", &key);
    if (key)
        key->ops->release(key);
    return err;
}

static kfe_error look_again(struct rig *rig)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    kfe_error err = look_for(rig);
    while (err == KFE_E_PROVIDER && now_ms() < until) {
        pause_1_ms();
        err = look_for(rig);
    }
    return err;
}

/* A search or a new key that hangs is nothing to those who need neither. */
static void control_hangs(const test_token *h, const char *function, const char *sessions)
{
    enum { CALLS = 20 };
    struct rig rig;
    struct gate gate;
    uint32_t version;
    rig_init_hasty(&rig, h, sessions);
    gate_shut(&gate, h, function);
    if (strcmp(function, "C_FindObjectsInit") == 0)
        assert_int_equal(look_for(&rig), KFE_E_PROVIDER);
    else
        assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    assert_non_null(strstr(kfe_error_detail(), "did not answer within 200 ms"));
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_int_equal(statistics(&rig).breaker, KFE_BREAKER_CLOSED);
    uint64_t start = now_ms();
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(look_for(&rig), KFE_E_PROVIDER);
        assert_non_null(strstr(kfe_error_detail(), "hangs since"));
        assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    }
    assert_true(now_ms() - start < CALLS * TIMEOUT_MS);
    assert_int_equal(statistics(&rig).timeouts, 1);
    assert_int_equal(gate_inside(&gate), 1);
    gate_open(&gate);
    assert_int_equal(look_again(&rig), KFE_OK);
    assert_int_equal(rig_derive(&rig), KFE_OK);
    assert_int_equal(h->shim->calls("C_Login"), 0);
    rig_wipe(&rig);
}

static void test_control_hangs(void **state)
{
    control_hangs(*state, "C_FindObjectsInit", "8");
}

static void test_control_hangs_of_one_session(void **state)
{
    control_hangs(*state, "C_FindObjectsInit", "1");
}

static void test_control_hangs_writing(void **state)
{
    control_hangs(*state, "C_GenerateKey", "8");
}

struct caller {
    struct rig *rig;
    unsigned long long slowest;
    bool wrong;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < 20; i++) {
        uint64_t start = now_ms();
        if (rig_derive(caller->rig) != KFE_E_PROVIDER)
            caller->wrong = true;
        uint64_t took = now_ms() - start;
        caller->slowest = took > caller->slowest ? took : caller->slowest;
    }
    return NULL;
}

/* However many call and however long it hangs: so many are stuck as there are sessions, twice that
 * at the most, and nobody waits for much longer than the deadline. */
static void test_many_callers(void **state)
{
    const test_token *h = *state;
    enum { CALLERS = 12 };
    struct rig rig;
    struct gate gate;
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    rig_init_hasty(&rig, h, "3");
    gate_shut(&gate, h, "C_SignInit");
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.rig = &rig};
        assert_int_equal(pthread_create(&threads[i], NULL, call_on, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(callers[i].wrong);
        assert_true(callers[i].slowest < 5000);
    }
    assert_true(gate_inside(&gate) >= 1);
    assert_true(gate_inside(&gate) <= 6);
    gate_open(&gate);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    rig_wipe(&rig);
}

/* The token has no session but one in which a call hangs: others do with the anchor. */
static void test_hangs_in_the_last_session(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    rig_init_hasty(&rig, h, "8");
    h->shim->limit((unsigned)statistics(&rig).sessions);
    gate_shut(&gate, h, "C_Sign");
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    h->shim->before_each("C_Sign", NULL, NULL);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    assert_int_equal(gate_inside(&gate), 1);
    gate_open(&gate);
    rig_wipe(&rig);
}

/* What hangs is left behind, with all that it may still touch; the sanitizers watch it end. */
static void test_close(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    rig_init_hasty(&rig, h, "8");
    gate_shut(&gate, h, "C_Sign");
    assert_int_equal(rig_derive(&rig), KFE_E_PROVIDER);
    uint64_t start = now_ms();
    rig_wipe(&rig);
    assert_true(now_ms() - start < 10000);
    assert_int_equal(h->shim->calls("C_Finalize"), 0);
    gate_open(&gate);
    rig_wait_finalised(h);
    kfe_key_provider *p = test_token_open(h);
    p->ops->free(p);
}

static void test_close_while_control_hangs(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    uint32_t version;
    rig_init_hasty(&rig, h, "8");
    gate_shut(&gate, h, "C_GenerateKey");
    assert_int_equal(rig.p->ops->rotate(rig.p, "k", &version), KFE_E_PROVIDER);
    assert_non_null(strstr(kfe_error_detail(), "may be there, or come"));
    uint64_t start = now_ms();
    rig_wipe(&rig);
    assert_true(now_ms() - start < 10000);
    gate_open(&gate);
    rig_wait_finalised(h);
}

static void test_open(void **state)
{
    const test_token *h = *state;
    static const char *const at[] = {"C_Initialize", "C_GetSlotList", "C_OpenSession"};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct gate gate;
        kfe_key_provider *p = NULL;
        kfe_config *config = config_with("200", "8");
        gate_shut(&gate, h, at[i]);
        uint64_t start = now_ms();
        assert_int_equal(kfe_pkcs11.open(&p, config), KFE_E_PROVIDER);
        assert_true(now_ms() - start < 10000);
        assert_non_null(strstr(kfe_error_detail(), "did not answer within 200 ms"));
        kfe_config_free(config);
        const unsigned long before = h->shim->calls("C_Finalize");
        gate_await(&gate, 1); /* it may be late, too */
        gate_open(&gate);
        while (h->shim->calls("C_Finalize") == before && now_ms() - start < PATIENCE_MS)
            pause_1_ms();
        rig_wait_finalised(h);
    }
}

static long slow_pin(void *arg, const char *option, uint8_t *out, size_t cap)
{
    (void)option;
    assert_true(pthread_equal(*(pthread_t *)arg, pthread_self()));
    assert_true(cap >= strlen(test_token_pin()));
    for (int ms = 0; ms < 2 * TIMEOUT_MS; ms++)
        pause_1_ms();
    memcpy(out, test_token_pin(), strlen(test_token_pin()));
    return (long)strlen(test_token_pin());
}

/* Who types a PIN does so on the thread that opens, and may take his time. */
static void test_a_slow_pin(void **state)
{
    (void)state;
    pthread_t self = pthread_self();
    kfe_key_provider *p = NULL;
    kfe_config *config = test_token_config(NULL, "");
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.timeout.ms", "200"),
                     KFE_OK);
    kfe_config_on_secret(config, slow_pin, &self);
    assert_int_equal(kfe_pkcs11.open(&p, config), KFE_OK);
    p->ops->free(p);
    kfe_config_free(config);
}

static void look_around(void *arg)
{
    sigset_t *mask = arg;
    pthread_sigmask(SIG_SETMASK, NULL, mask);
}

static void test_signals_are_blocked(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    sigset_t worker, control, own;
    kfe_key *key = NULL;
    rig_init_hasty(&rig, h, "8");
    sigemptyset(&worker);
    sigemptyset(&control);
    h->shim->before("C_Sign", look_around, &worker);
    assert_int_equal(rig_derive_again(&rig), KFE_OK);
    h->shim->before("C_FindObjectsInit", look_around, &control);
    assert_int_equal(rig.p->ops->get_current_key(rig.p, "k", &key), KFE_OK);
    key->ops->release(key);
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    static const int all[] = {SIGPIPE, SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGHUP};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(sigismember(&worker, all[i]), 1);
        assert_int_equal(sigismember(&control, all[i]), 1);
        assert_int_equal(sigismember(&own, all[i]), 0);
    }
    rig_wipe(&rig);
}

static void *derive_some(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < 50; i++) {
        if (rig_derive_again(caller->rig) != KFE_OK)
            caller->wrong = true;
    }
    return NULL;
}

static void derive_by_many(struct rig *rig)
{
    enum { CALLERS = 6 };
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.rig = rig};
        assert_int_equal(pthread_create(&threads[i], NULL, derive_some, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(callers[i].wrong);
    }
}

static void test_sessions_are_bounded(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    rig_init_hasty(&rig, h, "2");
    derive_by_many(&rig);
    assert_true(h->shim->calls("C_OpenSession") <= 1); /* the first one was there */
    assert_int_equal(h->shim->calls("C_CloseSession"), 0);
    assert_true(statistics(&rig).sessions <= 4); /* with the control thread's and the anchor */
    rig_wipe(&rig);
}

/* A token with room for one session: all is done in the anchor. */
static void test_one_session(void **state)
{
    const test_token *h = *state;
    const kfe_key_ref ref = {"k", 1};
    struct rig rig;
    kfe_key_provider *p = NULL;
    kfe_key *key = NULL;
    uint32_t version;
    uint8_t out[32];
    rig_init_hasty(&rig, h, "8");
    h->shim->inject("C_OpenSession", SHIM_INSTEAD, CKR_SESSION_COUNT, 1, 1000);
    assert_int_equal(kfe_pkcs11.open(&p, h->config), KFE_OK);
    assert_int_equal(p->ops->get_key(p, &ref, &key), KFE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(key->ops->derive(key, rig_input, sizeof(rig_input), out), KFE_OK);
        assert_memory_equal(out, rig.good, 32);
    }
    assert_int_equal(p->ops->rotate(p, "k", &version), KFE_OK);
    key->ops->release(key);
    p->ops->free(p);
    h->shim->reset();
    derive_by_many(&rig); /* the anchor was closed once, nobody else's session with it */
    rig_wipe(&rig);
}

static void test_read_only_token(void **state)
{
    const test_token *h = *state;
    static const CK_RV refusals[] = {CKR_TOKEN_WRITE_PROTECTED, CKR_SESSION_COUNT};
    const kfe_key_ref ref = {"k", 1};
    struct rig rig;
    rig_init_hasty(&rig, h, "8");
    for (size_t i = 0; i < 2; i++) {
        kfe_key_provider *p = NULL;
        kfe_key *key = NULL;
        uint8_t out[32];
        uint32_t version = 0;
        h->shim->reset();
        h->shim->inject("C_OpenSession", SHIM_INSTEAD, refusals[i], 0, 1);
        assert_int_equal(kfe_pkcs11.open(&p, h->config), KFE_OK);
        assert_int_equal(p->ops->get_key(p, &ref, &key), KFE_OK);
        assert_int_equal(key->ops->derive(key, rig_input, sizeof(rig_input), out), KFE_OK);
        assert_memory_equal(out, rig.good, 32);
        assert_int_equal(h->shim->calls("C_OpenSession"), 4);
        /* What was refused once is not asked for again: there is no session to write in. */
        assert_int_equal(p->ops->rotate(p, "k", &version), KFE_E_KEY_DENIED);
        key->ops->release(key);
        p->ops->free(p);
    }
    rig_wipe(&rig);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_deadline),
        TOKEN_TEST(test_finding_has_a_deadline),
        TOKEN_TEST(test_control_hangs),
        TOKEN_TEST(test_control_hangs_of_one_session),
        TOKEN_TEST(test_control_hangs_writing),
        TOKEN_TEST(test_many_callers),
        TOKEN_TEST(test_hangs_in_the_last_session),
        TOKEN_TEST(test_a_slow_pin),
        TOKEN_TEST(test_signals_are_blocked),
        TOKEN_TEST(test_sessions_are_bounded),
        TOKEN_TEST(test_one_session),
        TOKEN_TEST(test_read_only_token),
        TOKEN_TEST(test_open),
        TOKEN_TEST(test_close_while_control_hangs),
        TOKEN_TEST(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
