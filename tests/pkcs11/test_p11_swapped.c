/* SPDX-License-Identifier: Apache-2.0 */
/* Is no other key used when a token gives the handle of one to another? Some give small numbers
 * anew. */
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/keys_rig.h"

static const uint8_t secret[32] = {7, 7, 7};
static const kfe_bytes aad = {(const uint8_t *)"a context", 9};

typedef struct {
    const test_token *h;
    kfe_key_provider *provider;
    kfe_key *orders, *payments;
} scene;

static scene scene_new(void **state, kfe_key_purpose purpose, const char *session)
{
    scene s = {.h = *state, .provider = aes_open(*state, session)};
    assert_int_equal(s.provider->ops->create_kind(s.provider, "orders", purpose), KFE_OK);
    assert_int_equal(s.provider->ops->create_kind(s.provider, "payments", purpose), KFE_OK);
    s.orders = aes_get(s.provider, "orders", 1);
    s.payments = aes_get(s.provider, "payments", 1);
    return s;
}

static void scene_free(scene *s)
{
    s->orders->ops->release(s->orders);
    s->payments->ops->release(s->payments);
    s->provider->ops->free(s->provider);
}

/* The numbers that the module itself has for up to two keys in the token, or session copies. */
static unsigned handles_of(const char *label, CK_BBOOL in_token, CK_OBJECT_HANDLE out[2])
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_OBJECT_HANDLE found[8];
    CK_ULONG n = 0;
    unsigned fit = 0;
    raw_token raw;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_FindObjectsInit(raw.session, a, 2), CKR_OK);
    assert_int_equal(raw.calls->C_FindObjects(raw.session, found, 8, &n), CKR_OK);
    assert_int_equal(raw.calls->C_FindObjectsFinal(raw.session), CKR_OK);
    for (CK_ULONG i = 0; i < n && fit < 2; i++) {
        CK_BBOOL token = CK_FALSE;
        CK_ATTRIBUTE read = {CKA_TOKEN, &token, sizeof(token)};
        assert_int_equal(raw.calls->C_GetAttributeValue(raw.session, found[i], &read, 1), CKR_OK);
        if (!token == !in_token)
            out[fit++] = found[i];
    }
    raw_close(&raw);
    return fit;
}

static CK_OBJECT_HANDLE handle_of(const char *label, CK_BBOOL in_token)
{
    CK_OBJECT_HANDLE handles[2];
    assert_int_equal(handles_of(label, in_token, handles), 1);
    return handles[0];
}

static void swap(const scene *s, CK_BBOOL in_token)
{
    s->h->shim->swap_handles(handle_of("orders", in_token), handle_of("payments", in_token));
}

/* ---- Derived ------------------------------------------------------------------------------ */

static void derive(kfe_key *key, uint8_t out[32])
{
    kfe_error err = key->ops->derive(key, aad.data, aad.len, out);
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
}

static void test_derived(void **state)
{
    scene s = scene_new(state, KFE_FOR_DERIVED, "auto");
    uint8_t orders[32], payments[32], out[32];
    derive(s.orders, orders);
    derive(s.payments, payments);
    assert_memory_not_equal(orders, payments, 32);
    swap(&s, CK_TRUE);
    const unsigned long searches = s.h->shim->calls("C_FindObjectsInit");
    for (int i = 0; i < 3; i++) {
        derive(s.orders, out);
        assert_memory_equal(out, orders, 32);
        derive(s.payments, out);
        assert_memory_equal(out, payments, 32);
    }
    assert_int_equal(s.h->shim->calls("C_FindObjectsInit"), searches + 2); /* found once again */
    scene_free(&s);
}

/* With two keys of the name orders: the provider's first one derives what it did. */
static void swap_namesakes(const scene *s)
{
    CK_OBJECT_HANDLE handles[2];
    uint8_t before[32], out[32];
    derive(s->orders, before);
    assert_int_equal(handles_of("orders", CK_TRUE, handles), 2);
    s->h->shim->swap_handles(handles[0], handles[1]);
    derive(s->orders, out);
    assert_memory_equal(out, before, 32);
}

static void test_versions(void **state)
{
    scene s = scene_new(state, KFE_FOR_DERIVED, "auto");
    uint32_t version;
    assert_int_equal(s.provider->ops->rotate(s.provider, "orders", &version), KFE_OK);
    swap_namesakes(&s);
    scene_free(&s);
}

/* One that anybody can have put there, without a PIN. */
static void test_public(void **state)
{
    test_token_needs(TOKEN_KEEPS_TWINS);
    scene s = scene_new(state, KFE_FOR_DERIVED, "auto");
    raw_token raw;
    raw_key planted = raw_key_good("orders", 1, secret);
    planted.private = CK_FALSE;
    raw_open(&raw);
    raw_import(&raw, &planted);
    raw_close(&raw);
    swap_namesakes(&s);
    scene_free(&s);
}

/* Its own object is gone, its number another's. */
static void test_destroyed(void **state)
{
    scene s = scene_new(state, KFE_FOR_DERIVED, "auto");
    uint8_t out[32];
    derive(s.orders, out);
    swap(&s, CK_TRUE);
    kfe_key_provider *other = test_token_open(s.h);
    assert_int_equal(keys_set_state(other, "orders", 1, KFE_KEY_DESTROYED), KFE_OK);
    other->ops->free(other);
    assert_int_equal(s.orders->ops->derive(s.orders, aad.data, aad.len, out), KFE_E_KEY_DESTROYED);
    scene_free(&s);
}

/* ---- Wrapped ------------------------------------------------------------------------------ */

static void test_wrapped(void **state)
{
    scene s = scene_new(state, KFE_FOR_WRAPPED, "auto");
    uint8_t wrapped[2][KFE_KEY_WRAPPED_MAX], out[32];
    size_t len[2];
    kfe_key *key = s.orders;
    for (int i = 0; i < 2; i++) { /* the second one while the handles are swapped */
        assert_int_equal(key->ops->wrap(key, aad, secret, wrapped[i], &len[i]), KFE_OK);
        swap(&s, CK_TRUE);
    }
    for (int swaps = 0; swaps < 2; swaps++) {
        for (int i = 0; i < 2; i++) {
            memset(out, 0, sizeof(out));
            assert_int_equal(key->ops->unwrap(key, aad, (kfe_bytes){wrapped[i], len[i]}, out),
                             KFE_OK);
            assert_memory_equal(out, secret, sizeof(secret));
        }
        s.h->shim->swap_handles(0, 0);
    }
    scene_free(&s);
}

/* ---- Direct ------------------------------------------------------------------------------- */

enum { FIELDS = 4 };

typedef struct {
    kfe_key_field fields[FIELDS];
    uint8_t sealed[FIELDS][32], opened[FIELDS][32], iv_tag[FIELDS][32];
} batch;

static void seal(kfe_key *key, batch *b)
{
    unsigned iv_size;
    assert_int_equal(key->ops->iv_size(key, &iv_size), KFE_OK);
    for (int i = 0; i < FIELDS; i++)
        b->fields[i] = (kfe_key_field){.aad = aad.data,
                                       .aad_size = aad.len,
                                       .in = secret,
                                       .len = sizeof(secret),
                                       .out = b->sealed[i],
                                       .iv_tag = b->iv_tag[i],
                                       .iv_size = iv_size};
    assert_int_equal(key->ops->seal(key, b->fields, FIELDS), KFE_OK);
}

static void open_again(kfe_key *key, batch *b)
{
    for (int i = 0; i < FIELDS; i++) {
        b->fields[i].in = b->sealed[i];
        b->fields[i].out = b->opened[i];
    }
    assert_int_equal(key->ops->open(key, b->fields, FIELDS), KFE_OK);
    for (int i = 0; i < FIELDS; i++) {
        assert_false(b->fields[i].forged);
        assert_memory_equal(b->opened[i], secret, sizeof(secret));
    }
}

/* Sealed and opened before the handles are swapped, while they are, and after. */
static void direct(scene *s, CK_BBOOL in_token)
{
    batch before, meanwhile;
    seal(s->orders, &before);
    seal(s->payments, &meanwhile);
    swap(s, in_token);
    open_again(s->orders, &before);
    seal(s->orders, &meanwhile);
    s->h->shim->swap_handles(0, 0);
    open_again(s->orders, &meanwhile);
    open_again(s->orders, &before);
}

static void test_direct(void **state)
{
    scene s = scene_new(state, KFE_FOR_DIRECT, "direct");
    s.h->shim->inject("C_CopyObject", SHIM_INSTEAD, CKR_FUNCTION_NOT_SUPPORTED, 0, 1000);
    direct(&s, CK_TRUE);
    scene_free(&s);
}

static void test_session_copies(void **state)
{
    scene s = scene_new(state, KFE_FOR_DIRECT, "direct");
    direct(&s, CK_FALSE);
    assert_in_range(s.h->shim->calls("C_CopyObject"), 2, 8);
    scene_free(&s);
}

static void swap_now(void *arg)
{
    swap(arg, CK_TRUE);
}

/* A copy is made of whatever the handle names by then. */
static void test_copy_of_another(void **state)
{
    scene s = scene_new(state, KFE_FOR_DIRECT, "direct");
    batch b;
    s.h->shim->before("C_CopyObject", swap_now, &s);
    seal(s.orders, &b);
    s.h->shim->swap_handles(0, 0);
    open_again(s.orders, &b);
    scene_free(&s);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_token_setup, test_token_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_derived),        TOKEN_TEST(test_versions),        TOKEN_TEST(test_public),
        TOKEN_TEST(test_destroyed),      TOKEN_TEST(test_wrapped),         TOKEN_TEST(test_direct),
        TOKEN_TEST(test_session_copies), TOKEN_TEST(test_copy_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
