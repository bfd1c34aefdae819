/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM in pieces of whole blocks, as a stream is worked on: do all splits of a text come to the
 * same, is it what a plain reading of SP 800-38D makes of it, and does the block counter carry as
 * it should, within its last 4 bytes and not beyond? */
#include "tests/backend/lab.h"

#include <string.h>

enum { BLOCKS_MAX = 1100 };

typedef struct {
    lab_key key;
    uint8_t plain[16 * BLOCKS_MAX], sealed[16 * BLOCKS_MAX];
    kfe_gcm_stream from, sealing, opening; /* as it begins, and what must come of it */
} stream;

static stream s;

/* ---- What must come of it -------------------------------------------------------------------- */

static void count(uint8_t counter[16])
{
    for (int i = 15; i >= 12 && ++counter[i] == 0; i--)
        ;
}

static void make(unsigned suite, uint32_t counter, size_t blocks)
{
    lab_key_init(&s.key, suite, NULL);
    lab_bytes(s.from.ghash, 16);
    lab_bytes(s.from.counter, 12);
    for (int i = 0; i < 4; i++)
        s.from.counter[12 + i] = (uint8_t)(counter >> (24 - 8 * i));
    lab_bytes(s.plain, 16 * blocks);
    s.sealing = s.opening = s.from;
    for (size_t i = 0; i < blocks; i++) {
        uint8_t key_block[16];
        lab_oracle_block(&s.key, s.sealing.counter, key_block);
        count(s.sealing.counter);
        for (size_t b = 16 * i; b < 16 * i + 16; b++)
            s.sealed[b] = s.plain[b] ^ key_block[b % 16];
    }
    memcpy(s.opening.counter, s.sealing.counter, 16);
    lab_oracle_ghash(&s.key, s.sealing.ghash, s.sealed, blocks);
    memcpy(s.opening.ghash, s.sealing.ghash, 16);
}

/* ---- What comes of it ------------------------------------------------------------------------ */

static void must_be(const kfe_gcm_stream *at, const kfe_gcm_stream *wanted, const char *what)
{
    if (memcmp(at->counter, wanted->counter, 16) != 0)
        fail_msg("%s, suite %u: another counter", what, s.key.suite);
    if (memcmp(at->ghash, wanted->ghash, 16) != 0)
        fail_msg("%s, suite %u: another hash", what, s.key.suite);
}

/* One call of each on n blocks from `at` on. */
static void run_piece(lab_bench *bench, kfe_gcm_stream *sealing, kfe_gcm_stream *opening,
                      uint8_t hash[16], size_t at, size_t n)
{
    bool in_place = kit_below(2) != 0;
    const uint8_t *plain = s.plain + at, *sealed = s.sealed + at;
    lab_piece piece = lab_piece_new(bench, plain, 16 * n, in_place);
    lab_backend->seal_blocks(s.key.key, sealing, piece.in, piece.out, n);
    const char *wrong = lab_piece_wrong(bench, &piece, plain, sealed);
    if (wrong != NULL)
        fail_msg("sealing %zu blocks: %s", n, wrong);
    piece = lab_piece_new(bench, sealed, 16 * n, in_place);
    lab_backend->open_blocks(s.key.key, opening, piece.in, piece.out, n);
    wrong = lab_piece_wrong(bench, &piece, sealed, plain);
    if (wrong != NULL)
        fail_msg("opening %zu blocks: %s", n, wrong);
    piece = lab_piece_new(bench, sealed, 16 * n, true);
    lab_backend->hash(s.key.key, hash, piece.in, n);
    wrong = lab_piece_wrong(bench, &piece, sealed, sealed);
    if (wrong != NULL)
        fail_msg("hashing %zu blocks: %s", n, wrong);
}

/* In pieces of at most `most` blocks, chosen by chance; of none at times. */
static void run_in_pieces(lab_bench *bench, size_t blocks, size_t most)
{
    kfe_gcm_stream sealing = s.from, opening = s.from;
    uint8_t hash[16];
    memcpy(hash, s.from.ghash, 16);
    for (size_t done = 0; done < blocks;) {
        size_t rest = blocks - done;
        size_t n = most >= rest ? rest : kit_below((uint32_t)most + 1);
        run_piece(bench, &sealing, &opening, hash, 16 * done, n);
        done += n;
    }
    must_be(&sealing, &s.sealing, "sealing");
    must_be(&opening, &s.opening, "opening");
    assert_memory_equal(hash, s.sealing.ghash, 16);
}

/* ---- The tests ------------------------------------------------------------------------------- */

static lab_bench *bench;

static void run(unsigned suite, uint32_t counter, size_t blocks)
{
    make(suite, counter, blocks);
    run_in_pieces(bench, blocks, blocks + 1);
    run_in_pieces(bench, blocks, 5);
    run_in_pieces(bench, blocks, 70);
    lab_key_wipe(&s.key);
}

static void every_number_of_blocks(void **state)
{
    (void)state;
    for (size_t blocks = 0; blocks <= 300; blocks++)
        run(lab_some_gcm(), (uint32_t)kit_random(), blocks);
    for (int i = 0; i < 40; i++)
        run(lab_some_gcm(), 2, kit_below(BLOCKS_MAX + 1));
}

/* A border in each of the first 300 places. */
static void carries(void **state)
{
    (void)state;
    static const uint32_t borders[] = {1u << 8, 1u << 16, 1u << 24, 0};
    for (int i = 0; i < 4; i++)
        for (uint32_t before = 0; before < 300; before++)
            run(lab_some_gcm(), borders[i] - before, before + 1 + kit_below(40));
}

static void one_block_of_key(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        lab_key key;
        uint8_t counter[16], got[16], wanted[16];
        lab_key_init(&key, lab_some_gcm(), NULL);
        lab_bytes(counter, 16);
        lab_oracle_block(&key, counter, wanted);
        lab_backend->keystream(key.key, counter, got);
        assert_memory_equal(got, wanted, 16);
        lab_key_wipe(&key);
    }
}

int main(int argc, char **argv)
{
    lab_begin(argc, argv);
    if (lab_backend->seal_blocks == NULL) {
        print_message("skipped: backend %s has no streams of its own\n", lab_backend->name);
        return 77;
    }
    bench = lab_bench_new(kit_random());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_blocks),
        cmocka_unit_test(carries),
        cmocka_unit_test(one_block_of_key),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lab_bench_free(bench);
    lab_end();
    return failed;
}
