/* SPDX-License-Identifier: Apache-2.0 */
/* Does close return in time, whatever hangs: a call of the HSM that the engine's own thread waits
 * for, or who is asked for a PIN? */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <kfe/kafka.h>
#include <kfe/kfe.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/gate.h"

enum { CLOSE_MS = 10000 };

static void set(kfe_config *config, const char *name, const char *value)
{
    assert_int_equal(kfe_config_set(config, name, value), KFE_OK);
}

static void wait_finalised(const test_token *h)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (!test_token_is_finalised(h) && now_ms() < until)
        pause_1_ms();
    assert_true(test_token_is_finalised(h));
}

/* ---- An engine whose refresh hangs -------------------------------------------------------- */

static kfe_config *engine_config(const test_token *h)
{
    rig_make_key(h);
    kfe_config *config = test_token_config(NULL, NULL);
    set(config, "encryption.keymanager.class", "topic");
    set(config, "encryption.keymanager.default.key", "k");
    set(config, "encryption.keyprovider.refresh.ms", "1000");
    set(config, "encryption.keyprovider.pkcs11.timeout.ms", "60000");
    return config;
}

static void seal_one(kfe_engine *engine)
{
    static const uint8_t topic[] = "t", value[10] = {1};
    const kfe_record in = {.topic = {topic, 1}, .value = {value, sizeof(value)}, .partition = -1};
    uint8_t space[4096];
    kfe_record out;
    assert_int_equal(kfe_seal(engine, &in, &out, 1, space, sizeof(space), 0), KFE_OK);
}

/* Until the key is looked for again, and that hangs. */
static void hang_in_refresh(kfe_engine *engine, struct gate *gate, const test_token *h)
{
    seal_one(engine);
    gate_shut(gate, h, "C_FindObjectsInit");
    uint64_t until = now_ms() + PATIENCE_MS;
    while (gate_inside(gate) == 0 && now_ms() < until) {
        seal_one(engine);
        pause_1_ms();
    }
    assert_int_equal(gate_inside(gate), 1);
}

static void test_engine(void **state)
{
    const test_token *h = *state;
    struct gate gate;
    kfe_engine *engine;
    kfe_config *config = engine_config(h);
    assert_int_equal(kfe_engine_new(&engine, config), KFE_OK);
    hang_in_refresh(engine, &gate, h);
    uint64_t start = now_ms();
    kfe_engine_free(engine);
    assert_true(now_ms() - start < CLOSE_MS);
    kfe_config_free(config);
    gate_open(&gate);
    wait_finalised(h);
}

static void test_producer_and_consumer(void **state)
{
    const test_token *h = *state;
    struct gate gate;
    kfe_producer *producer;
    kfe_consumer *consumer;
    char why[200];
    kfe_config *config = engine_config(h);
    assert_int_equal(kfe_producer_new(&producer, rd_kafka_conf_new(), config), KFE_OK);
    hang_in_refresh(kfe_producer_engine(producer), &gate, h);
    uint64_t start = now_ms();
    kfe_producer_free(producer);
    assert_true(now_ms() - start < CLOSE_MS);
    gate_open(&gate);
    wait_finalised(h);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "group.id", "g", why, sizeof(why)), RD_KAFKA_CONF_OK);
    assert_int_equal(kfe_consumer_new(&consumer, conf, config), KFE_OK);
    hang_in_refresh(kfe_consumer_engine(consumer), &gate, h);
    start = now_ms();
    kfe_consumer_free(consumer);
    assert_true(now_ms() - start < CLOSE_MS);
    gate_open(&gate);
    wait_finalised(h);
    kfe_config_free(config);
}

/* ---- Callers ------------------------------------------------------------------------------ */

static void *call(void *arg)
{
    struct rig *rig = arg;
    return rig_derive(rig) == KFE_E_PROVIDER && strstr(kfe_error_detail(), "closed") ? NULL : arg;
}

/* Who waits is let go, who comes is refused, and neither counts as an outage. */
static void test_stop(void **state)
{
    const test_token *h = *state;
    struct rig rig;
    struct gate gate;
    pthread_t caller;
    void *wrong = &rig;
    rig_init(&rig, h);
    gate_shut(&gate, h, "C_Sign");
    assert_int_equal(pthread_create(&caller, NULL, call, &rig), 0);
    gate_await(&gate, 1);
    uint64_t start = now_ms();
    rig.p->ops->stop(rig.p);
    pthread_join(caller, &wrong);
    assert_null(wrong);
    assert_null(call(&rig));
    assert_true(now_ms() - start < 4000); /* of a deadline of 5 s */
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    rig.p->ops->statistics(rig.p, &s);
    assert_int_equal(s.timeouts, 0);
    assert_int_equal(s.breaker, KFE_BREAKER_CLOSED);
    gate_open(&gate);
    rig_wipe(&rig);
    wait_finalised(h);
}

/* ---- Who is asked for the PIN ------------------------------------------------------------- */

static struct {
    atomic_int times;
    atomic_bool go, closed;
    kfe_key_provider *closes; /* NULL: the callback hangs */
} asked;

static long ask(void *arg, const char *option, uint8_t *out, size_t cap)
{
    (void)arg;
    (void)option;
    assert_true(cap >= strlen(test_token_pin()));
    if (atomic_fetch_add(&asked.times, 1) > 0) {
        if (asked.closes) {
            asked.closes->ops->free(asked.closes);
            atomic_store(&asked.closed, true);
        }
        while (!atomic_load(&asked.go))
            pause_1_ms();
    }
    memcpy(out, test_token_pin(), strlen(test_token_pin()));
    return (long)strlen(test_token_pin());
}

/* Has the login lost, and a callback asked for the PIN again. */
static kfe_key_provider *ask_again(const test_token *h, bool closes)
{
    raw_token raw;
    kfe_key *key;
    kfe_key_provider *p = NULL;
    kfe_config *config = test_token_config(NULL, "");
    rig_make_key(h);
    set(config, "encryption.keyprovider.pkcs11.timeout.ms", "200");
    kfe_config_on_secret(config, ask, NULL);
    atomic_store(&asked.times, 0);
    atomic_store(&asked.go, false);
    atomic_store(&asked.closed, false);
    assert_int_equal(kfe_pkcs11.open(&p, config), KFE_OK);
    kfe_config_free(config); /* what is asked later is the provider's own copy */
    asked.closes = closes ? p : NULL;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_Logout(raw.session), CKR_OK);
    raw_close(&raw);
    h->shim->reset();
    assert_int_equal(p->ops->get_current_key(p, "k", &key), KFE_E_PROVIDER);
    uint64_t until = now_ms() + PATIENCE_MS;
    while (atomic_load(&asked.times) < 2 && now_ms() < until)
        pause_1_ms();
    assert_int_equal(atomic_load(&asked.times), 2);
    return p;
}

/* What it gives in the end is not used: nobody is logged in for who has closed. */
static void test_callback_hangs(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = ask_again(h, false);
    uint64_t start = now_ms();
    p->ops->free(p);
    assert_true(now_ms() - start < CLOSE_MS);
    atomic_store(&asked.go, true);
    wait_finalised(h);
    assert_int_equal(h->shim->calls("C_Login"), 0);
}

static void test_callback_closes(void **state)
{
    const test_token *h = *state;
    (void)ask_again(h, true);
    uint64_t start = now_ms();
    while (!atomic_load(&asked.closed) && now_ms() - start < CLOSE_MS)
        pause_1_ms();
    assert_true(atomic_load(&asked.closed));
    atomic_store(&asked.go, true);
    wait_finalised(h);
    assert_int_equal(h->shim->calls("C_Login"), 0);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_engine),
        TOKEN_TEST(test_producer_and_consumer),
        TOKEN_TEST(test_stop),
        TOKEN_TEST(test_callback_hangs),
        TOKEN_TEST(test_callback_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
