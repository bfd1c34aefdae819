/* SPDX-License-Identifier: Apache-2.0 */
/* kfe.so beside OpenSSL's own AES-256-GCM, as EVP's callers see it: whole messages (IV, 32 bytes of
 * AAD, text, tag) sealed and opened with a context that is kept, and updates of one endless
 * message. Best of many rounds, both in turn in each. `--quick`: one round, to see that it works.
 */
#include "tests/openssl/rig.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TEXT_MAX = 16384, AAD = 32, KEY = 2 /* 256 bits */ };

typedef struct {
    EVP_CIPHER_CTX *seal, *open;
    uint8_t iv[12], tag[RIG_TAG], sealed[TEXT_MAX], opened[TEXT_MAX];
} side;

typedef bool action(side *s, int len);

static uint8_t plain[TEXT_MAX], aad[AAD];

static bool seal(side *s, int len)
{
    int made = 0;
    return EVP_EncryptInit_ex2(s->seal, NULL, NULL, s->iv, NULL) == 1 &&
           EVP_EncryptUpdate(s->seal, NULL, &made, aad, AAD) == 1 &&
           EVP_EncryptUpdate(s->seal, s->sealed, &made, plain, len) == 1 &&
           EVP_EncryptFinal_ex(s->seal, s->sealed, &made) == 1 &&
           EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, RIG_TAG, s->tag) == 1;
}

static bool open_it(side *s, int len)
{
    int made = 0;
    return EVP_DecryptInit_ex2(s->open, NULL, NULL, s->iv, NULL) == 1 &&
           EVP_DecryptUpdate(s->open, NULL, &made, aad, AAD) == 1 &&
           EVP_DecryptUpdate(s->open, s->opened, &made, s->sealed, len) == 1 &&
           EVP_CIPHER_CTX_ctrl(s->open, EVP_CTRL_AEAD_SET_TAG, RIG_TAG, s->tag) == 1 &&
           EVP_DecryptFinal_ex(s->open, s->opened, &made) == 1;
}

/* What `openssl speed -evp` does. A message that is full is followed by another. */
static bool update(side *s, int len)
{
    int made = 0;
    return EVP_EncryptUpdate(s->seal, s->sealed, &made, plain, len) == 1 ||
           EVP_EncryptInit_ex2(s->seal, NULL, NULL, s->iv, NULL) == 1;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of one call. Negative: it failed. */
static double time_of(action *act, side *s, int len, int times)
{
    double start = now_ns();
    for (int i = 0; i < times; i++)
        if (!act(s, len))
            return -1;
    return (now_ns() - start) / times;
}

static bool one_row(side sides[SIDES], action *act, int len, bool quick)
{
    double best[SIDES] = {1e18, 1e18};
    int times = quick ? 10 : len < 1024 ? 1000 : 200;
    for (int round = 0; round < (quick ? 1 : 60); round++)
        for (int i = 0; i < SIDES; i++) {
            if (!seal(&sides[i], len) ||
                (act == update &&
                 !EVP_EncryptInit_ex2(sides[i].seal, NULL, NULL, sides[i].iv, NULL)))
                return false;
            double took = time_of(act, &sides[i], len, times);
            if (took < 0)
                return false;
            best[i] = took < best[i] ? took : best[i];
        }
    if (act == seal && (memcmp(sides[OURS].tag, sides[THEIRS].tag, RIG_TAG) != 0 ||
                        memcmp(sides[OURS].sealed, sides[THEIRS].sealed, (size_t)len) != 0))
        return false;
    printf("| %5d | %7.1f | %7.1f | %5.2f |\n", len, best[THEIRS], best[OURS],
           best[THEIRS] / best[OURS]);
    return true;
}

static bool one_table(side sides[SIDES], const char *name, action *act, bool quick)
{
    static const int lens[] = {16, 31, 64, 100, 256, 300, 512, 1024, 2048, 4096, 8192, TEXT_MAX};
    printf("\n| %s, bytes | OpenSSL, ns | kfe, ns | ratio |\n|---|---|---|---|\n", name);
    for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++)
        if (!one_row(sides, act, lens[i], quick))
            return false;
    return true;
}

int main(int argc, char **argv)
{
    static side sides[SIDES];
    static const uint8_t key[32] = {1, 2, 3};
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    rig_begin();
    for (int i = 0; i < SIDES; i++) {
        sides[i].seal = EVP_CIPHER_CTX_new();
        sides[i].open = EVP_CIPHER_CTX_new();
        if (EVP_EncryptInit_ex2(sides[i].seal, rig_cipher[i][KEY], key, NULL, NULL) != 1 ||
            EVP_DecryptInit_ex2(sides[i].open, rig_cipher[i][KEY], key, NULL, NULL) != 1)
            return 1;
    }
    bool good = one_table(sides, "seal", seal, quick) && one_table(sides, "open", open_it, quick) &&
                one_table(sides, "update", update, quick);
    for (int i = 0; i < SIDES; i++) {
        EVP_CIPHER_CTX_free(sides[i].seal);
        EVP_CIPHER_CTX_free(sides[i].open);
    }
    rig_end();
    if (!good)
        printf("a call failed, or the two differ\n");
    return good ? 0 : 1;
}
