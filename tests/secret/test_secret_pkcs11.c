/* SPDX-License-Identifier: Apache-2.0 */
/* Is what the PKCS#11 provider handles where it belongs, and does it stay behind? The token is in
 * another process. So of PIN, master keys, session secrets, data keys and fields nothing may be in
 * this one right after each call of the provider, whether it succeeded or failed, but where
 * somebody holds it: not in freed memory nor on the stack of any thread. And meanwhile, whenever
 * the module is called or has answered, they are in protected memory alone; but for fields, which
 * are the application's. */
#include "tests/secret/far.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/pkcs11.h>

/* ---- A provider ---------------------------------------------------------------------------------
 */

typedef struct {
    kfe_config *config;
    kfe_key_provider *provider;
    kfe_key *key;
    kfe_key_field field;
    uint8_t out[KFE_KEY_WRAPPED_MAX], tag[32];
    size_t len;
    uint32_t version;
    kfe_bytes wrapped;
} scene;

enum { FIELD_COPIES = 3 }; /* as it was given, in the token's buffer, and as it is given back */

static const kfe_bytes aad = {(const uint8_t *)"bound", 5};

typedef struct {
    kfe_error (*call)(scene *s);
    scene *s;
} step;

static kfe_error make(void *arg)
{
    const step *one = arg;
    return one->call(one->s);
}

/* A secret that may be in ordinary memory meanwhile: a field. -1: none. */
static int plain = -1;

static kfe_error watched(kfe_error (*call)(scene *s), scene *s)
{
    step one = {call, s};
    far_watch(plain, FIELD_COPIES);
    kfe_error err = hunt_below(make, &one);
    far_watch_end();
    return err;
}

static void must(kfe_error (*call)(scene *s), scene *s)
{
    if (watched(call, s) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
}

static kfe_error open_provider(scene *s)
{
    return kfe_pkcs11.open(&s->provider, s->config);
}

static scene scene_new(const char *name)
{
    scene s = {.config = far_token_config("right")};
    kit_set(s.config, "encryption.keyprovider.pkcs11.allow.rsa", "true");
    must(open_provider, &s);
    far_watched(FAR_PIN, 1, "C_Login");
    far_nothing("opening the provider");
    const kfe_key_ref ref = {name, 1};
    if (name && s.provider->ops->get_key(s.provider, &ref, &s.key) != KFE_OK)
        fail_msg("%s", kfe_error_detail());
    return s;
}

static kfe_error close_provider(scene *s)
{
    if (s->key)
        s->key->ops->release(s->key);
    s->provider->ops->free(s->provider);
    return KFE_OK;
}

static void scene_free(scene *s)
{
    must(close_provider, s);
    far_nothing("closing the provider");
    kfe_config_free(s->config);
}

/* ---- Calls of a key
 * ------------------------------------------------------------------------------ */

static void say_the_pin(void *unused)
{
    (void)unused;
    char pin[64] = "PIN=", hex[64];
    far_require(!far_is_said());
    for (size_t i = 0; i < far_secrets[FAR_PIN]->len; i++)
        snprintf(hex + 2 * i, 3, "%02x",
                 far_secrets[FAR_PIN]->masked[i] ^ far_secrets[FAR_PIN]->mask[i]);
    far_say(hex);
    far_require(far_is_said());
    hunt_get(far_secrets[FAR_PIN], pin + 4);
    far_say(pin);
    far_require(far_is_said());
}

static void a_planted_copy_is_found(void **state)
{
    (void)state;
    static hunt_find two[HUNT_FINDS_MAX];
    far_nothing("the start");
    hunt_child(say_the_pin, NULL);
    uint8_t *planted = malloc(64);
    assert_non_null(planted);
    hunt_get(far_secrets[FAR_PIN], planted);
    hunt_get(far_secrets[FAR_MASTER], far_safe);
    assert_int_equal(hunt(far_secrets, FAR_SECRETS, two), 2);
    kfe_wipe(planted, 64);
    free(planted);
    far_wipe();
}

static kfe_error derive(scene *s)
{
    return s->key->ops->derive(s->key, (const uint8_t *)"x", 1, far_safe);
}

static void deriving(void **state)
{
    (void)state;
    scene s = scene_new("derived");
    hunt_child(far_make_mac, NULL);
    for (int i = 0; i < 3; i++) {
        must(derive, &s);
        far_watched(FAR_MAC, 1, "C_Sign");
        far_found(FAR_MAC, 1, 0, "deriving");
        far_wipe();
    }
    scene_free(&s);
}

static kfe_error wrap(scene *s)
{
    return s->key->ops->wrap(s->key, aad, far_safe, s->out, &s->len);
}

static kfe_error unwrap(scene *s)
{
    return s->key->ops->unwrap(s->key, aad, (kfe_bytes){s->out, s->len}, far_safe);
}

/* `in`, `out`: the calls that the secret goes through. */
static void wrapping(const char *name, uint8_t form, const char *in, const char *out)
{
    scene s = scene_new(name);
    hunt_child(far_make_random, far_secrets[FAR_SECRET]);
    for (int i = 0; i < 2; i++) { /* the first one is undone as well */
        hunt_get(far_secrets[FAR_SECRET], far_safe);
        must(wrap, &s);
        far_watched(FAR_SECRET, 2, in); /* the test's own is one */
        far_found(FAR_SECRET, 1, 0, "wrapping");
        far_wipe();
    }
    assert_int_equal(s.out[0], form);
    must(unwrap, &s);
    far_watched(FAR_SECRET, 1, out);
    far_found(FAR_SECRET, 1, 0, "unwrapping");
    far_wipe();
    s.out[s.len - 1] ^= 1;
    far_say_error(watched(unwrap, &s));
    far_nothing("a forged secret");
    scene_free(&s);
    far_nothing_was_said();
}

static void wrapping_by_gcm(void **state)
{
    (void)state;
    wrapping("wrapped", 2, "C_Encrypt", "C_Decrypt");
}

static void wrapping_by_rfc3394(void **state)
{
    (void)state;
    wrapping("rfc3394", 1, "C_CreateObject", "C_GetAttributeValue");
}

/* By libp11, as this token's own lacks the hash: what it decrypts is still padded. */
static void wrapping_by_rsa(void **state)
{
    (void)state;
    scene s = scene_new("rsa");
    hunt_child(far_make_random, far_secrets[FAR_SECRET]);
    hunt_get(far_secrets[FAR_SECRET], far_safe);
    must(wrap, &s);
    far_found(FAR_SECRET, 1, 0, "wrapping under an RSA key");
    far_wipe();
    hunt_child(far_make_oaep, far_secrets[FAR_SECRET]);
    memcpy(s.out, far_told, s.len);
    must(unwrap, &s);
    far_watched(FAR_BLOCK, 1, "C_Decrypt");
    far_found(FAR_SECRET, 1, 0, "unwrapping by an RSA key");
    far_wipe();
    s.out[s.len - 1] ^= 1;
    far_say_error(watched(unwrap, &s));
    far_nothing("a secret forged for an RSA key");
    scene_free(&s);
    far_nothing_was_said();
}

static kfe_error seal(scene *s)
{
    return s->key->ops->seal(s->key, &s->field, 1);
}

static kfe_error open(scene *s)
{
    return s->key->ops->open(s->key, &s->field, 1);
}

/* Fields are no keys; but here they pass through the provider's own memory. */
static void fields(void **state)
{
    (void)state;
    scene s = scene_new("direct");
    plain = FAR_DATA;
    hunt_child(far_make_random, far_secrets[FAR_DATA]);
    s.field = (kfe_key_field){
        .aad = aad.data, .aad_size = aad.len, .in = far_safe, .len = 32, .out = s.out};
    s.field.iv_tag = s.tag;
    assert_int_equal(s.key->ops->iv_size(s.key, &s.field.iv_size), KFE_OK);
    hunt_get(far_secrets[FAR_DATA], far_safe);
    must(seal, &s);
    far_found(FAR_DATA, 1, 0, "sealing a field");
    far_wipe();
    s.field.in = s.out;
    s.field.out = far_safe;
    must(open, &s);
    far_found(FAR_DATA, 1, 0, "opening a field");
    far_wipe();
    s.tag[s.field.iv_size] ^= 1;
    must(open, &s);
    assert_true(s.field.forged);
    far_nothing("a forged field");
    s.field.iv_size = 16;
    (void)!watched(open, &s);
    far_nothing("an odd field");
    plain = -1;
    scene_free(&s);
}

/* ---- PINs
 * ---------------------------------------------------------------------------------------- */

static long tell(void *arg, const char *option, uint8_t *out, size_t cap)
{
    const hunt_secret *pin = arg;
    if (strcmp(option, "encryption.keyprovider.pkcs11.pin") != 0 || cap < pin->len)
        return -1;
    hunt_get(pin, out);
    return (long)pin->len;
}

static void a_pin_that_is_asked_for(void **state)
{
    (void)state;
    scene s = {.config = far_token_config(NULL)};
    kfe_config_on_secret(s.config, tell, far_secrets[FAR_PIN]);
    must(open_provider, &s);
    far_watched(FAR_PIN, 1, "C_Login");
    far_nothing("opening the provider");
    scene_free(&s);
}

/* By the control thread: whoever opened is not there to be asked. */
static void a_login_that_was_lost(void **state)
{
    (void)state;
    scene s = scene_new("derived");
    hunt_child(far_make_mac, NULL);
    far_token_log_out();
    must(derive, &s);
    far_watched(FAR_PIN, 1, "C_Login");
    far_found(FAR_MAC, 1, 0, "logging in again");
    far_wipe();
    scene_free(&s);
}

static void a_pin_that_is_refused(void **state)
{
    (void)state;
    scene s = {.config = far_token_config("wrong")};
    for (int i = 0; i < 2; i++) { /* the second time it is remembered, and still known nowhere */
        far_say_error(watched(open_provider, &s));
        far_watched(FAR_WRONG_PIN, i == 0, "C_Login");
        far_nothing("a wrong PIN");
    }
    kfe_config_free(s.config);
    far_nothing_was_said();
}

/* ---- Managing keys
 * -------------------------------------------------------------------------------- */

static kfe_error import(scene *s)
{
    return s->provider->ops->import(s->provider, "moved", far_safe, &s->version);
}

static kfe_error import_nameless(scene *s)
{
    return s->provider->ops->import(s->provider, "a name\n", far_safe, &s->version);
}

static kfe_error import_wrapped(scene *s)
{
    return s->provider->ops->import_wrapped(s->provider, "moved", "rfc3394", s->wrapped,
                                            &s->version);
}

static void importing(void **state)
{
    (void)state;
    scene s = scene_new(NULL);
    hunt_child(far_make_random, far_secrets[FAR_MOVED]);
    hunt_get(far_secrets[FAR_MOVED], far_safe);
    must(import, &s);
    far_watched(FAR_MOVED, 2, "C_CreateObject");
    far_found(FAR_MOVED, 1, 0, "importing a key");
    far_say_error(watched(import_nameless, &s));
    far_found(FAR_MOVED, 1, 0, "importing a key without a name");
    far_wipe();
    hunt_child(far_make_rfc3394, far_secrets[FAR_MOVED]);
    s.wrapped = (kfe_bytes){far_told, 40};
    must(import_wrapped, &s);
    far_nothing("importing a wrapped key");
    far_told[7] ^= 1;
    far_say_error(watched(import_wrapped, &s));
    far_nothing("importing a forged key");
    scene_free(&s);
    far_nothing_was_said();
}

static kfe_error export_as(scene *s, const char *name)
{
    const kfe_key_ref ref = {name, 1};
    s->len = sizeof(s->out);
    return s->provider->ops->export_wrapped(s->provider, &ref, "rfc3394", s->out, &s->len);
}

static kfe_error export_loose(scene *s)
{
    return export_as(s, "loose");
}

static kfe_error export_strict(scene *s)
{
    return export_as(s, "derived");
}

static void exporting(void **state)
{
    (void)state;
    scene s = scene_new(NULL);
    must(export_loose, &s);
    far_nothing("exporting a key");
    far_say_error(watched(export_strict, &s));
    far_nothing("a key that may not leave");
    scene_free(&s);
    far_nothing_was_said();
}

static void line(void *arg, kfe_probe_verdict verdict, const char *what, const char *found)
{
    (void)arg;
    (void)verdict;
    far_say(what);
    far_say(found);
}

static kfe_error each(void *arg, const kfe_key_info *key)
{
    (void)arg;
    far_say(key->name);
    far_say(key->where ? key->where : "");
    far_say(key->wrong ? key->wrong : "");
    return KFE_OK;
}

static void looking_at_keys(void **state)
{
    (void)state;
    kfe_key *key = NULL;
    scene s = scene_new(NULL);
    const kfe_key_provider_ops *ops = s.provider->ops;
    assert_int_equal(ops->create(s.provider, "fresh"), KFE_OK);
    assert_int_equal(ops->rotate(s.provider, "derived", &s.version), KFE_OK);
    assert_int_equal(ops->probe(s.provider, line, NULL), KFE_OK);
    far_nothing("probing");
    assert_int_equal(ops->list(s.provider, each, NULL), KFE_OK);
    far_nothing("listing");
    const kfe_key_ref loose = {"loose", 1}, none = {"loose", 2};
    far_say_error(ops->get_key(s.provider, &loose, &key));
    far_say_error(ops->get_key(s.provider, &none, &key));
    scene_free(&s);
    far_nothing_was_said();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_planted_copy_is_found),
        cmocka_unit_test(deriving),
        cmocka_unit_test(wrapping_by_gcm),
        cmocka_unit_test(wrapping_by_rfc3394),
        cmocka_unit_test(wrapping_by_rsa),
        cmocka_unit_test(fields),
        cmocka_unit_test(a_pin_that_is_asked_for),
        cmocka_unit_test(a_login_that_was_lost),
        cmocka_unit_test(a_pin_that_is_refused),
        cmocka_unit_test(importing),
        cmocka_unit_test(exporting),
        cmocka_unit_test(looking_at_keys),
    };
    return cmocka_run_group_tests(tests, far_begin, NULL);
}
