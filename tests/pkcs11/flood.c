/* SPDX-License-Identifier: Apache-2.0 */
/* What does somebody who writes made-up records cost a token, and another topic of the same
 * process? Records with unknown key references, then with a known one and made-up salts, are opened
 * as fast as they go. Exits with 1 when a limit is passed. Takes about a minute. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kfe/kfe.h>

#include "tests/pkcs11/test_token.h"

enum { RECORDS = 100000, FEW = 300, CALLS_MAX = 50, PAIRS = 5, SPACE = 4096, BURST_MS = 1000 };

typedef enum { FEW_REFERENCES, NEW_REFERENCES, NEW_SALTS } flood_kind;

typedef struct {
    kfe_engine *engine;
    kfe_record record; /* sealed */
    uint8_t space[SPACE];
    flood_kind kind;
    atomic_bool stop;
    atomic_ulong done, failed;
} stream;

static stream flooded, neighbour;
static const test_token *token;
static bool passed = true;

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void judge(const char *what, double figure, double limit, bool good)
{
    printf("%s: %.2f (limit %.2f): %s\n", what, figure, limit, good ? "PASS" : "FAIL");
    fflush(stdout);
    passed = passed && good;
}

/* Changes an envelope: behind the key's name are one byte of version, and the salt. */
static void forge(uint8_t *name, size_t len, flood_kind kind, uint32_t n)
{
    uint32_t id = kind == FEW_REFERENCES ? n % FEW : n;
    if (kind == NEW_SALTS) {
        memcpy(name + len + 1, &n, sizeof(n));
        return;
    }
    for (size_t i = 0; i < 5; i++, id /= 26)
        name[i] = (uint8_t)('A' + id % 26);
    name[len] = (uint8_t)(1 + n % 3); /* FEW is a multiple of 3: as many references as names */
}

static void *flood(void *unused)
{
    (void)unused;
    static const char key[] = "flooded";
    uint8_t envelope[SPACE], room[SPACE];
    kfe_header headers[KFE_GROUPS_MAX];
    kfe_record forged = flooded.record, opened;
    const kfe_bytes from = flooded.record.headers[0].value;
    memcpy(headers, forged.headers, forged.n_headers * sizeof(*headers));
    memcpy(envelope, from.data, from.len);
    headers[0].value.data = envelope;
    forged.headers = headers;
    uint8_t *name = memmem(envelope, from.len, key, sizeof(key) - 1);
    for (uint32_t n = 0; name != NULL && !flooded.stop; n++) {
        forge(name, sizeof(key) - 1, flooded.kind, n);
        if (kfe_open(flooded.engine, &forged, &opened, 1, room, sizeof(room), 0) == KFE_OK)
            flooded.failed++;
        flooded.done++;
    }
    return NULL;
}

static void *open_neighbour(void *unused)
{
    (void)unused;
    uint8_t room[SPACE];
    kfe_record opened;
    while (!neighbour.stop) {
        if (kfe_open(neighbour.engine, &neighbour.record, &opened, 1, room, sizeof(room), 0))
            neighbour.failed++;
        neighbour.done++;
    }
    return NULL;
}

static double neighbour_rate(void)
{
    pthread_t thread;
    unsigned long before = neighbour.done;
    double start = now();
    neighbour.stop = false;
    pthread_create(&thread, NULL, open_neighbour, NULL);
    pause_ms(300);
    neighbour.stop = true;
    pthread_join(thread, NULL);
    return (double)(neighbour.done - before) / (now() - start);
}

/* Everything that is work for a token: whatever begins a search or a use of a key. */
static unsigned long asked(void)
{
    static const char *const begins[] = {"C_FindObjectsInit", "C_SignInit",  "C_EncryptInit",
                                         "C_DecryptInit",     "C_UnwrapKey", "C_WrapKey"};
    unsigned long sum = 0;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        sum += token->shim->calls(begins[i]);
    return sum;
}

/* After the burst: on average, since what was not used in between is a burst again. */
static void run(const char *title, flood_kind kind, unsigned seconds)
{
    pthread_t thread;
    flooded.kind = kind;
    flooded.stop = false;
    flooded.done = 0;
    token->shim->reset();
    pthread_create(&thread, NULL, flood, NULL);
    pause_ms(BURST_MS);
    double start = now();
    unsigned long burst = asked(), last = burst, most = 0, before_29 = 0;
    for (unsigned s = 1; s < seconds; s++) {
        pause_ms(1000);
        unsigned long sum = asked();
        most = sum - last > most ? sum - last : most;
        last = sum;
        before_29 = s < 29 ? sum : before_29;
        fprintf(stderr, "%s: %u s, %lu records, %lu asked\n", title, s + 1, flooded.done, sum);
    }
    double took = now() - start, rate = (double)(last - burst) / took;
    flooded.stop = true;
    pthread_join(thread, NULL);
    printf("%s: %lu records; asked %lu in the first second, then %lu in %.1f s, %lu in the worst "
           "second; searches %lu, derivations %lu\n",
           title, flooded.done, burst, last - burst, took, most,
           token->shim->calls("C_FindObjectsInit"), token->shim->calls("C_SignInit"));
    judge("  records at least", (double)flooded.done, RECORDS, flooded.done >= RECORDS);
    judge("  a second after the burst", rate, CALLS_MAX, rate <= CALLS_MAX + 1 / took);
    if (kind == FEW_REFERENCES)
        judge("  a reference in 29 s", (double)before_29 / FEW, 1, before_29 <= FEW);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(const char *title, flood_kind kind)
{
    double ratios[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        pthread_t thread;
        double alone = neighbour_rate();
        flooded.kind = kind;
        flooded.stop = false;
        pthread_create(&thread, NULL, flood, NULL);
        ratios[i] = neighbour_rate() / alone;
        flooded.stop = true;
        pthread_join(thread, NULL);
    }
    qsort(ratios, PAIRS, sizeof(*ratios), ascending);
    judge(title, ratios[PAIRS / 2], 0.5, ratios[PAIRS / 2] >= 0.5);
}

static bool seal(stream *to, const char *key)
{
    static const uint8_t value[300] = {1};
    const kfe_record plain = {
        .topic = {(const uint8_t *)key, strlen(key)}, .value = {value, 300}, .partition = -1};
    kfe_key_provider *p = test_token_open(token);
    kfe_error err = p->ops->create(p, key);
    p->ops->free(p);
    kfe_engine *producer = NULL;
    if (!err)
        err = kfe_config_set(token->config, "encryption.keymanager.class", "topic");
    if (!err)
        err = kfe_config_set(token->config, "encryption.keymanager.default.key", key);
    if (!err)
        err = kfe_engine_new(&producer, token->config);
    if (!err)
        err = kfe_seal(producer, &plain, &to->record, 1, to->space, SPACE, 0);
    kfe_engine_free(producer);
    if (err)
        fprintf(stderr, "%s: %s\n", kfe_error_name(err), kfe_error_detail());
    return !err;
}

int main(void)
{
    void *state;
    if (test_token_setup(&state) != 0)
        return 1;
    token = state;
    kfe_engine *engine;
    if (!seal(&flooded, "flooded") || !seal(&neighbour, "neighbour") ||
        kfe_engine_new(&engine, token->config))
        return 1;
    flooded.engine = neighbour.engine = engine;
    neighbour_rate();
    run("few unknown references", FEW_REFERENCES, 45);
    run("new unknown references", NEW_REFERENCES, 4);
    run("new salts", NEW_SALTS, 4);
    compare("neighbour's rate beside unknown references", NEW_REFERENCES);
    compare("neighbour's rate beside new salts", NEW_SALTS);
    judge("records refused or taken wrongly", (double)(flooded.failed + neighbour.failed), 0,
          flooded.failed + neighbour.failed == 0);
    kfe_engine_free(engine);
    return test_token_teardown(&state) != 0 || !passed;
}
