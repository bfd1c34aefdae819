/* SPDX-License-Identifier: Apache-2.0 */

/* A token that is out of reach under load, as one behind a network: dead until the module is
 * started again, empty while it is away. Is nothing lost while the keys are trusted, and is the
 * token in use again within five seconds of its return? KFE_OUTAGE_S: how long it is away;
 * KFE_RATE: records/s. (outage.sh kills a token's process instead.) */
#include "tests/kafka/load.h"

#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "tests/pkcs11/test_token.h"

enum { REFRESH_MS = 500, RECOVERY_MS = 5000, PATIENCE_MS = 60000 };

typedef struct {
    const load *load;
    const shim_table *shim;
    kfe_key_provider *provider;
    uint64_t before, after; /* records sealed when it went, and when it came back */
    bool refused;           /* an operator, meanwhile */
    int64_t took_ms;        /* from its return until a new key seals */
    atomic_bool done;
} outage;

static void pause_ms(uint64_t ms)
{
    const struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* By an operator, who tries until the token answers. */
static bool rotates(const outage *o)
{
    uint32_t version = 0;
    return o->provider->ops->rotate(o->provider, o->load->key, &version) == KFE_OK;
}

static void *go_and_return(void *arg)
{
    outage *o = arg;
    while (o->load->n < o->load->rate) /* it is under load */
        pause_ms(1);
    o->before = o->load->n;
    o->shim->out_of_reach(true);
    pause_ms(1000 * load_setting("KFE_OUTAGE_S", 3));
    o->refused = !rotates(o);
    o->after = o->load->n;
    o->shim->out_of_reach(false);
    const int64_t back = load_now(CLOCK_MONOTONIC, 1000);
    while (!rotates(o) && load_now(CLOCK_MONOTONIC, 1000) - back < PATIENCE_MS)
        pause_ms(1);
    while (load_version(o->load) < 2 && load_now(CLOCK_MONOTONIC, 1000) - back < PATIENCE_MS)
        pause_ms(1);
    o->took_ms = load_now(CLOCK_MONOTONIC, 1000) - back;
    atomic_store(&o->done, true);
    return NULL;
}

static void outage_under_load(void **state)
{
    static load l;
    outage o = {.load = &l, .shim = ((const test_token *)*state)->shim};
    load_begin(&l, REFRESH_MS, load_setting("KFE_RATE", 20000));
    assert_int_equal(kfe_key_provider_open(&o.provider, l.config), KFE_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, go_and_return, &o), 0);
    load_run(&l, &o.done);
    pthread_join(thread, NULL);
    kfe_key_provider_close(o.provider);
    load_end(&l);
    load_read_back(&l);
    printf("%" PRIu64 " records, %" PRIu64
           " of them while it was gone: none lost, none waited; a new key seals %" PRId64
           " ms after its return (limit %d)\n",
           l.n, o.after - o.before, o.took_ms, RECOVERY_MS);
    assert_true(o.refused);
    assert_true(o.after > o.before + l.rate);
    assert_true(o.took_ms <= RECOVERY_MS);
    load_free(&l);
}

int main(void)
{
    load_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(outage_under_load)};
    return cmocka_run_group_tests_name("broker_outage", tests, load_token, NULL);
}
