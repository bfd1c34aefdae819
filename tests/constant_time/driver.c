/* SPDX-License-Identifier: Apache-2.0 */
/* Does the time that a kernel takes depend on secrets? Keys, texts and AAD are marked, whatever is
 * made of them stays marked, and a branch or an address that depends on it is reported by what
 * follows them (follow.h). Public are lengths, nonces, counters and whether a tag verified. FOLLOW
 * is the backend under test. Nothing else of kfe is in this program. */
#include "tests/constant_time/follow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend.h"

extern const kfe_backend FOLLOW;
extern volatile int leak_planted; /* leak.h */

enum { MESSAGES = 130, KEYS = 3, LEN_MAX = 9000, AAD_MAX = 300 };

/* One message, and all that it has. */
typedef struct {
    uint8_t nonce[16], tag[16], aad[AAD_MAX], in[LEN_MAX], out[LEN_MAX];
} message;

static message *messages;
static kfe_aead_op ops[MESSAGES];
static kfe_aead_key *keys[KEYS];
static kfe_prefix prefixes[KEYS];
static uint64_t random_state = 1;
volatile int leak_planted; /* leak.h */

/* Kernels refuse a suite by it; the engine's own stays out of this program. */
kfe_error kfe_fail(kfe_error code, const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    return code;
}

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static void fill(uint8_t *at, size_t len)
{
    FOLLOW_PUBLIC(at, len);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)below(256);
}

static void require(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static void key_init(int i, unsigned suite)
{
    uint8_t raw[32];
    size_t size = (FOLLOW.key_size + 63u) / 64 * 64;
    fill(raw, sizeof(raw));
    FOLLOW_SECRET(raw, sizeof(raw));
    keys[i] = aligned_alloc(64, size);
    require(keys[i] != NULL, "no memory");
    memset(keys[i], 0, size);
    keys[i]->backend = &FOLLOW;
    require(FOLLOW.key_init(keys[i], NULL, suite, raw) == KFE_OK, "no key");
    require(follow_is_public(keys[i], sizeof(*keys[i])), "whose key it is became a secret");
    require(!follow_is_public(keys[i], FOLLOW.key_size), "the key is no secret: nobody follows it");

    static uint8_t bytes[48];
    fill(bytes, sizeof(bytes));
    FOLLOW_SECRET(bytes, sizeof(bytes));
    prefixes[i] = (kfe_prefix){.absorbed = {.len = sizeof(bytes)}, .bytes = bytes};
    FOLLOW.hash(keys[i], prefixes[i].absorbed.ghash, bytes, sizeof(bytes) / 16);
    require(!follow_is_public(prefixes[i].absorbed.ghash, 16), "a hash is no secret");
}

static void key_drop(int i)
{
    if (FOLLOW.key_wipe != NULL)
        FOLLOW.key_wipe(keys[i]);
    free(keys[i]);
}

/* How the messages of a batch look. */
typedef struct {
    uint32_t n, keys, len_from, len_to, aad_from, aad_to;
    bool prefix, in_place;
} shape;

static const shape shapes[] = {
    {1, 1, 0, 0, 0, 0, false, false},        {1, 1, 13, 13, 20, 20, true, true},
    {1, 1, 300, 300, 32, 32, false, false},  {1, 1, 9000, 9000, 300, 300, true, false},
    {1, 1, 4099, 4099, 0, 0, false, true},   {3, 1, 0, 17, 0, 5, true, true},
    {7, 1, 5, 300, 9, 30, true, true},       {7, 3, 0, 80, 0, 70, true, false},
    {16, 1, 16, 16, 32, 32, false, false},   {37, 1, 16, 16, 12, 12, true, true},
    {38, 1, 17, 32, 16, 16, false, false},   {61, 1, 90, 112, 32, 32, false, true},
    {64, 1, 256, 256, 32, 32, false, false}, {66, 1, 1020, 1024, 0, 0, true, true},
    {130, 1, 0, 300, 0, 40, true, false},    {130, 3, 0, 1200, 0, 120, true, true},
    {9, 2, 1000, 5000, 0, 20, false, false},
};

static void lay_out(const shape *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        message *m = &messages[i];
        uint32_t key = below(s->keys);
        ops[i] = (kfe_aead_op){
            .key = keys[key],
            .nonce = m->nonce,
            .prefix = s->prefix && below(8) != 0 ? &prefixes[key].absorbed : NULL,
            .aad = m->aad,
            .in = m->in,
            .out = s->in_place ? m->in : m->out,
            .tag = m->tag,
            .aad_len = s->aad_from + below(s->aad_to - s->aad_from + 1),
            .len = s->len_from + below(s->len_to - s->len_from + 1),
        };
        fill(m->nonce, sizeof(m->nonce));
        fill(m->aad, ops[i].aad_len);
        fill(m->in, ops[i].len);
        FOLLOW_SECRET(m->aad, ops[i].aad_len);
        FOLLOW_SECRET(m->in, ops[i].len);
    }
}

static void seal(const shape *s)
{
    const kfe_aead_batch batch = {.ops = ops, .n = s->n};
    require(FOLLOW.seal(&batch) == KFE_OK, "not sealed");
    for (uint32_t i = 0; i < s->n; i++) {
        require(!follow_is_public(ops[i].tag, 16), "a tag that does not come of a secret");
        require(ops[i].len == 0 || !follow_is_public(ops[i].out, ops[i].len),
                "a text that does not come of a secret");
        /* What is sent is public. */
        FOLLOW_PUBLIC(ops[i].tag, 16);
        FOLLOW_PUBLIC(ops[i].out, ops[i].len);
        ops[i].in = ops[i].out;
    }
}

/* Every `rarity`-th message is forged; 0: none. */
static void open(const shape *s, uint32_t rarity)
{
    uint64_t failed[(MESSAGES + 63) / 64];
    const kfe_aead_batch batch = {.ops = ops, .n = s->n, .failed = failed};
    for (uint32_t i = 0; rarity > 0 && i < s->n; i += rarity)
        ops[i].tag[i % 16] ^= (uint8_t)(1 << i % 8);
    require(FOLLOW.open(&batch) == KFE_OK, "not opened");
    for (uint32_t i = 0; i < s->n; i++) {
        bool forged = rarity > 0 && i % rarity == 0;
        require(follow_is_public(&failed[i / 64], sizeof(*failed)), "the verdict is not public");
        require((failed[i / 64] >> i % 64 & 1) == forged, "a wrong verdict");
        if (forged)
            require(follow_is_public(ops[i].out, ops[i].len), "a forged text is not wiped");
    }
}

static void batches(void)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        for (uint32_t rarity = 0; rarity < 4; rarity++) {
            lay_out(&shapes[i]);
            seal(&shapes[i]);
            open(&shapes[i], rarity);
        }
}

static void streams(void)
{
    static const size_t sizes[] = {1, 2, 5, 16, 33, 260};
    message *m = &messages[0];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        kfe_gcm_stream at = {.counter = {[15] = 2}};
        kfe_gcm_stream back = {.counter = {[15] = 2}};
        fill(m->in, 16 * sizes[i]);
        FOLLOW_SECRET(m->in, 16 * sizes[i]);
        FOLLOW.hash(keys[0], at.ghash, m->in, sizes[i]);
        FOLLOW.seal_blocks(keys[0], &at, m->in, m->out, sizes[i]);
        FOLLOW.open_blocks(keys[0], &back, m->out, m->out, sizes[i]);
        FOLLOW.keystream(keys[0], at.counter, m->tag);
        require(!follow_is_public(at.ghash, 16) && !follow_is_public(m->tag, 16),
                "a stream that does not come of a secret");
        require(follow_is_public(at.counter, 16) && follow_is_public(back.counter, 16),
                "a counter became a secret");
    }
}

/* With an argument: 1 or 2, the leak to plant. */
int main(int argc, char **argv)
{
    leak_planted = argc > 1 ? argv[1][0] - '0' : 0;
    if (!FOLLOW.usable()) {
        printf("skipped: backend %s cannot run on this CPU\n", FOLLOW.name);
        return 77;
    }
    require(follow_is_on(), "nothing follows secrets: run it under valgrind");
    messages = calloc(MESSAGES, sizeof(*messages));
    require(messages != NULL, "no memory");
    static const unsigned suites[] = {1, 2, KFE_A192GCM};
    for (size_t s = 0; s < sizeof(suites) / sizeof(*suites); s++) {
        if ((FOLLOW.suites >> suites[s] & 1) == 0)
            continue;
        for (int i = 0; i < KEYS; i++)
            key_init(i, suites[s]);
        batches();
        streams();
        for (int i = 0; i < KEYS; i++)
            key_drop(i);
        printf("%s, suite %u: followed\n", FOLLOW.name, suites[s]);
    }
    free(messages);
    return 0;
}
