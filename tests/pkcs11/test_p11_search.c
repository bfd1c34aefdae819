/* SPDX-License-Identifier: Apache-2.0 */
/* Is a key looked up by one search, whatever else bears its name, and is one that is destroyed at
 * the same moment never taken for unknown? */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/pkcs11/keys_rig.h"

enum { ROUNDS = 40 };

static const uint8_t secret[32] = {1, 2, 3};

/* ---- One search ------------------------------------------------------------------------------ */

static void assert_searches(const test_token *h, kfe_key_provider *p, const char *name,
                            uint32_t version, kfe_error says)
{
    h->shim->reset();
    assert_int_equal(keys_look(p, name, version, NULL, NULL), says);
    assert_int_equal(h->shim->calls("C_FindObjectsInit"), 1);
}

static void test_one_search(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h);
    uint32_t version;
    assert_int_equal(p->ops->create(p, "orders"), KFE_OK);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(p->ops->rotate(p, "orders", &version), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    assert_int_equal(keys_set_state(p, "orders", 2, KFE_KEY_DECRYPT_ONLY), KFE_OK);
    assert_searches(h, p, "made up", 1, KFE_E_KEY_UNKNOWN);
    assert_searches(h, p, "orders", 77, KFE_E_KEY_UNKNOWN);
    assert_searches(h, p, "orders", 1, KFE_E_KEY_DESTROYED);
    assert_searches(h, p, "orders", 2, KFE_OK);
    assert_searches(h, p, "orders", 0, KFE_OK);
    p->ops->free(p);
}

/* ---- Strangers ------------------------------------------------------------------------------- */

static CK_BBOOL yes = CK_TRUE;
static char label[] = "k";
static CK_BYTE id[] = {0, 0, 0, 1};

/* Adds what every stranger has: it is private, and bears the key's name and id. */
static void plant(const raw_token *raw, CK_OBJECT_CLASS class, const CK_ATTRIBUTE *more, CK_ULONG n)
{
    CK_OBJECT_HANDLE made;
    CK_ATTRIBUTE a[16] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_TOKEN, &yes, sizeof(yes)},
                          {CKA_PRIVATE, &yes, sizeof(yes)},
                          {CKA_LABEL, label, 1},
                          {CKA_ID, id, sizeof(id)}};
    memcpy(a + 5, more, n * sizeof(*more));
    CK_RV rv = raw->calls->C_CreateObject(raw->session, a, 5 + n, &made);
    if (rv != CKR_OK) /* not every token keeps such objects, or such as are private */
        print_message("the token takes no object of class %lu: 0x%lx\n", class, rv);
}

static void plant_public_key(const raw_token *raw)
{
    CK_KEY_TYPE type = CKK_RSA;
    CK_BYTE modulus[256] = {0xc5, 1}, exponent[] = {1, 0, 1};
    modulus[255] = 1;
    const CK_ATTRIBUTE a[] = {{CKA_KEY_TYPE, &type, sizeof(type)},
                              {CKA_MODULUS, modulus, sizeof(modulus)},
                              {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};
    plant(raw, CKO_PUBLIC_KEY, a, 3);
}

static void plant_ec_key(const raw_token *raw)
{
    static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_KEY_TYPE type = CKK_EC;
    CK_BYTE value[32] = {0x11, 7};
    const CK_ATTRIBUTE a[] = {{CKA_KEY_TYPE, &type, sizeof(type)},
                              {CKA_SENSITIVE, &yes, sizeof(yes)},
                              {CKA_EC_PARAMS, p256, sizeof(p256)},
                              {CKA_VALUE, value, sizeof(value)}};
    plant(raw, CKO_PRIVATE_KEY, a, 4);
}

static void plant_certificate(const raw_token *raw)
{
    CK_CERTIFICATE_TYPE type = CKC_X_509;
    CK_BYTE subject[] = {0x30, 0x00}, value[] = {0x30, 0x03, 0x02, 0x01, 0x00};
    const CK_ATTRIBUTE a[] = {{CKA_CERTIFICATE_TYPE, &type, sizeof(type)},
                              {CKA_SUBJECT, subject, sizeof(subject)},
                              {CKA_VALUE, value, sizeof(value)}};
    plant(raw, CKO_CERTIFICATE, a, 3);
}

/* As our markers are, but for the application. */
static void plant_data(const raw_token *raw, const char *application)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_OBJECT_HANDLE made;
    char text[] = "destroyed 1";
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_TOKEN, &yes, sizeof(yes)},
                        {CKA_PRIVATE, &yes, sizeof(yes)},
                        {CKA_LABEL, label, 1},
                        {CKA_APPLICATION, (void *)(uintptr_t)application, strlen(application)},
                        {CKA_VALUE, text, sizeof(text) - 1}};
    CK_RV rv = raw->calls->C_CreateObject(raw->session, a, 6, &made);
    if (rv != CKR_OK)
        print_message("the token takes no data: 0x%lx\n", rv);
}

static void test_strangers(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h);
    raw_token raw;
    kfe_key_state is;
    raw_open(&raw);
    raw_key key = raw_key_good(label, 1, secret);
    raw_import(&raw, &key);
    plant_public_key(&raw);
    plant_ec_key(&raw);
    plant_certificate(&raw);
    plant_data(&raw, "kfe key stats");
    plant_data(&raw, "kfe key");
    plant_data(&raw, "kfe key states");
    raw_close(&raw);
    assert_searches(h, p, label, 1, KFE_OK);
    assert_int_equal(keys_look(p, label, 1, &is, NULL), KFE_OK);
    assert_int_equal(is, KFE_KEY_ACTIVE);
    assert_int_equal(keys_current(p, label), 1);
    keys_assert_list(p, "k 1 1 id=%00%00%00%01;object=k;type=secret-key\n");
    p->ops->free(p);
}

/* ---- Destroyed meanwhile --------------------------------------------------------------------- */

static const char *const watched[] = {"C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal",
                                      "C_GetAttributeValue", "C_GetSessionInfo"};

/* Another operator, who destroys the key before the n-th call of a look-up. */
typedef struct {
    const test_token *h;
    kfe_key_provider *other;
    const char *name;
    bool in_keys; /* the token refuses data objects */
    atomic_long calls_left;
} operator;

static void come_in(void *arg)
{
    operator* o = arg;
    if (atomic_fetch_sub(&o->calls_left, 1) != 0)
        return;
    if (o->in_keys)
        o->h->shim->inject("C_CreateObject", SHIM_INSTEAD, CKR_ATTRIBUTE_VALUE_INVALID, 0, 1);
    assert_int_equal(keys_set_state(o->other, o->name, 1, KFE_KEY_DESTROYED), KFE_OK);
}

static void watch(operator* o, void (*act)(void *arg))
{
    for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
        o->h->shim->before_each(watched[i], act, act ? o : NULL);
}

/* Of a key that the provider has seen before, or not. Returns whether the look-up got so far. */
static bool destroy_at(operator* o, kfe_key_provider *p, long call, bool seen, kfe_error *says)
{
    char name[32];
    snprintf(name, sizeof(name), "%s%ld", seen ? "seen" : "new", call);
    o->name = name;
    assert_int_equal(o->other->ops->create(o->other, name), KFE_OK);
    if (seen)
        assert_int_equal(keys_look(p, name, 1, NULL, NULL), KFE_OK);
    o->calls_left = call;
    watch(o, come_in);
    *says = keys_look(p, name, 1, NULL, NULL);
    watch(o, NULL);
    return o->calls_left < 0;
}

/* Between any two calls of the module: the key is there, or it is destroyed. */
static void at_each_call(void **state, bool in_keys)
{
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h);
    operator o = {.h = h, .other = test_token_open(h), .in_keys = in_keys};
    for (int seen = 0; seen < 2; seen++) {
        unsigned noticed = 0;
        kfe_error says;
        for (long call = 0; destroy_at(&o, p, call, seen, &says); call++) {
            if (says != KFE_OK && says != KFE_E_KEY_DESTROYED)
                fail_msg("before call %ld: %s: %s", call, kfe_error_name(says), kfe_error_detail());
            noticed += says == KFE_E_KEY_DESTROYED;
        }
        assert_int_equal(says, KFE_OK); /* nobody came */
        assert_true(noticed >= 5);
    }
    o.other->ops->free(o.other);
    p->ops->free(p);
}

static void test_destroyed_at_each_call(void **state)
{
    at_each_call(state, false);
}

static void test_destroyed_at_each_call_in_keys(void **state)
{
    at_each_call(state, true);
}

/* A search that passed the marker's place too early and the key's too late sees neither. A key that
 * was there, and the current one, are looked for once more; a reference that may be made up is not:
 * it would cost as much again. */
static void test_a_search_that_sees_nothing(void **state)
{
    const test_token *h = *state;
    kfe_key_provider *p = test_token_open(h), *other = test_token_open(h);
    assert_int_equal(other->ops->create(other, "orders"), KFE_OK);
    assert_int_equal(keys_look(p, "orders", 1, NULL, NULL), KFE_OK);
    assert_int_equal(keys_set_state(other, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    for (uint32_t version = 0; version < 2; version++) {
        h->shim->inject("C_FindObjects", SHIM_INSTEAD, CKR_OK, 0, 1);
        assert_int_equal(keys_look(p, "orders", version, NULL, NULL), KFE_E_KEY_DESTROYED);
    }
    h->shim->reset();
    h->shim->inject("C_FindObjects", SHIM_INSTEAD, CKR_OK, 0, 1);
    assert_int_equal(keys_look(p, "orders", 2, NULL, NULL), KFE_E_KEY_UNKNOWN);
    assert_int_equal(h->shim->calls("C_FindObjectsInit"), 1);
    other->ops->free(other);
    p->ops->free(p);
}

/* A process of its own: makes a key when it is told its name, destroys it when it is told so. */
typedef struct {
    pid_t pid;
    int channel;
} stranger;

static void live(const test_token *h, int channel)
{
    kfe_key_provider *p = NULL;
    char name[32], go = 'k';
    kfe_error err = kfe_pkcs11.open(&p, h->config);
    if (!err && write(channel, &go, 1) != 1)
        err = KFE_E_IO;
    while (!err && read(channel, name, sizeof(name)) == (ssize_t)sizeof(name)) {
        const kfe_key_ref ref = {name, 1};
        err = p->ops->create(p, name);
        if (err || write(channel, &go, 1) != 1 || read(channel, &go, 1) != 1)
            break;
        err = p->ops->set_state(p, &ref, KFE_KEY_DESTROYED);
        if (write(channel, &go, 1) != 1)
            break;
    }
    if (err)
        fprintf(stderr, "%s: %s\n", kfe_error_name(err), kfe_error_detail());
    if (p)
        p->ops->free(p);
    _exit(err ? 1 : 0);
}

static void await_word(const stranger *s)
{
    char word;
    assert_int_equal(read(s->channel, &word, 1), 1);
}

static stranger stranger_start(const test_token *h)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    stranger s = {.pid = fork(), .channel = ends[0]};
    assert_true(s.pid >= 0);
    if (s.pid == 0) {
        close(ends[0]);
        live(h, ends[1]);
    }
    close(ends[1]);
    await_word(&s); /* two who start a token at one moment are another question */
    return s;
}

static void stranger_end(stranger *s)
{
    int status = 1;
    close(s->channel);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_int_equal(status, 0);
}

static bool has_word(const stranger *s)
{
    struct pollfd fd = {.fd = s->channel, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

/* By another process, whenever that comes. */
static void test_destroyed_at_any_time(void **state)
{
    test_token_needs(TOKEN_IS_FRESH); /* and so shows what other processes do */
    stranger s = stranger_start(*state);
    kfe_key_provider *p = test_token_open(*state);
    for (int i = 0; i < ROUNDS; i++) {
        char name[32] = "";
        snprintf(name, sizeof(name), "k%d", i);
        assert_int_equal(write(s.channel, name, sizeof(name)), sizeof(name));
        await_word(&s);
        assert_int_equal(keys_look(p, name, 1, NULL, NULL), KFE_OK);
        assert_int_equal(write(s.channel, "d", 1), 1);
        kfe_error says = KFE_OK;
        for (bool last = false; says == KFE_OK && !last;) {
            last = has_word(&s);
            says = keys_look(p, name, 1, NULL, NULL);
        }
        if (says != KFE_E_KEY_DESTROYED)
            fail_msg("round %d: %s: %s", i, kfe_error_name(says), kfe_error_detail());
        await_word(&s);
    }
    p->ops->free(p);
    stranger_end(&s);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_one_search),
        TOKEN_TEST(test_strangers),
        TOKEN_TEST(test_destroyed_at_each_call),
        TOKEN_TEST(test_destroyed_at_each_call_in_keys),
        TOKEN_TEST(test_a_search_that_sees_nothing),
        TOKEN_TEST(test_destroyed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
