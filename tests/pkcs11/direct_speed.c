/* SPDX-License-Identifier: Apache-2.0 */
/* How many fields a second does a key in the token seal and open, by sessions and by how long each
 * call takes? Prints tables for docs/keys.md. A field has 300 bytes and 48 of associated data.
 * Without latency the module is called as it is; the shim adds what is added, to C_Encrypt and
 * C_Decrypt. The best of some rounds counts, as neighbours only take away. Takes half a minute, and
 * fails when one session without latency does fewer than MIN fields a second. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/pkcs11/aes_key.h"

enum { AT_ONCE_MAX = 64, THREADS_MAX = 8, LEN = 300, CELL_MS = 1000, WARM_MS = 100, MIN = 25000 };

static kfe_key *key;
static unsigned iv_size;
static size_t at_once = 16; /* fields of a call of the provider */
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
    uint8_t in[LEN] = {1}, out[AT_ONCE_MAX][LEN], iv_tag[AT_ONCE_MAX][32], aad[48] = {1};
    uint8_t back[LEN];
    kfe_key_field fields[AT_ONCE_MAX];
    for (size_t i = 0; i < at_once; i++)
        fields[i] = (kfe_key_field){.aad = aad,
                                    .aad_size = sizeof(aad),
                                    .in = in,
                                    .len = LEN,
                                    .out = out[i],
                                    .iv_tag = iv_tag[i],
                                    .iv_size = iv_size};
    kfe_error err = key->ops->seal(key, fields, at_once);
    for (size_t i = 0; i < at_once && !sealing; i++) {
        fields[i].in = out[i];
        fields[i].out = back;
    }
    while (!err && !stop) {
        err = sealing ? key->ops->seal(key, fields, at_once) : key->ops->open(key, fields, at_once);
        atomic_fetch_add(&done, at_once);
    }
    if (err)
        fprintf(stderr, "%s: %s\n", kfe_error_name(err), kfe_error_detail());
    return NULL;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static double rate(int sessions, bool seals, int rounds)
{
    pthread_t threads[THREADS_MAX];
    double best = 0;
    stop = false;
    sealing = seals;
    for (int i = 0; i < sessions; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    pause_ms(WARM_MS);
    for (int i = 0; i < rounds; i++) {
        unsigned long before = done;
        double start = now();
        pause_ms(CELL_MS / rounds);
        double fields = (double)(done - before) / (now() - start);
        best = fields > best ? fields : best;
    }
    stop = true;
    for (int i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    return best;
}

static kfe_key_provider *open_key(const kfe_config *config)
{
    kfe_key_provider *provider = NULL;
    const kfe_key_ref ref = {"field", 1};
    kfe_error err = kfe_pkcs11.open(&provider, config);
    if (!err)
        err = provider->ops->get_key(provider, &ref, &key);
    if (!err)
        err = key->ops->iv_size(key, &iv_size);
    if (!err)
        return provider;
    fprintf(stderr, "%s: %s\n", kfe_error_name(err), kfe_error_detail());
    exit(1);
}

static void close_key(kfe_key_provider *provider)
{
    key->ops->release(key);
    provider->ops->free(provider);
}

enum { ROWS = 4, COLUMNS = 3, SHORT_ONES = 20 };

static bool judge(const char *what, double fields)
{
    printf("%s: one session, no latency: %s %.0f fields/s, at least %d\n",
           fields >= MIN ? "PASS" : "FAIL", what, fields, MIN);
    return fields >= MIN;
}

/* Column by column, as one provider serves each module. */
static bool by_sessions(const test_token *h, const kfe_config *bare)
{
    static const int sessions[ROWS] = {1, 2, 4, 8};
    static const unsigned delays[COLUMNS] = {0, 1000, 5000};
    double rates[ROWS][COLUMNS][2];
    for (int column = 0; column < COLUMNS; column++) {
        kfe_key_provider *provider = open_key(column == 0 ? bare : h->config);
        h->shim->delay("C_Encrypt", delays[column]);
        h->shim->delay("C_Decrypt", delays[column]);
        for (int row = 0; row < ROWS; row++)
            for (int seals = 0; seals < 2; seals++)
                rates[row][column][seals] =
                    rate(sessions[row], seals, column == 0 ? SHORT_ONES : 1);
        h->shim->reset();
        close_key(provider);
    }
    printf(
        "| fields/s: seal, open | no latency | 1 ms a call | 5 ms a call |\n|---|---|---|---|\n");
    for (int row = 0; row < ROWS; row++) {
        printf("| %d session%s", sessions[row], row == 0 ? "" : "s");
        for (int column = 0; column < COLUMNS; column++)
            printf(" | %.0f, %.0f", rates[row][column][1], rates[row][column][0]);
        printf(" |\n");
    }
    printf("\n");
    const bool seals = judge("seal", rates[0][0][1]), opens = judge("open", rates[0][0][0]);
    return seals && opens;
}

/* On one session, by how many fields the application has at a time. */
static void by_fields(const kfe_config *bare)
{
    kfe_key_provider *provider = open_key(bare);
    printf("\n| fields of a call | seal, fields/s | open, fields/s |\n|---|---|---|\n");
    for (at_once = 1; at_once <= AT_ONCE_MAX; at_once *= 2)
        printf("| %zu | %.0f | %.0f |\n", at_once, rate(1, true, SHORT_ONES),
               rate(1, false, SHORT_ONES));
    close_key(provider);
}

int main(void)
{
    void *state;
    char uri[600];
    if (test_token_setup(&state) != 0)
        return 1;
    const test_token *h = state;
    snprintf(uri, sizeof(uri), "%s?module-path=%s", test_token_named(), test_token_module());
    kfe_config *bare = test_token_config(uri, NULL);
    aes_import("field", 1, 32, AES_CRYPT);
    if (kfe_config_set(bare, "encryption.keyprovider.pkcs11.session", "direct") ||
        kfe_config_set(h->config, "encryption.keyprovider.pkcs11.session", "direct"))
        return 1;
    const bool good = by_sessions(h, bare);
    by_fields(bare);
    kfe_config_free(bare);
    return test_token_teardown(&state) != 0 || !good;
}
