/* SPDX-License-Identifier: Apache-2.0 */
/* <kfe/gcm.h>: arguments are checked here, the rest is a backend's.
 *
 * Descriptors are first looked over in a pass that only tells whether all is as usual, cheap beside
 * the smallest message, and one by one when it is not. */
#include <kfe/gcm.h>

#include <stddef.h>
#include <string.h>

#include <kfe/config.h>

#include "engine/aead.h"
#include "engine/envelope.h"

/* An AAD has at most 2^61 - 1 bytes: this many and the longest `aad_len`. */
static const uint64_t prefix_max = ((uint64_t)1 << 61) - ((uint64_t)1 << 32);

/* ---- Keys --------------------------------------------------------------------------------- */

static unsigned suite_of(size_t len)
{
    return len == 16 ? KFE_A128GCM : len == 24 ? KFE_A192GCM : KFE_A256GCM;
}

kfe_error kfe_gcm_key_new(kfe_gcm_key **out, const uint8_t *key, size_t len, const char *backend)
{
    if (out == NULL || key == NULL || (len != 16 && len != 24 && len != 32))
        return kfe_fail(KFE_E_ARGUMENT,
                        "kfe_gcm_key_new: a key has 16, 24 or 32 bytes, and no argument is NULL "
                        "but `backend`");
    const kfe_backend *picked = NULL;
    kfe_error err = kfe_backend_pick(backend == NULL ? "auto" : backend, NULL, &picked);
    if (err)
        return err;
    uint8_t raw[32] = {0};
    memcpy(raw, key, len);
    err = kfe_aead_key_new_plain(out, picked, NULL, suite_of(len), raw);
    kfe_wipe(raw, sizeof(raw));
    return err;
}

void kfe_gcm_key_free(kfe_gcm_key *key)
{
    kfe_aead_key_free_plain(key);
}

const char *kfe_gcm_key_backend(const kfe_gcm_key *key)
{
    return key->backend->name;
}

kfe_error kfe_gcm_absorb(const kfe_gcm_key *key, const uint8_t *aad, size_t len,
                         kfe_gcm_prefix *out)
{
    if (key == NULL || out == NULL || (aad == NULL && len > 0))
        return kfe_fail(KFE_E_ARGUMENT, "kfe_gcm_absorb: NULL argument");
    if (len % 16 != 0 || len > prefix_max)
        return kfe_fail(KFE_E_ARGUMENT,
                        "kfe_gcm_absorb: %zu bytes are too many, or no multiple of 16", len);
    *out = (kfe_gcm_prefix){.len = len};
    key->backend->hash(key, out->ghash, aad, len / 16);
    return KFE_OK;
}

/* ---- Descriptors --------------------------------------------------------------------------- */

/* Why one operation cannot be done; NULL: it can. */
static const char *fault_of(const kfe_gcm_op *op)
{
    if (op->key == NULL || op->nonce == NULL || op->tag == NULL)
        return "key, nonce or tag is NULL";
    if ((op->aad == NULL && op->aad_len > 0) ||
        ((op->in == NULL || op->out == NULL) && op->len > 0))
        return "a pointer to some bytes is NULL";
    if (op->prefix != NULL && (op->prefix->len % 16 != 0 || op->prefix->len > prefix_max))
        return "its prefix is none, or longer than an AAD may be";
    return NULL;
}

/* An operation as four pairs of words; compilers know a vector of this size everywhere. */
typedef uint64_t pair __attribute__((vector_size(16)));
enum { KEY_NONCE, PREFIX_AAD, IN_OUT, TAG_LENGTHS };
_Static_assert(sizeof(kfe_gcm_op) == 64 && offsetof(kfe_gcm_op, nonce) == 8 &&
                   offsetof(kfe_gcm_op, prefix) == 16 && offsetof(kfe_gcm_op, aad) == 24 &&
                   offsetof(kfe_gcm_op, in) == 32 && offsetof(kfe_gcm_op, out) == 40 &&
                   offsetof(kfe_gcm_op, tag) == 48 && offsetof(kfe_gcm_op, aad_len) == 56,
               "pairs of words");

static inline pair load(const kfe_gcm_op *op, int i)
{
    pair p;
    memcpy(&p, (const char *)op + 16 * i, sizeof(p));
    return p;
}

typedef struct {
    bool nulls;          /* pointers are NULL that need not be, or may not */
    bool keys, prefixes; /* more than one of them */
} survey;

/* p - 1 has its highest bit set for NULL, and for nothing else that user space has, but for tags in
 * a pointer's highest byte. Both are looked at again. Where no message has AAD, or none has text,
 * those pointers do not matter. */
static survey look_over(const kfe_gcm_op *ops, size_t n)
{
    const pair first = load(ops, KEY_NONCE), second = load(ops, PREFIX_AAD);
    pair always = {0, 0}, aad = {0, 0}, text = {0, 0}, tag = {0, 0};
    pair lengths = {0, 0}, keys = {0, 0}, prefixes = {0, 0};
    for (size_t i = 0; i < n; i++) {
        pair a = load(&ops[i], KEY_NONCE), b = load(&ops[i], PREFIX_AAD);
        pair c = load(&ops[i], IN_OUT), d = load(&ops[i], TAG_LENGTHS);
        always |= a - 1;
        aad |= b - 1;
        text |= c - 1;
        tag |= d - 1;
        lengths |= d;
        keys |= a ^ first;
        prefixes |= b ^ second;
    }
    uint32_t some[2]; /* of AAD and of text */
    memcpy(some, (const char *)&lengths + 8, sizeof(some));
    uint64_t nulls = always[0] | always[1] | tag[0] | (some[0] != 0 ? aad[1] : 0) |
                     (some[1] != 0 ? text[0] | text[1] : 0);
    return (survey){nulls >> 63 != 0, keys[0] != 0, prefixes[0] != 0 || second[0] != 0};
}

/* The backend that may get the whole batch: that of all keys, but for OpenSSL with prefixes. NULL:
 * there is none. */
static const kfe_backend *common_backend(const kfe_gcm_op *ops, size_t n, survey s)
{
    const kfe_gcm_key *key = ops[0].key;
    const kfe_backend *backend = key->backend;
    for (size_t i = 1; s.keys && i < n; i++) {
        if (ops[i].key == key)
            continue;
        key = ops[i].key;
        if (key->backend != backend)
            return NULL;
    }
    return s.prefixes && !backend->from_state ? NULL : backend;
}

static kfe_error refuse(size_t i, const char *fault)
{
    return kfe_fail(KFE_E_ARGUMENT, "operation %zu: %s", i, fault);
}

static kfe_error check_many(const kfe_gcm_op *ops, size_t n, const kfe_backend **backend)
{
    survey s = look_over(ops, n);
    const kfe_gcm_prefix *seen = NULL;
    for (size_t i = 0; (s.nulls || s.prefixes) && i < n; i++) {
        if (!s.nulls && ops[i].prefix == seen)
            continue;
        seen = ops[i].prefix;
        const char *fault = fault_of(&ops[i]);
        if (fault != NULL)
            return refuse(i, fault);
    }
    *backend = common_backend(ops, n, s);
    return KFE_OK;
}

static inline kfe_error check(const kfe_gcm_op *ops, size_t n, const kfe_backend **backend)
{
    if (ops == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "operations are NULL");
    if (n != 1)
        return check_many(ops, n, backend);
    const char *fault = fault_of(ops);
    if (fault != NULL)
        return refuse(0, fault);
    const kfe_backend *own = ops->key->backend;
    *backend = ops->prefix != NULL && !own->from_state ? NULL : own;
    return KFE_OK;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

/* A backend of NULL: they have several. */
static inline kfe_error seal_all(const kfe_backend *backend, const kfe_aead_batch *batch)
{
    return backend != NULL ? backend->seal(batch)
                           : kfe_aead_run_mixed(batch, (kfe_aead_mode){.seal = true});
}

static inline kfe_error open_all(const kfe_backend *backend, const kfe_aead_batch *batch)
{
    return backend != NULL ? backend->open(batch) : kfe_aead_run_mixed(batch, (kfe_aead_mode){0});
}

kfe_error kfe_gcm_seal(const kfe_gcm_op *ops, size_t n)
{
    const kfe_backend *backend = NULL;
    kfe_error err = n == 0 ? KFE_OK : check(ops, n, &backend);
    if (err || n == 0)
        return err;
    err = seal_all(backend, &(kfe_aead_batch){.ops = ops, .n = n});
    for (size_t i = 0; err && i < n; i++)
        kfe_wipe(ops[i].tag, 16);
    return err;
}

static bool any_failed(const uint64_t *failed, size_t n)
{
    uint64_t all = 0;
    for (size_t w = 0; w < (n + 63) / 64; w++)
        all |= failed[w];
    return all != 0;
}

/* Nobody wants to know which ones failed: a portion's bits are enough. */
static __attribute__((noinline)) kfe_error
open_quietly(const kfe_backend *backend, const kfe_gcm_op *ops, size_t n, bool *forged)
{
    enum { PORTION = 1 << 14 };
    uint64_t failed[PORTION / 64];
    for (size_t at = 0; at < n; at += PORTION) {
        size_t some = n - at < PORTION ? n - at : PORTION;
        kfe_error err =
            open_all(backend, &(kfe_aead_batch){.ops = ops + at, .n = some, .failed = failed});
        if (err)
            return err;
        *forged |= any_failed(failed, some);
    }
    return KFE_OK;
}

static inline __attribute__((always_inline)) kfe_error
open_one(const kfe_backend *backend, const kfe_gcm_op *op, uint64_t *failed, bool *forged)
{
    uint64_t bit = 0;
    kfe_error err = open_all(backend, &(kfe_aead_batch){.ops = op, .n = 1, .failed = &bit});
    *forged = bit != 0;
    if (failed != NULL)
        *failed = bit;
    return err;
}

/* Nothing has been verified: every message counts as forged. */
static kfe_error all_failed(kfe_error err, uint64_t *failed, size_t n)
{
    for (size_t w = 0; failed != NULL && w < (n + 63) / 64; w++)
        failed[w] = n - 64 * w < 64 ? ((uint64_t)1 << (n % 64)) - 1 : UINT64_MAX;
    return err;
}

kfe_error kfe_gcm_open(const kfe_gcm_op *ops, size_t n, uint64_t *failed)
{
    const kfe_backend *backend = NULL;
    bool forged = false;
    kfe_error err = n == 0 ? KFE_OK : check(ops, n, &backend);
    if (err || n == 0)
        return all_failed(err, failed, n);
    if (n == 1) {
        err = open_one(backend, ops, failed, &forged);
    } else if (failed == NULL) {
        err = open_quietly(backend, ops, n, &forged);
    } else {
        err = open_all(backend, &(kfe_aead_batch){.ops = ops, .n = n, .failed = failed});
        forged = !err && any_failed(failed, n);
    }
    if (err) {
        for (size_t i = 0; i < n; i++)
            kfe_wipe(ops[i].out, ops[i].len);
        return all_failed(err, failed, n);
    }
    return forged ? kfe_fail(KFE_E_AUTH, "an authentication tag does not match") : KFE_OK;
}
