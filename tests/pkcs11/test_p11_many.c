/* SPDX-License-Identifier: Apache-2.0 */
/* Are all keys of a token listed, however many there are and however slow it is, and are others
 * served meanwhile? */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/pkcs11/keys_rig.h"
#include "tests/pkcs11/test_token.h"

enum { KEYS = 90, TIMEOUT_MS = 2000, DELAY_US = 25000 };

typedef struct {
    const test_token *h;
    kfe_key_provider *p;
    unsigned seen[KEYS + 1]; /* by version */
    kfe_error err;
    char detail[200];
    atomic_bool ended;
} scene;

/* So many calls of that length take twice the deadline. */
static void scene_init(scene *s, const test_token *h)
{
    static const uint8_t secret[32] = {1, 2, 3};
    raw_token raw;
    char timeout[16];
    *s = (scene){.h = h};
    raw_open(&raw);
    for (uint32_t v = 1; v <= KEYS; v++) {
        char name[8];
        snprintf(name, sizeof(name), "k%u", v);
        raw_key key = raw_key_good(name, v, secret); /* no two with one CKA_ID */
        raw_import(&raw, &key);
    }
    raw_close(&raw);
    snprintf(timeout, sizeof(timeout), "%d", TIMEOUT_MS);
    assert_int_equal(kfe_config_set(h->config, "encryption.keyprovider.pkcs11.timeout.ms", timeout),
                     KFE_OK);
    s->p = test_token_open(h);
    h->shim->reset();
}

static kfe_error list_one(void *arg, const kfe_key_info *key)
{
    scene *s = arg;
    if (key->version <= KEYS && !key->wrong && key->where)
        s->seen[key->version]++;
    return KFE_OK;
}

static void probe_one(void *arg, kfe_probe_verdict verdict, const char *what, const char *found)
{
    scene *s = arg;
    unsigned version;
    (void)found;
    if (sscanf(what, "key k%*u@%u", &version) == 1 && version <= KEYS && verdict == KFE_PROBE_CAN)
        s->seen[version]++;
}

static void keep_error(scene *s, kfe_error err)
{
    s->err = err;
    snprintf(s->detail, sizeof(s->detail), "%s", err ? kfe_error_detail() : "");
}

/* Each key once. */
static void expect_all(scene *s)
{
    if (s->err)
        fail_msg("%s: %s", kfe_error_name(s->err), s->detail);
    for (uint32_t v = 1; v <= KEYS; v++)
        if (s->seen[v] != 1)
            fail_msg("k@%u was seen %u times", v, s->seen[v]);
    memset(s->seen, 0, sizeof(s->seen));
}

static void scene_wipe(scene *s)
{
    s->h->shim->reset();
    s->p->ops->free(s->p);
}

static void *list_all(void *arg)
{
    scene *s = arg;
    keep_error(s, s->p->ops->list(s->p, list_one, s));
    s->ended = true;
    return NULL;
}

static void test_list_slow(void **state)
{
    scene s;
    pthread_t thread;
    unsigned long looked = 0;
    kfe_error err = KFE_OK;
    scene_init(&s, *state);
    s.h->shim->delay("C_GetAttributeValue", DELAY_US);
    assert_int_equal(pthread_create(&thread, NULL, list_all, &s), 0);
    for (; !s.ended && !err; looked++)
        err = keys_look(s.p, "k7", 7, NULL, NULL);
    if (err)
        print_message("look-up %lu: %s: %s\n", looked, kfe_error_name(err), kfe_error_detail());
    pthread_join(thread, NULL);
    const unsigned long calls = s.h->shim->calls("C_GetAttributeValue");
    scene_wipe(&s);
    assert_int_equal(err, KFE_OK);
    assert_in_range(looked, 2, 1000);
    assert_true(calls * DELAY_US > TIMEOUT_MS * 1000);
    expect_all(&s);
}

/* What it tries of the token itself may take longer, by which nothing is said here. */
static void test_probe_slow(void **state)
{
    scene s;
    scene_init(&s, *state);
    s.h->shim->delay("C_GetAttributeValue", DELAY_US);
    keep_error(&s, s.p->ops->probe(s.p, probe_one, &s));
    scene_wipe(&s);
    expect_all(&s);
}

static unsigned long until_loss;

static void lose(void *arg)
{
    if (until_loss-- == 0)
        ((const test_token *)arg)->shim->lose_handles(SHIM_SESSIONS);
}

/* Sessions and login are gone, or an object, at each tenth look. */
static void test_lost_in_between(void **state)
{
    scene s;
    scene_init(&s, *state);
    list_all(&s);
    const unsigned long calls = s.h->shim->calls("C_GetAttributeValue");
    expect_all(&s);
    assert_true(calls >= 2 * KEYS);
    for (unsigned long at = 0; at < calls; at += calls / 5) {
        s.h->shim->reset();
        s.h->shim->delay("C_GetAttributeValue", 2000); /* several pieces */
        s.h->shim->inject("C_GetAttributeValue", SHIM_INSTEAD, CKR_OBJECT_HANDLE_INVALID, at, 1);
        list_all(&s);
        expect_all(&s);
        until_loss = at;
        s.h->shim->before_each("C_GetAttributeValue", lose, (void *)(uintptr_t)s.h);
        list_all(&s);
        s.h->shim->before_each("C_GetAttributeValue", NULL, NULL);
        expect_all(&s);
    }
    scene_wipe(&s);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_list_slow),
        TOKEN_TEST(test_probe_slow),
        TOKEN_TEST(test_lost_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
