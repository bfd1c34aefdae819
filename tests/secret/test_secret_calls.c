/* SPDX-License-Identifier: Apache-2.0 */
/* What do the kernels leave behind? After each call no round key, no power of H, no key stream and
 * no text is on the stack or in a vector register; no upper half of a register is in use; and what
 * a callee must keep is kept. Once per backend (argv[1]). */
#include "tests/backend/lab.h"
#include "tests/secret/calls.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 96, LEN_MAX = 6000, AAD_MAX = 160 };

static struct {
    uint8_t nonce[12], tag[16], aad[AAD_MAX], plain[LEN_MAX], text[LEN_MAX];
} messages[MESSAGES];

static lab_key key;
static kfe_gcm_prefix prefix;
static kfe_aead_op ops[MESSAGES];
static uint64_t failed[(MESSAGES + 63) / 64];
static kfe_aead_batch batch;
static call_secrets *secrets;

/* ---- The calls ------------------------------------------------------------------------------- */

static void seal_batch(void *unused)
{
    (void)unused;
    (void)lab_backend->seal(&batch);
}

static void open_batch(void *unused)
{
    (void)unused;
    (void)lab_backend->open(&batch);
}

static struct {
    kfe_gcm_stream at;
    uint8_t raw[32], counter[16];
    unsigned suite;
    size_t blocks;
    kfe_aead_key *key;
} other;

static void expand(void *unused)
{
    (void)unused;
    (void)lab_backend->key_init(other.key, NULL, other.suite, other.raw);
}

static void hash(void *unused)
{
    (void)unused;
    lab_backend->hash(key.key, other.at.ghash, messages[0].plain, other.blocks);
}

static void keystream(void *unused)
{
    (void)unused;
    lab_backend->keystream(key.key, other.counter, messages[0].tag);
}

static void seal_blocks(void *unused)
{
    (void)unused;
    lab_backend->seal_blocks(key.key, &other.at, messages[0].plain, messages[0].text, other.blocks);
}

static void open_blocks(void *unused)
{
    (void)unused;
    lab_backend->open_blocks(key.key, &other.at, messages[0].text, messages[0].text, other.blocks);
}

static void nothing(void *unused)
{
    (void)unused;
}

static void watch(call_function *function, const char *what)
{
    const char *left = call_watched(function, NULL, secrets);
    if (left != NULL)
        fail_msg("%s, suite %u: %s", what, key.suite, left);
}

/* ---- Secrets --------------------------------------------------------------------------------- */

/* All that is expanded: round keys, powers of H, whatever else lies there. */
static void key_secrets(void)
{
    const uint8_t *expanded = (const uint8_t *)key.key;
    secrets->n = 0;
    call_secret(secrets, "the key", key.bytes, 32);
    call_secret(secrets, "an expanded key", expanded, lab_backend->key_size);
    call_secret(secrets, "a prefix state", prefix.ghash, 16);
}

/* The text, the key stream of some blocks, and the block that masks the tag. */
static void message_secrets(const kfe_aead_op *op)
{
    uint8_t counter[16] = {0}, block[16];
    uint32_t last = (op->len + 15) / 16;
    memcpy(counter, op->nonce, 12);
    for (uint32_t i = 0; i <= last; i++) {
        if (i == 4 && last > 6)
            i = last - 2;
        counter[14] = (uint8_t)((i + 1) >> 8);
        counter[15] = (uint8_t)(i + 1);
        lab_oracle_block(&key, counter, block);
        call_secret(secrets, i == 0 ? "the mask of a tag" : "key stream", block, 16);
        if (i > 0)
            call_secret(secrets, "text", op->in + 16 * (i - 1),
                        op->len - 16 * (i - 1) < 16 ? 0 : 16);
    }
}

/* ---- Batches --------------------------------------------------------------------------------- */

static void make_key(unsigned suite)
{
    lab_key_init(&key, suite, NULL);
    lab_bytes(messages[0].aad, 32);
    prefix = (kfe_gcm_prefix){.len = 32};
    lab_backend->hash(key.key, prefix.ghash, messages[0].aad, 2);
}

static void lay_out(size_t n, uint32_t most, bool alike)
{
    uint32_t len = kit_below(most + 1), aad = kit_below(40);
    batch = (kfe_aead_batch){.ops = ops, .n = n, .failed = failed};
    key_secrets();
    for (size_t i = 0; i < n; i++) {
        lab_bytes(&messages[i], sizeof(messages[i]));
        ops[i] = (kfe_aead_op){.key = key.key,
                               .nonce = messages[i].nonce,
                               .prefix = i % 3 == 0 ? &prefix : NULL,
                               .aad = messages[i].aad,
                               .in = messages[i].plain,
                               .out = messages[i].text,
                               .tag = messages[i].tag,
                               .aad_len = alike ? aad : kit_below(AAD_MAX + 1),
                               .len = alike ? len : kit_below(most + 1)};
        message_secrets(&ops[i]);
    }
}

/* Half of the rounds with forged messages among them. */
static void run_batch(size_t n, uint32_t most, bool alike)
{
    lay_out(n, most, alike);
    watch(seal_batch, "sealing");
    bool forge = kit_below(2) != 0;
    for (size_t i = 0; i < n; i++) {
        ops[i].in = messages[i].text;
        if (forge && kit_below(4) == 0)
            messages[i].tag[kit_below(16)] ^= 1;
    }
    watch(open_batch, "opening");
}

static void batches(void **state)
{
    (void)state;
    static const uint32_t most[] = {0, 16, 17, 40, 100, 330, 1100, LEN_MAX};
    for (int i = 0; i < LAB_SUITES; i++) {
        if (!lab_does(lab_suites[i]))
            continue;
        make_key(lab_suites[i]);
        for (size_t n = 1; n <= MESSAGES; n += 1 + kit_below((uint32_t)n))
            for (int m = 0; m < 8; m++)
                for (int alike = 0; alike < 2; alike++)
                    run_batch(n, most[m], alike != 0);
        lab_key_wipe(&key);
    }
}

static void streams(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        make_key(lab_some_gcm());
        lab_bytes(&messages[0], sizeof(messages[0]));
        key_secrets();
        other.blocks = round < 40 ? (size_t)round : kit_below(LEN_MAX / 16);
        memcpy(other.counter, messages[0].nonce, 12);
        memset(other.counter + 12, 0, 4);
        memcpy(other.at.counter, other.counter, 16);
        for (unsigned i = 0; i < other.blocks && i < 256; i++) {
            uint8_t block[16];
            other.counter[15] = (uint8_t)i;
            lab_oracle_block(&key, other.counter, block);
            call_secret(secrets, "key stream", block, 16);
        }
        watch(hash, "hashing");
        watch(seal_blocks, "sealing blocks");
        watch(open_blocks, "opening blocks");
        key_secrets();
        watch(keystream, "a block of key stream");
        lab_key_wipe(&key);
    }
}

static void expanding(void **state)
{
    (void)state;
    size_t size = ((size_t)lab_backend->key_size + 63) / 64 * 64;
    other.key = aligned_alloc(64, size);
    assert_non_null(other.key);
    for (int round = 0; round < 30; round++) {
        make_key(lab_some_gcm());
        key_secrets();
        memcpy(other.raw, key.bytes, 32);
        other.suite = key.suite;
        memset(other.key, 0, size);
        other.key->backend = lab_backend;
        watch(expand, "expanding a key");
        lab_key_wipe(&key);
    }
    memset(other.key, 0, size);
    free(other.key);
}

/* ---- Would it be found? ---------------------------------------------------------------------- */

static void spill(void *arg)
{
    volatile uint8_t copy[64];
    for (int i = 0; i < 64; i++)
        copy[i] = ((const uint8_t *)arg)[i];
    (void)copy[0];
}

static void what_is_left_is_found(void **state)
{
    (void)state;
    uint8_t bytes[64];
    lab_bytes(bytes, sizeof(bytes));
    secrets->n = 0;
    call_secret(secrets, "a secret", bytes + 16, 32);
    assert_null(call_watched(nothing, NULL, secrets));
    const char *left = call_watched(spill, bytes, secrets);
    assert_non_null(left);
    assert_memory_equal(left, "a secret on the stack", 21);
    left = call_watched(call_dirty_register, bytes + 16, secrets);
    assert_non_null(left);
    assert_memory_equal(left, "a secret in a register", 22);
    left = call_watched(call_dirty_upper, bytes, secrets);
    assert_non_null(left);
    assert_memory_equal(left, "upper halves", 12);
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    secrets = calloc(1, sizeof(*secrets));
    if (secrets == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_is_found),
        cmocka_unit_test(expanding),
        cmocka_unit_test(batches),
        cmocka_unit_test(streams),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    free(secrets);
    lab_end();
    return result;
}
