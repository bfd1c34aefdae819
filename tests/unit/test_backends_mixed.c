/* SPDX-License-Identifier: Apache-2.0 */
/* Do batches go well whose keys belong to several backends, and does it show when one of those
 * fails or is wrong? The others are OpenSSL's under another name, with a fault where one is wanted.
 */
#include "tests/unit/gcm_rig.h"

#include <stdlib.h>
#include <string.h>

#include "engine/aead.h"
#include "engine/engine.h"

enum { MESSAGES = 150, KEYS = 12 };

static kfe_backend other;
static rig_key keys[KEYS];
static rig_message messages[MESSAGES];
static kfe_gcm_op ops[MESSAGES];

static bool all_own(const kfe_aead_batch *batch)
{
    bool own = true;
    for (size_t i = 0; i < batch->n; i++)
        own = own && batch->ops[i].key->backend == &other;
    return own;
}

/* A kernel would read another backend's key as one of its own. */
static kfe_error seals_own(const kfe_aead_batch *batch)
{
    return all_own(batch) ? kfe_openssl_backend.seal(batch)
                          : kfe_fail(KFE_E_BACKEND, "foreign key");
}

static kfe_error opens_own(const kfe_aead_batch *batch)
{
    return all_own(batch) ? kfe_openssl_backend.open(batch)
                          : kfe_fail(KFE_E_BACKEND, "foreign key");
}

static void mend(void)
{
    other.seal = seals_own;
    other.open = opens_own;
}

/* Every other key is the other backend's. */
static int set_up(void **state)
{
    (void)state;
    other = kfe_openssl_backend;
    other.name = "other";
    mend();
    for (int i = 0; i < KEYS; i++) {
        keys[i] = rig_key_new("openssl");
        unsigned suite = keys[i].len == 16   ? KFE_A128GCM
                         : keys[i].len == 24 ? KFE_A192GCM
                                             : KFE_A256GCM;
        if (i % 2 == 0)
            continue;
        kfe_gcm_key_free(keys[i].key);
        assert_int_equal(kfe_aead_key_new_plain(&keys[i].key, &other, NULL, suite, keys[i].raw),
                         KFE_OK);
    }
    for (int i = 0; i < MESSAGES; i++)
        rig_message_init(&messages[i], &keys[kit_below(KEYS)], false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        kfe_gcm_key_free(keys[i].key);
    return 0;
}

static void run_all_sizes(void)
{
    uint64_t failed[(MESSAGES + 63) / 64];
    for (size_t n = 1; n <= MESSAGES; n++) {
        for (size_t i = 0; i < n; i++)
            rig_seal_op(&messages[i], &ops[i]);
        assert_int_equal(kfe_gcm_seal(ops, n), KFE_OK);
        rig_check_sealed(messages, n);
        bool forged[MESSAGES] = {false};
        size_t bad = kit_below((uint32_t)n);
        for (size_t i = 0; i < n; i++)
            rig_open_op(&messages[i], &ops[i]);
        forged[bad] = true;
        messages[bad].tag[7] ^= 4;
        assert_int_equal(kfe_gcm_open(ops, n, failed), KFE_E_AUTH);
        for (size_t i = 0; i < (n + 63) / 64 * 64; i++)
            assert_int_equal(failed[i / 64] >> (i % 64) & 1, i == bad);
        rig_check_opened(messages, forged, n);
    }
}

static void each_message_gets_its_own(void **state)
{
    (void)state;
    run_all_sizes();
    for (int i = 0; i < MESSAGES; i++)
        rig_message_init(&messages[i], &keys[kit_below(KEYS)], true);
    run_all_sizes();
}

static kfe_error fails(const kfe_aead_batch *batch)
{
    (void)batch;
    return kfe_fail(KFE_E_BACKEND, "out of order");
}

static void one_that_fails_leaves_nothing(void **state)
{
    (void)state;
    static const uint8_t zeros[RIG_LEN];
    uint64_t failed[(MESSAGES + 63) / 64] = {0};
    other.seal = other.open = fails;
    for (int sealing = 0; sealing < 2; sealing++) {
        for (size_t i = 0; i < MESSAGES; i++)
            sealing ? rig_seal_op(&messages[i], &ops[i]) : rig_open_op(&messages[i], &ops[i]);
        kfe_error err = sealing ? kfe_gcm_seal(ops, MESSAGES) : kfe_gcm_open(ops, MESSAGES, failed);
        assert_int_equal(err, KFE_E_BACKEND);
        for (size_t i = 0; i < MESSAGES; i++) {
            assert_memory_equal(messages[i].text, zeros, messages[i].len);
            if (sealing)
                assert_memory_equal(messages[i].tag, zeros, 16);
            else
                assert_int_equal(failed[i / 64] >> (i % 64) & 1, 1);
        }
    }
    mend();
}

/* ---- Records -------------------------------------------------------------------------------- */

static kfe_config *config(const char *store, const char *algorithms)
{
    return kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                      store, "encryption.keymanager.class", "topic",
                      "encryption.keymanager.default.key", "k", "encryption.algorithms", algorithms,
                      NULL);
}

/* AES-GCM by the other backend, ChaCha20-Poly1305 by OpenSSL's, in one call. */
static void records_of_two_suites(void **state)
{
    (void)state;
    enum { N = 100 };
    const kit_key key = {.name = "k", .version = 1, .key = {1, 2, 3}};
    const char *store = kit_keystore("keys.json", &key, 1);
    kfe_config *configs[] = {config(store, "A256GCM,C20P1305"), config(store, "C20P1305,A256GCM")};
    kfe_engine *engines[] = {kit_engine(configs[0]), kit_engine(configs[1])};
    engines[0]->settings.backend = engines[1]->settings.backend = &other;
    other.suites &= ~(1u << KFE_C20P1305);
    kfe_record plain[N], sealed[N], opened[N];
    kit_record by_one[N];
    for (size_t i = 0; i < N; i++) {
        plain[i] = kit_random_record("t", 3);
        assert_int_equal(kit_seal(engines[kit_below(2)], &plain[i], &by_one[i]), KFE_OK);
        sealed[i] = by_one[i].r;
    }
    size_t cap = kfe_open_space(sealed, N, 0);
    void *space = malloc(cap);
    assert_non_null(space);
    assert_int_equal(kfe_open(engines[0], sealed, opened, N, space, cap, 0), KFE_OK);
    for (size_t i = 0; i < N; i++) {
        assert_true(kit_same(&opened[i], &plain[i]));
        kit_drop(&plain[i]);
        kit_free(&by_one[i]);
    }
    free(space);
    for (int i = 0; i < 2; i++) {
        kfe_engine_free(engines[i]);
        kfe_config_free(configs[i]);
    }
    other.suites = kfe_openssl_backend.suites;
}

/* Who asks for certain OpenSSL algorithms gets them, and no kernel. */
static void a_query_is_for_openssl(void **state)
{
    (void)state;
    const kit_key key = {.name = "k", .version = 1, .key = {1, 2, 3}};
    kfe_config *c = config(kit_keystore("keys.json", &key, 1), "A256GCM");
    kfe_engine *engine = NULL;
    kit_set(c, "encryption.openssl.propquery", "provider=default");
    const char *forced = getenv("KFE_BACKEND");
    char *kept = forced != NULL ? strdup(forced) : NULL;
    assert_int_equal(setenv("KFE_BACKEND", "none-such", 1), 0);
    assert_int_equal(kfe_engine_new(&engine, c), KFE_OK);
    assert_string_equal(kfe_engine_backend(engine), "openssl");
    kfe_engine_free(engine);
    assert_int_equal(kept != NULL ? setenv("KFE_BACKEND", kept, 1) : unsetenv("KFE_BACKEND"), 0);
    free(kept);
    kit_set(c, "encryption.backend", "vaes512");
    assert_int_equal(kfe_engine_new(&engine, c), KFE_E_CONFIG);
    kit_set(c, "encryption.backend", "openssl");
    assert_int_equal(kfe_engine_new(&engine, c), KFE_OK);
    kfe_engine_free(engine);
    kfe_config_free(c);
}

/* ---- Known answers --------------------------------------------------------------------------- */

static bool trusted(void)
{
    bool good = false;
    assert_int_equal(kfe_known_answers(&other, NULL, &good), KFE_OK);
    return good;
}

static kfe_error wrong_tag_in_a_large_batch(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.seal(batch);
    if (batch->n > 64)
        batch->ops[batch->n - 1].tag[15] ^= 1;
    return err;
}

static kfe_error wrong_tag_of_one_alone(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.seal(batch);
    if (batch->n == 1 && batch->ops[0].len == 33)
        batch->ops[0].tag[0] ^= 0x80;
    return err;
}

static kfe_error wrong_text(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.seal(batch);
    for (size_t i = 0; i < batch->n; i++)
        if (batch->ops[i].len == 300)
            batch->ops[i].out[299] ^= 1;
    return err;
}

static kfe_error wrong_tag_of_chacha(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.seal(batch);
    if (batch->ops[0].len == 114) /* RFC 8439's */
        batch->ops[0].tag[7] ^= 4;
    return err;
}

static kfe_error wrong_text_of_chacha(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.open(batch);
    if (batch->ops[0].len == 114)
        batch->ops[0].out[113] ^= 1;
    return err;
}

static kfe_error believes_chacha(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.open(batch);
    if (batch->ops[0].len == 114)
        batch->failed[0] = 0;
    return err;
}

static kfe_error believes_everything(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.open(batch);
    memset(batch->failed, 0, (batch->n + 63) / 64 * 8);
    return err;
}

static kfe_error gives_forged_text(const kfe_aead_batch *batch)
{
    kfe_error err = kfe_openssl_backend.open(batch);
    for (size_t i = 0; i < batch->n; i++)
        if ((batch->failed[i / 64] >> (i % 64) & 1) != 0 && batch->ops[i].len > 0)
            batch->ops[i].out[0] = 1;
    return err;
}

/* The block cipher, got out of whole messages: the tag of an empty one, and the end of a longer one
 * of zeros. */
static void keystream(const kfe_aead_key *key, const uint8_t counter[16], uint8_t out[16])
{
    uint8_t text[16 * 128] = {0}, tag[16];
    size_t n = (size_t)(counter[14] << 8 | counter[15]) - 1;
    assert_true(n <= 128);
    const kfe_aead_op op = {.key = key,
                            .nonce = counter,
                            .in = text,
                            .out = text,
                            .len = (uint32_t)(16 * n),
                            .tag = tag};
    assert_int_equal(kfe_openssl_backend.seal(&(kfe_aead_batch){.ops = &op, .n = 1}), KFE_OK);
    memcpy(out, n == 0 ? tag : text + 16 * (n - 1), 16);
}

static bool stuck; /* the counter does not move from call to call */

static void blocks(const kfe_aead_key *key, kfe_gcm_stream *at, const uint8_t *in, uint8_t *out,
                   size_t n)
{
    for (size_t b = 0; b < n; b++, in += 16, out += 16) {
        uint8_t pad[16];
        keystream(key, at->counter, pad);
        for (int i = 0; i < 16; i++)
            out[i] = in[i] ^ pad[i];
        if (!stuck || b + 1 < n)
            at->counter[15]++;
    }
}

static void seal_blocks(const kfe_aead_key *key, kfe_gcm_stream *at, const uint8_t *in,
                        uint8_t *out, size_t n)
{
    blocks(key, at, in, out, n);
    other.hash(key, at->ghash, out, n);
}

static void open_blocks(const kfe_aead_key *key, kfe_gcm_stream *at, const uint8_t *in,
                        uint8_t *out, size_t n)
{
    other.hash(key, at->ghash, in, n);
    blocks(key, at, in, out, n);
}

static void pieces_are_asked_for_too(void **state)
{
    (void)state;
    other.keystream = keystream;
    other.seal_blocks = seal_blocks;
    other.open_blocks = open_blocks;
    assert_true(trusted());
    stuck = true;
    assert_false(trusted());
    stuck = false;
    other.open_blocks = seal_blocks; /* hashes the text that it opens */
    assert_false(trusted());
    other.keystream = NULL;
    other.seal_blocks = other.open_blocks = NULL;
}

static void what_is_wrong_is_not_trusted(void **state)
{
    (void)state;
    assert_true(trusted());
    kfe_error (*const seals[])(const kfe_aead_batch *) = {
        wrong_tag_in_a_large_batch, wrong_tag_of_one_alone, wrong_text, wrong_tag_of_chacha, fails};
    kfe_error (*const opens[])(const kfe_aead_batch *) = {
        believes_everything, gives_forged_text, wrong_text_of_chacha, believes_chacha, fails};
    for (size_t i = 0; i < sizeof(seals) / sizeof(*seals); i++) {
        other.seal = seals[i];
        assert_false(trusted());
    }
    mend();
    for (size_t i = 0; i < sizeof(opens) / sizeof(*opens); i++) {
        other.open = opens[i];
        assert_false(trusted());
    }
    mend();
    assert_true(trusted());
}

int main(void)
{
    kit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_gets_its_own),
        cmocka_unit_test(one_that_fails_leaves_nothing),
        cmocka_unit_test(records_of_two_suites),
        cmocka_unit_test(a_query_is_for_openssl),
        cmocka_unit_test(what_is_wrong_is_not_trusted),
        cmocka_unit_test(pieces_are_asked_for_too),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
