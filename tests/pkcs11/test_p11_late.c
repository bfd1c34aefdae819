/* SPDX-License-Identifier: Apache-2.0 */
/* What does a call touch that comes back after its caller has gone? Each kind of call hangs, its
 * caller is told at the deadline, and what the caller had on its stack and heap is no more when the
 * module goes on. */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/gate.h"

static const uint8_t bytes[40] = "bytes";

struct late {
    kfe_config *config;
    kfe_key_provider *p;
    kfe_key *derived, *aes;
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX];
    size_t wrapped_len;
};

typedef kfe_error late_call(struct late *l);

static kfe_error nothing(void *arg, const kfe_key_info *key)
{
    (void)arg;
    (void)key;
    return KFE_OK;
}

static kfe_error get(struct late *l)
{
    const kfe_key_ref ref = {"k", 1};
    kfe_key *key = NULL;
    kfe_error err = l->p->ops->get_key(l->p, &ref, &key);
    if (!err)
        key->ops->release(key);
    return err;
}

static kfe_error list(struct late *l)
{
    return l->p->ops->list(l->p, nothing, NULL);
}

static kfe_error create(struct late *l)
{
    return l->p->ops->create(l->p, "other");
}

static kfe_error rotate(struct late *l)
{
    uint32_t version;
    return l->p->ops->rotate(l->p, "k", &version);
}

static kfe_error retire(struct late *l)
{
    const kfe_key_ref ref = {"old", 1};
    return l->p->ops->set_state(l->p, &ref, KFE_KEY_DECRYPT_ONLY);
}

static kfe_error import(struct late *l)
{
    uint32_t version;
    return l->p->ops->import(l->p, "imported", bytes, &version);
}

static kfe_error import_wrapped(struct late *l)
{
    uint32_t version;
    return l->p->ops->import_wrapped(l->p, "imported", "a", (kfe_bytes){bytes, 40}, &version);
}

static kfe_error derive(struct late *l)
{
    uint8_t context[100] = {1}, out[32];
    return l->derived->ops->derive(l->derived, context, sizeof(context), out);
}

static kfe_error wrap(struct late *l)
{
    uint8_t aad[20] = {2}, out[KFE_KEY_WRAPPED_MAX];
    size_t len;
    kfe_error err = l->aes->ops->wrap(l->aes, (kfe_bytes){aad, sizeof(aad)}, bytes, out, &len);
    if (!err)
        memcpy(l->wrapped, out, l->wrapped_len = len);
    return err;
}

static kfe_error unwrap(struct late *l)
{
    uint8_t aad[20] = {2}, out[32];
    return l->aes->ops->unwrap(l->aes, (kfe_bytes){aad, sizeof(aad)},
                               (kfe_bytes){l->wrapped, l->wrapped_len}, out);
}

static kfe_error direct(struct late *l, bool seal)
{
    uint8_t aad[20] = {3}, text[3][50] = {{4}}, tags[3][32] = {{5}};
    kfe_key_field fields[3];
    for (size_t i = 0; i < 3; i++)
        fields[i] = (kfe_key_field){.aad = aad,
                                    .aad_size = sizeof(aad),
                                    .in = text[i],
                                    .out = text[i],
                                    .len = sizeof(text[i]),
                                    .iv_tag = tags[i],
                                    .iv_size = 12};
    return seal ? l->aes->ops->seal(l->aes, fields, 3) : l->aes->ops->open(l->aes, fields, 3);
}

static kfe_error seal(struct late *l)
{
    return direct(l, true);
}

static kfe_error open(struct late *l)
{
    return direct(l, false);
}

static kfe_error iv_size(struct late *l)
{
    unsigned size;
    return l->aes->ops->iv_size(l->aes, &size);
}

/* What the call left on the stack is overwritten, as by whatever the caller does next. */
static __attribute__((noinline)) void go_on(void)
{
    volatile uint8_t stack[16384];
    for (size_t i = 0; i < sizeof(stack); i++)
        stack[i] = 0xaa;
}

/* Again while a busy machine takes longer than the short deadline: one that is so for a while meets
 * it many times in a row. */
static void until_done(late_call *call, struct late *l)
{
    uint64_t until = now_ms() + 6 * PATIENCE_MS;
    kfe_error err = call(l);
    while (err == KFE_E_PROVIDER && now_ms() < until) {
        pause_1_ms();
        err = call(l);
    }
    assert_int_equal(err, KFE_OK);
}

static kfe_error get_keys(struct late *l)
{
    const kfe_key_ref k = {"k", 1}, a = {"a", 1};
    kfe_error err = l->derived ? KFE_OK : l->p->ops->get_key(l->p, &k, &l->derived);
    return err ? err : l->p->ops->get_key(l->p, &a, &l->aes);
}

static void make_keys(const test_token *h)
{
    kfe_key_provider *p = test_token_open(h);
    assert_int_equal(p->ops->create(p, "k"), KFE_OK);
    assert_int_equal(p->ops->create(p, "old"), KFE_OK);
    p->ops->free(p);
    aes_import("a", 1, 32, AES_CRYPT | AES_KEY_WRAP);
}

static void start(struct late *l)
{
    kfe_config *config = test_token_config(NULL, NULL);
    *l = (struct late){.config = config};
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.timeout.ms", "300"),
                     KFE_OK);
    assert_int_equal(kfe_pkcs11.open(&l->p, config), KFE_OK);
    until_done(get_keys, l);
    until_done(wrap, l);
}

static void end(struct late *l)
{
    l->derived->ops->release(l->derived);
    l->aes->ops->release(l->aes);
    l->p->ops->free(l->p);
    kfe_config_free(l->config);
}

static const struct {
    late_call *call;
    const char *hangs;
} calls[] = {
    {get, "C_FindObjectsInit"},      {list, "C_FindObjectsFinal"}, {create, "C_GenerateKey"},
    {rotate, "C_GenerateKey"},       {retire, "C_CreateObject"},   {import, "C_CreateObject"},
    {import_wrapped, "C_UnwrapKey"}, {derive, "C_Sign"},           {wrap, "C_Encrypt"},
    {unwrap, "C_Decrypt"},           {seal, "C_Encrypt"},          {open, "C_Decrypt"},
    {iv_size, "C_Encrypt"},
};

static void test_late(void **state)
{
    const test_token *h = *state;
    struct late l;
    make_keys(h);
    start(&l);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct gate gate;
        until_done(derive, &l);
        gate_shut(&gate, h, calls[i].hangs);
        assert_int_equal(calls[i].call(&l), KFE_E_PROVIDER);
        go_on();
        gate_open(&gate);
    }
    until_done(derive, &l);
    end(&l);
}

/* The same, and the provider is gone as well. */
static void test_later(void **state)
{
    const test_token *h = *state;
    static const size_t some[] = {0, 5, 9, 10};
    make_keys(h);
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct gate gate;
        struct late l;
        start(&l);
        gate_shut(&gate, h, calls[some[i]].hangs);
        assert_int_equal(calls[some[i]].call(&l), KFE_E_PROVIDER);
        end(&l);
        go_on();
        gate_open(&gate);
        rig_wait_finalised(h);
    }
}

/* ---- A close that wakes late ---------------------------------------------------------------- */

/* While `gate` is there the next wait of `closer` ends late: threads that hang there go on first,
 * and come to their end. */
static struct {
    pthread_t closer;
    struct gate *gate;
    unsigned threads; /* that there are without providers */
} late_waker;

static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    while (readdir(threads))
        n++;
    closedir(threads);
    return n;
}

static void wait_alone(void)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (count_threads() > late_waker.threads && now_ms() < until)
        pause_1_ms();
}

/* In front of the system's, for all of this process. */
__attribute__((visibility("default"))) int pthread_cond_timedwait(pthread_cond_t *condition,
                                                                  pthread_mutex_t *mutex,
                                                                  const struct timespec *until)
{
    int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    memcpy(&wait, &symbol, sizeof(wait));
    int result = wait(condition, mutex, until);
    struct gate *gate = late_waker.gate;
    if (gate && pthread_equal(pthread_self(), late_waker.closer)) {
        late_waker.gate = NULL;
        pthread_mutex_unlock(mutex);
        gate_open(gate);
        wait_alone();
        pthread_mutex_lock(mutex);
    }
    return result;
}

/* The last thread ends when all others have, and before close looks whether it has. */
static void test_last_thread(void **state)
{
    const test_token *h = *state;
    make_keys(h);
    late_waker.threads = count_threads();
    for (unsigned providers = 1; providers <= 2; providers++) {
        struct late l[2];
        struct gate gate;
        for (unsigned i = 0; i < providers; i++)
            start(&l[i]);
        h->shim->reset();
        gate_shut(&gate, h, "C_Sign");
        assert_int_equal(derive(&l[0]), KFE_E_PROVIDER);
        late_waker.closer = pthread_self();
        if (providers == 1)
            late_waker.gate = &gate;
        end(&l[0]);
        if (providers == 2) {
            gate_open(&gate);
            assert_false(test_token_is_finalised(h));
            end(&l[1]);
        }
        rig_wait_finalised(h);
        assert_int_equal(h->shim->calls("C_Finalize"), 1);
        wait_alone();
    }
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_late),
        TOKEN_TEST(test_later),
        TOKEN_TEST(test_last_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
