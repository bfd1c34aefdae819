/* SPDX-License-Identifier: Apache-2.0 */
/* Is it the same cipher as OpenSSL's, however a message is cut, in place or not, with keys and IVs
 * of all lengths, from copies of contexts, after fork() and from many threads? OpenSSL's own gets
 * each message in one piece. */
#include "tests/openssl/rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

enum { AAD_MAX = 300, TEXT_MAX = 20000, IV_MAX = 128, ROUNDS = 12000, THREADS = 4 };

typedef struct {
    int key_size; /* an index */
    size_t iv_len, aad_len, len;
    uint8_t key[32], iv[IV_MAX], aad[AAD_MAX], tag[RIG_TAG];
    uint8_t plain[TEXT_MAX], sealed[TEXT_MAX];
} message;

static EVP_CIPHER_CTX *begin(int side, const message *m, int seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_non_null(ctx);
    assert_int_equal(EVP_CipherInit_ex2(ctx, rig_cipher[side][m->key_size], NULL, NULL, seal, NULL),
                     1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)m->iv_len, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex2(ctx, NULL, m->key, m->iv, seal, NULL), 1);
    return ctx;
}

static void get_tag(EVP_CIPHER_CTX *ctx, uint8_t tag[RIG_TAG])
{
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, tag), 1);
}

static void set_tag(EVP_CIPHER_CTX *ctx, const uint8_t tag[RIG_TAG])
{
    uint8_t copy[RIG_TAG];
    memcpy(copy, tag, RIG_TAG);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RIG_TAG, copy), 1);
}

/* What OpenSSL makes of a random message. */
static void make(message *m)
{
    int len = 0;
    m->key_size = (int)kit_below(RIG_KEYS);
    m->iv_len = kit_below(3) == 0 ? 1 + kit_below(IV_MAX) : 12;
    m->aad_len = rig_some(AAD_MAX);
    m->len = rig_some(TEXT_MAX);
    rig_fill(m->key, rig_key_len[m->key_size]);
    rig_fill(m->iv, m->iv_len);
    rig_fill(m->aad, m->aad_len);
    rig_fill(m->plain, m->len);
    EVP_CIPHER_CTX *ctx = begin(THEIRS, m, 1);
    if (m->aad_len > 0)
        assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, m->aad, (int)m->aad_len), 1);
    if (m->len > 0)
        assert_int_equal(EVP_CipherUpdate(ctx, m->sealed, &len, m->plain, (int)m->len), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, m->sealed + m->len, &len), 1);
    get_tag(ctx, m->tag);
    EVP_CIPHER_CTX_free(ctx);
}

static size_t piece(size_t left)
{
    size_t most = kit_below(3) == 0 ? left : left < 50 ? left : 50;
    return kit_below((uint32_t)most + 1);
}

/* Cuts AAD and text from `done` on into pieces, empty ones too, up to `stop`. AAD stands before the
 * text in this count. */
static void feed(EVP_CIPHER_CTX *ctx, const message *m, size_t from, size_t stop, const uint8_t *in,
                 uint8_t *out)
{
    for (size_t done = from; done < stop;) {
        bool aad = done < m->aad_len;
        size_t at = aad ? done : done - m->aad_len;
        size_t end = aad ? (stop < m->aad_len ? stop : m->aad_len) : stop - m->aad_len;
        size_t n = piece(end - at);
        int len = -1;
        assert_int_equal(
            EVP_CipherUpdate(ctx, aad ? NULL : out + at, &len, aad ? m->aad + at : in + at, (int)n),
            1);
        assert_int_equal(len, n);
        done += n;
    }
}

static void finish(EVP_CIPHER_CTX *ctx, const message *m, int seal)
{
    uint8_t tag[RIG_TAG] = {0};
    int len = -1;
    if (!seal)
        set_tag(ctx, m->tag);
    assert_int_equal(EVP_CipherFinal_ex(ctx, tag, &len), 1);
    assert_int_equal(len, 0);
    if (seal) {
        get_tag(ctx, tag);
        assert_memory_equal(tag, m->tag, RIG_TAG);
    }
}

/* One direction, with a copy of the context taken somewhere, and the original used to its end too.
 */
static void run(const message *m, int seal)
{
    static _Thread_local uint8_t out[TEXT_MAX], again[TEXT_MAX];
    const uint8_t *from = seal ? m->plain : m->sealed, *want = seal ? m->sealed : m->plain;
    bool in_place = kit_below(2);
    size_t all = m->aad_len + m->len, middle = kit_below((uint32_t)all + 1);
    EVP_CIPHER_CTX *ctx = begin(OURS, m, seal), *copy = EVP_CIPHER_CTX_new();
    assert_non_null(copy);
    memcpy(out, from, m->len);
    feed(ctx, m, 0, middle, in_place ? out : from, out);
    memcpy(again, out, m->len);
    assert_int_equal(EVP_CIPHER_CTX_copy(copy, ctx), 1);
    feed(ctx, m, middle, all, in_place ? out : from, out);
    finish(ctx, m, seal);
    assert_memory_equal(out, want, m->len);
    feed(copy, m, middle, all, in_place ? again : from, again);
    finish(copy, m, seal);
    assert_memory_equal(again, want, m->len);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(copy);
}

static void any_cut(void **state)
{
    (void)state;
    static message m;
    for (int i = 0; i < ROUNDS; i++) {
        make(&m);
        run(&m, 1);
        run(&m, 0);
    }
}

/* Lengths around blocks and the kernels' strides, each in one piece and byte by byte. */
static void every_length(void **state)
{
    (void)state;
    static message m;
    static uint8_t out[TEXT_MAX];
    for (size_t len = 0; len <= 600; len++) {
        make(&m);
        m.len = len;
        m.aad_len = len % 70;
        rig_fill(m.plain, len);
        EVP_CIPHER_CTX *ctx = begin(THEIRS, &m, 1);
        feed(ctx, &m, 0, m.aad_len + len, m.plain, m.sealed);
        int made = 0;
        assert_int_equal(EVP_CipherFinal_ex(ctx, out, &made), 1);
        get_tag(ctx, m.tag);
        EVP_CIPHER_CTX_free(ctx);
        ctx = begin(OURS, &m, 1);
        if (m.aad_len > 0)
            assert_int_equal(EVP_CipherUpdate(ctx, NULL, &made, m.aad, (int)m.aad_len), 1);
        for (size_t i = 0; i < len && len % 2 == 1; i++)
            assert_int_equal(EVP_CipherUpdate(ctx, out + i, &made, m.plain + i, 1), 1);
        if (len > 0 && len % 2 == 0)
            assert_int_equal(EVP_CipherUpdate(ctx, out, &made, m.plain, (int)len), 1);
        finish(ctx, &m, 1);
        assert_memory_equal(out, m.sealed, len);
        EVP_CIPHER_CTX_free(ctx);
    }
}

static int open_all(EVP_CIPHER_CTX *ctx, const message *m, uint8_t *out, bool tag_first)
{
    int len = 0;
    if (tag_first)
        set_tag(ctx, m->tag);
    feed(ctx, m, 0, m->aad_len + m->len, m->sealed, out);
    if (!tag_first)
        set_tag(ctx, m->tag);
    return EVP_CipherFinal_ex(ctx, out + m->len, &len);
}

/* Any bit of what is authenticated. As with OpenSSL, the text was given out before. */
static void forgeries(void **state)
{
    (void)state;
    static message m;
    static uint8_t out[TEXT_MAX + 1];
    for (int i = 0; i < ROUNDS / 4; i++) {
        make(&m);
        uint8_t *spots[] = {m.tag, m.sealed, m.aad};
        size_t lens[] = {RIG_TAG, m.len, m.aad_len};
        size_t what = kit_below(3);
        what = lens[what] == 0 ? 0 : what;
        uint8_t *byte = spots[what] + kit_below((uint32_t)lens[what]);
        uint8_t bit = (uint8_t)(1u << kit_below(8));
        *byte ^= bit;
        EVP_CIPHER_CTX *ctx = begin(OURS, &m, 0);
        assert_int_not_equal(open_all(ctx, &m, out, i % 2 == 0), 1);
        if (what != 1)
            assert_memory_equal(out, m.plain, m.len);
        *byte ^= bit;
        assert_int_equal(EVP_CipherInit_ex2(ctx, NULL, NULL, m.iv, 0, NULL), 1);
        assert_int_equal(open_all(ctx, &m, out, i % 2 == 0), 1);
        assert_memory_equal(out, m.plain, m.len);
        EVP_CIPHER_CTX_free(ctx);
    }
}

/* A context goes on in a child, in the middle of a message too. */
static void after_fork(void **state)
{
    (void)state;
    static message m;
    static uint8_t out[TEXT_MAX];
    make(&m);
    EVP_CIPHER_CTX *ctx = begin(OURS, &m, 1);
    size_t all = m.aad_len + m.len, middle = all / 2;
    feed(ctx, &m, 0, middle, m.plain, out);
    pid_t child = fork();
    feed(ctx, &m, middle, all, m.plain, out);
    finish(ctx, &m, 1);
    assert_memory_equal(out, m.sealed, m.len);
    EVP_CIPHER_CTX_free(ctx);
    if (child == 0)
        _exit(0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int worker(void *arg)
{
    const message *m = arg;
    for (int i = 0; i < 200; i++) {
        uint8_t out[64], tag[RIG_TAG];
        int len = 0;
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        bool good = EVP_EncryptInit_ex2(ctx, rig_cipher[OURS][2], m->key, m->iv, NULL) == 1 &&
                    EVP_EncryptUpdate(ctx, NULL, &len, m->aad, 40) == 1 &&
                    EVP_EncryptUpdate(ctx, out, &len, m->plain, 50) == 1 &&
                    EVP_EncryptFinal_ex(ctx, out, &len) == 1 &&
                    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, tag) == 1 &&
                    memcmp(tag, m->tag, RIG_TAG) == 0 && memcmp(out, m->sealed, 50) == 0;
        EVP_CIPHER_CTX_free(ctx);
        if (!good)
            return 1;
    }
    return 0;
}

static void threads(void **state)
{
    (void)state;
    static message m;
    do
        make(&m);
    while (m.key_size != 2 || m.iv_len != 12);
    m.aad_len = 40;
    m.len = 50;
    EVP_CIPHER_CTX *ctx = begin(THEIRS, &m, 1);
    int len = 0;
    feed(ctx, &m, 0, 90, m.plain, m.sealed);
    assert_int_equal(EVP_CipherFinal_ex(ctx, m.sealed + 50, &len), 1);
    get_tag(ctx, m.tag);
    EVP_CIPHER_CTX_free(ctx);
    thrd_t all[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thrd_create(&all[i], worker, &m), thrd_success);
    for (int i = 0; i < THREADS; i++) {
        int failed = 1;
        assert_int_equal(thrd_join(all[i], &failed), thrd_success);
        assert_int_equal(failed, 0);
    }
}

int main(void)
{
    rig_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut),    cmocka_unit_test(every_length), cmocka_unit_test(forgeries),
        cmocka_unit_test(after_fork), cmocka_unit_test(threads),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_end();
    return failed;
}
