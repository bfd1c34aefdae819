/* SPDX-License-Identifier: Apache-2.0 */
/* Does the backend give the published answers? NIST's CAVP vectors for AES-GCM and those that
 * BoringSSL and OpenSSL published for ChaCha20-Poly1305, as Debian's python3-cryptography-vectors
 * installs them (KFE_CRYPTOGRAPHY_VECTORS: another place), in batches of mixed keys. What the
 * contract does not take is counted by its reason. */
#include "tests/backend/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/backend/rsp.h"

#define PLACE "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers"

enum { BATCH = 64 };

static const struct {
    const char *path;
    unsigned suite;
    size_t at_least; /* vectors that must run; the files have 375 for 96-bit IV and 128-bit tag */
} files[] = {
    {"AES/GCM/gcmEncryptExtIV128.rsp", KFE_A128GCM, 375},
    {"AES/GCM/gcmDecrypt128.rsp", KFE_A128GCM, 375},
    {"AES/GCM/gcmEncryptExtIV192.rsp", KFE_A192GCM, 375},
    {"AES/GCM/gcmDecrypt192.rsp", KFE_A192GCM, 375},
    {"AES/GCM/gcmEncryptExtIV256.rsp", KFE_A256GCM, 375},
    {"AES/GCM/gcmDecrypt256.rsp", KFE_A256GCM, 375},
    {"ChaCha20Poly1305/boringssl.txt", KFE_C20P1305, 66},
    {"ChaCha20Poly1305/openssl.txt", KFE_C20P1305, 5},
};

enum { RAN, KEY_LENGTH, IV_LENGTH, TAG_LENGTH, REASONS };
static const char *const reasons[] = {"ran", "key length", "IV length", "tag length"};

static lab_bench *bench;

typedef struct {
    unsigned suite;
    size_t counts[REASONS], forged;
    lab_key keys[BATCH];
    lab_message all[BATCH], good[BATCH];
    size_t n, n_good, flush_at;
} run;

static void flush(run *r)
{
    const char *found = r->n_good > 0 ? lab_seal(bench, r->good, r->n_good) : NULL;
    if (found == NULL && r->n > 0)
        found = lab_open(bench, r->all, r->n);
    if (found != NULL)
        fail_msg("%s", found);
    for (size_t i = 0; i < r->n; i++) {
        lab_drop(&r->all[i]);
        lab_key_wipe(&r->keys[i]);
    }
    r->n = r->n_good = 0;
    r->flush_at = 1 + kit_below(BATCH);
}

static int verdict(const run *r, const rsp_vector *v)
{
    size_t key_len = r->suite == KFE_A128GCM ? 16 : r->suite == KFE_A192GCM ? 24 : 32;
    if (v->key.len != key_len)
        return KEY_LENGTH;
    if (v->nonce.len != 12)
        return IV_LENGTH;
    return v->tag.len != 16 ? TAG_LENGTH : RAN;
}

static void put(uint8_t *to, const rsp_value *value)
{
    if (value->len > 0)
        memcpy(to, value->bytes, value->len);
}

static void run_one(void *arg, const rsp_vector *v)
{
    run *r = arg;
    int reason = verdict(r, v);
    r->counts[reason]++;
    if (reason != RAN)
        return;
    uint8_t key[32] = {0};
    put(key, &v->key);
    lab_key_init(&r->keys[r->n], r->suite, key);
    lab_message *m = &r->all[r->n];
    uint32_t prefix = 16 * kit_below((uint32_t)v->aad.len / 16 + 1);
    lab_room(m, prefix, (uint32_t)v->aad.len - prefix, (uint32_t)v->sealed.len);
    m->key = &r->keys[r->n];
    m->forged = v->fails;
    put(m->nonce, &v->nonce);
    put(m->tag, &v->tag);
    put(m->aad, &v->aad);
    put(m->sealed, &v->sealed);
    r->n++;
    if (v->fails) {
        r->forged++;
    } else {
        assert_int_equal(v->plain.len, v->sealed.len);
        put(m->plain, &v->plain);
        r->good[r->n_good++] = *m;
    }
    if (r->n == r->flush_at)
        flush(r);
}

static const char *place(void)
{
    const char *given = getenv("KFE_CRYPTOGRAPHY_VECTORS");
    return given != NULL ? given : PLACE;
}

static void published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        run r = {.suite = files[i].suite, .flush_at = 1 + kit_below(BATCH)};
        if (!lab_does(r.suite)) {
            print_message("%s: suite %u is not of this backend\n", files[i].path, r.suite);
            continue;
        }
        char path[512];
        unsigned line = 0;
        snprintf(path, sizeof(path), "%s/%s", place(), files[i].path);
        if (!rsp_read(path, run_one, &r, &line))
            fail_msg("%s:%u: cannot be read", path, line);
        flush(&r);
        print_message("%s: %zu ran (%zu of them forged)", files[i].path, r.counts[RAN], r.forged);
        for (int reason = RAN + 1; reason < REASONS; reason++)
            print_message(", %zu skipped for their %s", r.counts[reason], reasons[reason]);
        print_message("\n");
        assert_true(r.counts[RAN] >= files[i].at_least);
    }
}

/* RFC 8439, section 2.8.2. */
static void rfc8439(void **state)
{
    (void)state;
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
    static const uint8_t nonce[12] = {7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
    static const uint8_t aad[12] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1,
                                    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
    static const uint8_t tag[16] = {0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a,
                                    0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91};
    static const uint8_t first[16] = {0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb,
                                      0x7b, 0x86, 0xaf, 0xbc, 0x53, 0xef, 0x7e, 0xc2};
    if (!lab_does(KFE_C20P1305))
        skip();
    uint8_t bytes[32];
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(0x80 + i);
    lab_key key;
    lab_key_init(&key, KFE_C20P1305, bytes);
    lab_message m;
    lab_room(&m, 0, sizeof(aad), sizeof(text) - 1);
    m.key = &key;
    memcpy(m.nonce, nonce, sizeof(nonce));
    memcpy(m.aad, aad, sizeof(aad));
    memcpy(m.plain, text, m.len);
    lab_oracle(&m);
    assert_memory_equal(m.tag, tag, 16); /* it depends on every byte of the sealed text */
    assert_memory_equal(m.sealed, first, 16);
    lab_both(bench, &m, 1);
    lab_drop(&m);
    lab_key_wipe(&key);
}

/* A suite that the backend does not have is refused, and no key comes out. */
static void foreign_suites(void **state)
{
    (void)state;
    static const uint8_t bytes[32];
    kfe_crypto *crypto = NULL;
    assert_int_equal(kfe_crypto_new(&crypto, NULL), KFE_OK);
    for (unsigned suite = 0; suite < 32; suite++) {
        kfe_aead_key *key = NULL;
        if (lab_does(suite))
            continue;
        assert_int_equal(kfe_aead_key_new(&key, lab_backend, crypto, suite, bytes), KFE_E_BACKEND);
        assert_null(key);
    }
    kfe_crypto_free(crypto);
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    if (access(place(), R_OK) != 0) {
        const char *no_skip = getenv("KFE_NO_SKIP");
        print_message("skipped: no %s (Debian: python3-cryptography-vectors)\n", place());
        return no_skip != NULL && strcmp(no_skip, "1") == 0 ? 1 : 77;
    }
    bench = lab_bench_new(kit_random());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(rfc8439),
        cmocka_unit_test(foreign_suites),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
