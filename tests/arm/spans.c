/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a backend between marks, for trace.c to look at; says on standard output what each
 * stretch was.
 *   spans count BACKEND   batches of 64 messages under one key: SEAL|OPEN LENGTH
 *   spans alike BACKEND   the same lengths under three keys, with three sets of texts, in the same
 *                         memory: NAME, three times each; BACKEND may be "leaky" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend.h"

enum { BATCH = 64, AAD = 32, LEN_MAX = 5000, SETS = 3, A256GCM = 1 };

#define MARK_BEGIN() __asm__ volatile("hint #100" ::: "memory")
#define MARK_END() __asm__ volatile("hint #101" ::: "memory")

extern const kfe_backend leaky_backend;

static struct {
    _Alignas(64) uint8_t key[4096];
    uint8_t raw[32], nonce[BATCH][12], aad[BATCH][AAD], tag[BATCH][16];
    uint8_t in[BATCH][LEN_MAX], out[BATCH][LEN_MAX], state[16];
} room;

static kfe_aead_op ops[BATCH];
static uint64_t failed[1];
static const kfe_aead_batch batch = {.ops = ops, .n = BATCH, .failed = failed};

static const kfe_backend *named(const char *name)
{
    if (strcmp(name, leaky_backend.name) == 0)
        return &leaky_backend;
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++)
        if (strcmp(name, kfe_all_backends[i]->name) == 0)
            return kfe_all_backends[i];
    return NULL;
}

static void lay_out(const uint32_t lens[BATCH], uint32_t aad_len)
{
    for (size_t i = 0; i < BATCH; i++)
        ops[i] = (kfe_aead_op){.key = (const kfe_aead_key *)(const void *)room.key,
                               .nonce = room.nonce[i],
                               .aad = room.aad[i],
                               .aad_len = aad_len,
                               .in = room.in[i],
                               .out = room.out[i],
                               .len = lens[i],
                               .tag = room.tag[i]};
}

static void all_of(uint32_t lens[BATCH], uint32_t len)
{
    for (size_t i = 0; i < BATCH; i++)
        lens[i] = len;
}

static void expand(const kfe_backend *backend)
{
    kfe_aead_key *key = (kfe_aead_key *)(void *)room.key;
    memset(room.key, 0, sizeof(room.key));
    key->backend = backend;
    MARK_BEGIN();
    (void)backend->key_init(key, NULL, A256GCM, room.raw);
    MARK_END();
}

static void seal(const kfe_backend *backend)
{
    MARK_BEGIN();
    (void)backend->seal(&batch);
    MARK_END();
}

/* Opens in place what was sealed. */
static void open_again(const kfe_backend *backend)
{
    for (size_t i = 0; i < BATCH; i++)
        ops[i].in = ops[i].out;
    MARK_BEGIN();
    (void)backend->open(&batch);
    MARK_END();
    if (failed[0] != 0) {
        fprintf(stderr, "%s does not open what it sealed\n", backend->name);
        exit(1);
    }
}

static void count(const kfe_backend *backend)
{
    static const uint32_t sizes[] = {7, 16, 64, 100, 300, 1024, 4096};
    uint32_t lens[BATCH];
    expand(backend);
    puts("key 0");
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        all_of(lens, sizes[s]);
        lay_out(lens, AAD);
        seal(backend);
        printf("seal %u\n", sizes[s]);
        open_again(backend);
        printf("open %u\n", sizes[s]);
    }
}

static void alike(const kfe_backend *backend, int set)
{
    static const uint32_t aad_lens[] = {32, 0, 5, 29};
    uint32_t lens[BATCH];
    srand(1 + (unsigned)set);
    for (uint8_t *byte = (uint8_t *)&room; byte < (uint8_t *)(&room + 1); byte++)
        *byte = (uint8_t)(rand() >> 7);
    expand(backend);
    puts("key");
    for (uint32_t a = 0; a < 4; a++) {
        for (uint32_t i = 0; i < BATCH; i++)
            lens[i] = i * i * (a + 1) % (i % 7 == 0 ? LEN_MAX : 150);
        lay_out(lens, aad_lens[a]);
        seal(backend);
        puts("seal");
        open_again(backend);
        puts("open");
    }
    const kfe_aead_key *key = (const kfe_aead_key *)(const void *)room.key;
    MARK_BEGIN();
    backend->hash(key, room.state, room.in[0], LEN_MAX / 16);
    backend->keystream(key, room.in[1], room.state);
    MARK_END();
    puts("pieces");
}

int main(int argc, char **argv)
{
    const kfe_backend *backend = argc == 3 ? named(argv[2]) : NULL;
    if (backend == NULL)
        return 2;
    if (!backend->usable())
        return 77;
    if (strcmp(argv[1], "count") == 0)
        count(backend);
    else
        for (int set = 0; set < SETS; set++)
            alike(backend, set);
    return 0;
}
