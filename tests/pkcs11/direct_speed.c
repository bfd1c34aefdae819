/* SPDX-License-Identifier: Apache-2.0 */
/* How many fields a second does a key in the token seal and open, by sessions and by how long each
 * call takes? Prints a table for docs/keys.md. A field has 300 bytes and 48 of associated data; the
 * latency is added to C_Encrypt and C_Decrypt. Not a test: it takes half a minute. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "tests/pkcs11/aes_key.h"

enum { AT_ONCE = 16, THREADS_MAX = 16, LEN = 300, CELL_MS = 1000 };

static kfe_key *key;
static unsigned iv_size;
static bool sealing;
static atomic_bool stop;
static atomic_ulong done;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *work(void *unused)
{
    (void)unused;
    uint8_t in[LEN] = {1}, out[AT_ONCE][LEN], iv_tag[AT_ONCE][32], aad[48] = {1};
    kfe_key_field fields[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        fields[i] = (kfe_key_field){.aad = aad,
                                    .aad_size = sizeof(aad),
                                    .in = in,
                                    .len = LEN,
                                    .out = out[i],
                                    .iv_tag = iv_tag[i],
                                    .iv_size = iv_size};
    kfe_error err = key->ops->seal(key, fields, AT_ONCE);
    uint8_t back[LEN];
    for (int i = 0; i < AT_ONCE && !sealing; i++) {
        fields[i].in = out[i];
        fields[i].out = back;
    }
    while (!err && !stop) {
        err = sealing ? key->ops->seal(key, fields, AT_ONCE) : key->ops->open(key, fields, AT_ONCE);
        atomic_fetch_add(&done, AT_ONCE);
    }
    if (err)
        fprintf(stderr, "%s: %s\n", kfe_error_name(err), kfe_error_detail());
    return NULL;
}

static double rate(int sessions)
{
    pthread_t threads[THREADS_MAX];
    stop = false;
    for (int i = 0; i < sessions; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    const struct timespec warm = {.tv_nsec = 100000000}, cell = {.tv_sec = CELL_MS / 1000};
    nanosleep(&warm, NULL);
    unsigned long before = done;
    double start = now();
    nanosleep(&cell, NULL);
    double fields = (double)(done - before), took = now() - start;
    stop = true;
    for (int i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    return fields / took;
}

static void table(const test_token *h, bool seals)
{
    static const int sessions[] = {1, 2, 4, 8};
    static const unsigned delays[] = {0, 1000, 5000};
    sealing = seals;
    printf("\n| %s, fields/s | no latency | 1 ms a call | 5 ms a call |\n|---|---|---|---|\n",
           seals ? "seal" : "open");
    for (size_t s = 0; s < 4; s++) {
        printf("| %d session%s", sessions[s], s == 0 ? "" : "s");
        for (size_t d = 0; d < 3; d++) {
            h->shim->delay("C_Encrypt", delays[d]);
            h->shim->delay("C_Decrypt", delays[d]);
            printf(" | %.0f", rate(sessions[s]));
            fflush(stdout);
        }
        printf(" |\n");
    }
    h->shim->delay("C_Encrypt", 0);
    h->shim->delay("C_Decrypt", 0);
}

int main(void)
{
    void *state;
    if (test_token_setup(&state) != 0)
        return 1;
    aes_import("field", 1, 32, AES_CRYPT);
    kfe_key_provider *provider = aes_open(state, "direct");
    key = aes_get(provider, "field", 1);
    if (key->ops->iv_size(key, &iv_size) != KFE_OK)
        return 1;
    table(state, true);
    table(state, false);
    key->ops->release(key);
    provider->ops->free(provider);
    return test_token_teardown(&state);
}
