/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers: what a backend must get right before it is trusted. One mixed batch, large enough
 * for every way that a kernel may go about one; some messages alone; one in pieces.
 *
 * A tag depends on every sealed byte, and opening compares the text: the tags are all that has to
 * stand here. */
#include <stdlib.h>
#include <string.h>

#include "engine/aead.h"
#include "engine/envelope.h"

enum { SIZES = 3, SHAPES = 5, KINDS = SIZES * SHAPES, TIMES = 8, N = KINDS * TIMES };
enum { LEN_MAX = 1100, AAD_MAX = 64, FORGED = 77 };

static const unsigned suites[SIZES] = {KFE_A128GCM, KFE_A192GCM, KFE_A256GCM};
static const uint8_t key_len[SIZES] = {16, 24, 32};
static const uint32_t lens[SHAPES] = {0, 16, 33, 300, LEN_MAX};
static const uint32_t aad_lens[SHAPES] = {0, 16, 20, 37, AAD_MAX};

/* Computed with Python's cryptography: key 00 01 .. 1f, as much as the suite takes; nonce: length
 * of the key, number of the shape, 00 .. 09; AAD 80 81 ..; byte i of the text 7 i + i / 256. */
static const uint8_t tags[KINDS][16] = {
    {0x9a, 0x6e, 0x11, 0x5c, 0x3c, 0x27, 0xf6, 0xa3, 0xdf, 0x2e, 0x0d, 0xfa, 0x70, 0xea, 0x3e,
     0x4d},
    {0xf0, 0xa3, 0x08, 0x6a, 0xda, 0x0d, 0x4f, 0xa0, 0xa8, 0xf6, 0x87, 0xd1, 0x04, 0xe9, 0x75,
     0xd9},
    {0x35, 0x46, 0x43, 0x32, 0x1e, 0xc4, 0x5d, 0xe1, 0x45, 0x8f, 0xca, 0x39, 0x53, 0xc8, 0x36,
     0x05},
    {0xb6, 0xac, 0x82, 0x8c, 0x63, 0xa7, 0x6b, 0x50, 0x38, 0x60, 0xb6, 0x25, 0x71, 0x82, 0x9a,
     0x50},
    {0x9a, 0x97, 0xb0, 0x02, 0x09, 0xc7, 0x28, 0x58, 0x4b, 0xde, 0x30, 0x83, 0xdd, 0x76, 0x15,
     0x4e},
    {0xb7, 0x67, 0x73, 0xc4, 0x0f, 0x87, 0x3b, 0xc6, 0xed, 0xd5, 0x4c, 0xac, 0x91, 0xb4, 0x9a,
     0xdf},
    {0x55, 0x6b, 0x23, 0x41, 0xe2, 0x62, 0xd8, 0xeb, 0x42, 0x19, 0x65, 0xaf, 0x7e, 0xe4, 0xe2,
     0x3f},
    {0x1f, 0xfb, 0x3e, 0x1b, 0x63, 0x32, 0x25, 0xcd, 0xa7, 0x91, 0x09, 0xc4, 0x1f, 0x1b, 0xf8,
     0x10},
    {0xbe, 0x16, 0xce, 0x70, 0x5d, 0xd0, 0xb1, 0xb6, 0xb0, 0xa6, 0x6e, 0x4b, 0xc2, 0xb1, 0x8e,
     0xa9},
    {0x0e, 0x3c, 0xfe, 0x27, 0x24, 0xdc, 0x54, 0xbb, 0x52, 0xce, 0x49, 0x38, 0x17, 0xac, 0x7f,
     0x62},
    {0xd3, 0x7e, 0xe6, 0xa1, 0xc2, 0x80, 0x49, 0xa5, 0x5f, 0x19, 0x7e, 0xcd, 0xe6, 0xdc, 0x5e,
     0xfb},
    {0xcb, 0x34, 0x33, 0x11, 0x1f, 0xad, 0xd0, 0x33, 0x64, 0x5c, 0x19, 0xad, 0x3a, 0xa8, 0x71,
     0x12},
    {0xdd, 0xad, 0x8d, 0x1b, 0x90, 0x39, 0x75, 0x31, 0xab, 0x5d, 0xaf, 0x94, 0x39, 0x3c, 0x5b,
     0x41},
    {0x6a, 0x40, 0xa2, 0xb8, 0x0e, 0x43, 0x54, 0x6a, 0x32, 0x4a, 0x52, 0xa3, 0x92, 0x8c, 0x70,
     0x4a},
    {0xef, 0x49, 0xda, 0x7d, 0xde, 0xf5, 0x82, 0xef, 0x60, 0x6b, 0x96, 0xd2, 0x13, 0xfc, 0x99,
     0x1e},
};

typedef struct {
    kfe_aead_key *key[SIZES];
    kfe_prefix prefix[SIZES]; /* the first 16 bytes of the AAD */
    uint8_t raw[32], plain[LEN_MAX], aad[AAD_MAX], nonce[KINDS][12];
    size_t n;
    kfe_aead_op op[N];
    unsigned kind[N];
    uint8_t tag[N][16], text[N][LEN_MAX];
    uint64_t failed[(N + 63) / 64];
} trial;

static kfe_error make_keys(trial *t, const kfe_backend *backend, const struct kfe_crypto *crypto)
{
    for (int size = 0; size < SIZES; size++) {
        if ((backend->suites >> suites[size] & 1) == 0)
            continue;
        kfe_error err =
            kfe_aead_key_new_plain(&t->key[size], backend, crypto, suites[size], t->raw);
        if (err)
            return err;
        t->prefix[size] = (kfe_prefix){.absorbed.len = 16, .bytes = t->aad};
        if (backend->from_state)
            backend->hash(t->key[size], t->prefix[size].absorbed.ghash, t->aad, 1);
    }
    return KFE_OK;
}

static void make_bytes(trial *t)
{
    for (unsigned i = 0; i < 32; i++)
        t->raw[i] = (uint8_t)i;
    for (unsigned i = 0; i < LEN_MAX; i++)
        t->plain[i] = (uint8_t)(7 * i + (i >> 8));
    for (unsigned i = 0; i < AAD_MAX; i++)
        t->aad[i] = (uint8_t)(0x80 + i);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        t->nonce[kind][0] = key_len[kind / SHAPES];
        t->nonce[kind][1] = (uint8_t)(kind % SHAPES);
        for (uint8_t i = 0; i < 10; i++)
            t->nonce[kind][2 + i] = i;
    }
}

/* Each kind several times, half of them with a prefix where there is AAD enough. */
static void lay_out(trial *t)
{
    for (unsigned i = 0; i < N; i++) {
        unsigned kind = i * 7 % KINDS, size = kind / SHAPES, shape = kind % SHAPES;
        uint32_t absorbed = aad_lens[shape] >= 16 && i % 2 ? 16 : 0;
        if (t->key[size] == NULL)
            continue;
        t->kind[t->n] = kind;
        t->op[t->n] = (kfe_aead_op){.key = t->key[size],
                                    .nonce = t->nonce[kind],
                                    .prefix = absorbed ? &t->prefix[size].absorbed : NULL,
                                    .aad = t->aad + absorbed,
                                    .aad_len = aad_lens[shape] - absorbed,
                                    .in = t->plain,
                                    .len = lens[shape],
                                    .out = t->text[t->n],
                                    .tag = t->tag[t->n]};
        t->n++;
    }
}

static bool tags_fit(const trial *t, size_t from, size_t n)
{
    bool good = true;
    for (size_t i = from; i < from + n; i++)
        good = good && memcmp(t->tag[i], tags[t->kind[i]], 16) == 0;
    return good;
}

static bool seals(const kfe_backend *backend, trial *t)
{
    const kfe_aead_batch all = {t->op, t->n, t->failed, false};
    if (backend->seal(&all) || !tags_fit(t, 0, t->n))
        return false;
    bool good = true;
    for (size_t i = 0; good && i < t->n && i < KINDS; i++) {
        const kfe_aead_batch one = {&t->op[i], 1, t->failed, false};
        memset(t->tag[i], 0, 16);
        good = backend->seal(&one) == KFE_OK && tags_fit(t, i, 1);
    }
    return good;
}

/* In place, one of them forged. */
static bool opens(const kfe_backend *backend, trial *t)
{
    static const uint8_t zeros[LEN_MAX];
    size_t forged = FORGED % t->n;
    t->tag[forged][15] ^= 1;
    for (size_t i = 0; i < t->n; i++)
        t->op[i].in = t->op[i].out;
    memset(t->failed, 0xff, sizeof(t->failed));
    const kfe_aead_batch all = {t->op, t->n, t->failed, false};
    bool good = backend->open(&all) == KFE_OK;
    for (size_t i = 0; i < t->n; i++) {
        bool failed = (t->failed[i / 64] >> (i % 64) & 1) != 0;
        const uint8_t *expected = i == forged ? zeros : t->plain;
        good = good && failed == (i == forged) && memcmp(t->op[i].out, expected, t->op[i].len) == 0;
    }
    return good;
}

/* The message of shape `shape` and its tag, with the pieces that the standard is made of. */
static void in_pieces(const trial *t, size_t size, const uint8_t *in, uint8_t *out, uint8_t tag[16],
                      bool seal)
{
    enum { SHAPE = SHAPES - 1, WHOLE = LEN_MAX / 16, REST = LEN_MAX % 16, FIRST = 5 };
    const kfe_aead_key *key = t->key[size];
    const kfe_backend *b = key->backend;
    void (*blocks)(const kfe_aead_key *, kfe_gcm_stream *, const uint8_t *, uint8_t *, size_t) =
        seal ? b->seal_blocks : b->open_blocks;
    kfe_gcm_stream at = {.counter[15] = 2};
    uint8_t first[16] = {[15] = 1}, pad[16], last[2][16] = {{0}};
    memcpy(at.counter, t->nonce[size * SHAPES + SHAPE], 12);
    memcpy(first, at.counter, 12);
    b->hash(key, at.ghash, t->aad, AAD_MAX / 16);
    blocks(key, &at, in, out, FIRST);
    blocks(key, &at, in + 16 * FIRST, out + 16 * FIRST, WHOLE - FIRST);
    b->keystream(key, at.counter, pad);
    for (int i = 0; i < REST; i++) {
        out[16 * WHOLE + i] = in[16 * WHOLE + i] ^ pad[i];
        last[0][i] = (seal ? out : in)[16 * WHOLE + i];
    }
    last[1][6] = (8 * AAD_MAX) >> 8;
    last[1][14] = (8 * LEN_MAX) >> 8;
    last[1][15] = (8 * LEN_MAX) & 0xff;
    b->hash(key, at.ghash, last[0], 2);
    b->keystream(key, first, pad);
    for (int i = 0; i < 16; i++)
        tag[i] = at.ghash[i] ^ pad[i];
}

static bool does_pieces(const kfe_backend *backend, trial *t)
{
    bool good = true;
    uint8_t *sealed = t->text[0], *opened = t->text[1], tag[2][16];
    for (size_t size = 0; backend->seal_blocks != NULL && size < SIZES; size++) {
        if (t->key[size] == NULL)
            continue;
        const uint8_t *expected = tags[size * SHAPES + SHAPES - 1];
        in_pieces(t, size, t->plain, sealed, tag[0], true);
        in_pieces(t, size, sealed, opened, tag[1], false);
        good = good && memcmp(tag[0], expected, 16) == 0 && memcmp(tag[1], expected, 16) == 0 &&
               memcmp(opened, t->plain, LEN_MAX) == 0;
    }
    return good;
}

/* ---- ChaCha20-Poly1305: RFC 8439, section 2.8.2 --------------------------------------------- */

static const char sunscreen[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                                "only one tip for the future, sunscreen would be it.";
enum { SUNSCREEN = sizeof(sunscreen) - 1 };

/* Sealed, opened in place, and refused when the tag is another one. */
static bool does_sunscreen(const kfe_aead_key *key)
{
    static const uint8_t nonce[12] = {7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
    static const uint8_t aad[12] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1,
                                    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
    static const uint8_t expected[16] = {0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a,
                                         0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91};
    uint8_t text[SUNSCREEN], tag[16] = {0};
    uint64_t failed = UINT64_MAX;
    kfe_aead_op op = {.key = key,
                      .nonce = nonce,
                      .aad = aad,
                      .aad_len = sizeof(aad),
                      .in = (const uint8_t *)sunscreen,
                      .len = SUNSCREEN,
                      .out = text,
                      .tag = tag};
    const kfe_aead_batch batch = {&op, 1, &failed, false};
    if (key->backend->seal(&batch) || memcmp(tag, expected, 16) != 0) /* public */
        return false;
    op.in = text;
    if (key->backend->open(&batch) || failed != 0 || memcmp(text, sunscreen, SUNSCREEN) != 0)
        return false;
    tag[0] ^= 1;
    return key->backend->open(&batch) == KFE_OK && failed == 1;
}

/* *good is left alone where there is no such cipher, as in a FIPS module. */
static kfe_error ask_chacha(const kfe_backend *backend, const struct kfe_crypto *crypto, bool *good)
{
    kfe_aead_key *key = NULL;
    uint8_t raw[32];
    if ((backend->suites >> KFE_C20P1305 & 1) == 0)
        return KFE_OK;
    for (unsigned i = 0; i < sizeof(raw); i++)
        raw[i] = (uint8_t)(0x80 + i);
    kfe_error err = kfe_aead_key_new_plain(&key, backend, crypto, KFE_C20P1305, raw);
    if (err)
        return err == KFE_E_BACKEND ? KFE_OK : err;
    *good = *good && does_sunscreen(key);
    kfe_aead_key_free_plain(key);
    return KFE_OK;
}

kfe_error kfe_known_answers(const kfe_backend *backend, const struct kfe_crypto *crypto, bool *good)
{
    trial *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    make_bytes(t);
    kfe_error err = make_keys(t, backend, crypto);
    if (!err) {
        lay_out(t);
        *good = seals(backend, t) && opens(backend, t) && does_pieces(backend, t);
    }
    for (int size = 0; size < SIZES; size++)
        kfe_aead_key_free_plain(t->key[size]);
    free(t);
    return err ? err : ask_chacha(backend, crypto, good);
}
