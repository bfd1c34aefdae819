/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tests/pkcs11/aes_key.h"
#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/rows_work.h"
#include "tests/pkcs11/rsa_key.h"
#include "tests/pkcs11/wrap_rig.h"

static const uint8_t text[WORK_LEN] = {'t', 'e', 'x', 't'}, zero[WORK_LEN];

const char *work_name(work_kind kind)
{
    static const char *const names[N_WORKS] = {"derive",
                                               "wrap by AES-GCM",
                                               "unwrap by AES-GCM",
                                               "wrap by RFC 3394",
                                               "unwrap by RFC 3394",
                                               "wrap by RSA",
                                               "unwrap by RSA",
                                               "seal",
                                               "open",
                                               "find",
                                               "make"};
    return names[kind];
}

/* ---- What is done ------------------------------------------------------------------------- */

static kfe_error derive(struct work *w)
{
    uint8_t out[32];
    memset(out, 0xee, sizeof(out));
    kfe_error err = w->key->ops->derive(w->key, rig_input, sizeof(rig_input), out);
    assert_memory_equal(out, err ? zero : w->good, sizeof(out));
    return err;
}

static kfe_error unwrap(struct work *w)
{
    uint8_t back[32];
    memset(back, 0xee, sizeof(back));
    kfe_error err = w->key->ops->unwrap(w->key, wrap_aad, (kfe_bytes){w->wrapped, w->len}, back);
    assert_memory_equal(back, err ? zero : wrap_secret, sizeof(back));
    return err;
}

static kfe_error wrap(struct work *w)
{
    kfe_error err = w->key->ops->wrap(w->key, wrap_aad, wrap_secret, w->wrapped, &w->len);
    assert_true((w->len == 0) == (err != KFE_OK));
    return err;
}

static kfe_key_field field_of(struct work *w, const uint8_t *in, uint8_t *out)
{
    return (kfe_key_field){.aad = wrap_aad.data,
                           .aad_size = wrap_aad.len,
                           .in = in,
                           .len = WORK_LEN,
                           .out = out,
                           .iv_tag = w->iv_tag,
                           .iv_size = w->iv_size};
}

static kfe_error seal(struct work *w)
{
    kfe_error err = w->key->ops->iv_size(w->key, &w->iv_size);
    kfe_key_field field = field_of(w, text, w->sealed);
    return err ? err : w->key->ops->seal(w->key, &field, 1);
}

static kfe_error open(struct work *w)
{
    uint8_t back[WORK_LEN];
    memset(back, 0xee, sizeof(back));
    kfe_key_field field = field_of(w, w->sealed, back);
    kfe_error err = w->key->ops->open(w->key, &field, 1);
    if (!err && field.forged)
        err = KFE_E_AUTH;
    assert_memory_equal(back, err ? zero : text, sizeof(back));
    return err;
}

static kfe_error find(struct work *w)
{
    const kfe_key_ref ref = {"k", 1};
    kfe_key *key = NULL;
    kfe_error err = w->p->ops->get_key(w->p, &ref, &key);
    assert_true((key == NULL) == (err != KFE_OK));
    if (key)
        key->ops->release(key);
    return err;
}

/* Always another one, as a name that was used is not made again; the last one goes, as a token that
 * is full of keys is slow. */
static kfe_error make(struct work *w)
{
    char name[16];
    raw_token raw;
    CK_OBJECT_HANDLE key;
    snprintf(name, sizeof(name), "k%u", ++w->made);
    kfe_error err = w->p->ops->create(w->p, name);
    if (err)
        return err;
    raw_open(&raw);
    assert_int_equal(raw_count(&raw, CKO_SECRET_KEY, name, &key), 1);
    assert_int_equal(raw.calls->C_DestroyObject(raw.session, key), CKR_OK);
    raw_close(&raw);
    return KFE_OK;
}

kfe_error work_do(struct work *w)
{
    static kfe_error (*const does[N_WORKS])(struct work * w) = {
        derive, wrap, unwrap, wrap, unwrap, wrap, unwrap, seal, open, find, make};
    return does[w->kind](w);
}

kfe_error work_do_again(struct work *w)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    kfe_error err = work_do(w);
    while (err == KFE_E_PROVIDER && now_ms() < until) {
        pause_1_ms();
        err = work_do(w);
    }
    return err;
}

/* ---- The key ------------------------------------------------------------------------------ */

static void make_key(struct work *w)
{
    const rsa_spec rsa = rsa_good("k", 1);
    switch (w->kind) {
    case WORK_DERIVE:
    case WORK_FIND:
    case WORK_MAKE:
        rig_make_key(w->h);
        break;
    case WORK_WRAP_RFC3394:
    case WORK_UNWRAP_RFC3394:
        aes_import("k", 1, 32, AES_KEY_WRAP);
        break;
    case WORK_WRAP_RSA:
    case WORK_UNWRAP_RSA:
        w->rsa = rsa_import(&rsa);
        rsa_allow(w->h->config);
        break;
    default:
        aes_import("k", 1, 32, AES_CRYPT);
    }
}

static void must(kfe_error err)
{
    if (err)
        fail_msg("%s: %s", kfe_error_name(err), kfe_error_detail());
}

void work_init(struct work *w, const test_token *h, work_kind kind)
{
    *w = (struct work){.h = h, .kind = kind};
    make_key(w);
    w->p = test_token_open(h);
    w->key = aes_get(w->p, "k", 1);
    if (kind == WORK_DERIVE)
        must(w->key->ops->derive(w->key, rig_input, sizeof(rig_input), w->good));
    if (kind == WORK_UNWRAP_GCM || kind == WORK_UNWRAP_RFC3394)
        must(wrap(w));
    if (w->rsa)
        w->len = rsa_encrypt(w->rsa, &rsa_right, wrap_secret, 32, w->wrapped);
    if (kind == WORK_OPEN)
        must(seal(w));
    h->shim->reset();
    must(work_do(w));
    w->rsa_is_raw = w->rsa && h->shim->calls("C_DecryptInit") == 2;
    must(work_do(w));
}

void work_wipe(struct work *w)
{
    w->h->shim->reset();
    w->key->ops->release(w->key);
    w->p->ops->free(w->p);
    EVP_PKEY_free(w->rsa);
}

kfe_key_provider_statistics work_statistics(const struct work *w)
{
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    w->p->ops->statistics(w->p, &s);
    return s;
}
