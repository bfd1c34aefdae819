/* SPDX-License-Identifier: Apache-2.0 */
/* Stored records, edited. What opens must be a record that was sealed, in all that is
 * authenticated; what does not must leave nothing behind. The input: a byte that chooses engine and
 * record, a byte that chooses another record to take parts from, then edits (edit.h).
 *
 * Salts come from a generator of this file's own and the clock goes on by itself, so an input does
 * the same in every run. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kfe/kfe.h>

#include "engine/envelope.h"
#include "engine/state.h"
#include "tests/fuzz/edit.h"
#include "tests/fuzz/fuzz.h"

enum { ENGINES = 6, RECORDS = 5, SPACE_MAX = 1 << 20 };

/* Takes the place of the C library's. */
ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    static uint64_t state = 1;
    (void)flags;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)((state = state * 6364136223846793005u + 1) >> 56);
    return (ssize_t)len;
}

/* Linked by --wrap. A step each time it is asked for, so that no token bucket runs dry for good; it
 * begins later than the real one, which calls within state.c still get. */
int64_t __wrap_kfe_now_ms(void);
int64_t __wrap_kfe_now_ms(void)
{
    static _Atomic int64_t now = INT64_C(1) << 43;
    return atomic_fetch_add(&now, 20);
}

/* ---- Engines and their records ------------------------------------------------------------------
 */

typedef struct {
    edit_record plain, stored, opened;
} known;

static kfe_engine *engines[ENGINES];
static known records[ENGINES][RECORDS];
static uint8_t *space;

static const char *const options[ENGINES][12] = {
    {NULL},
    {"encryption.scope", "record", "encryption.commit", "true", "encryption.keymanager.headers.key",
     "tags", NULL},
    {"encryption.encrypt.keys", "deterministic", "encryption.keymanager.deterministic.key",
     "pins@1", "encryption.encrypt.headers", "h[0-2]", "encryption.algorithms", "A128GCM,A256GCM",
     "encryption.consumer.added.headers", "keep", NULL},
    {"encryption.algorithms", "C20P1305", "encryption.consumer.partial", "true",
     "encryption.keymanager.headers.key", "tags", "encryption.consumer.added.headers", "drop",
     NULL},
    {"encryption.encrypt.keys", "false", "encryption.encrypt.headers", "none",
     "encryption.aad.topic", "none", NULL},
    {"encryption.encrypt.values", "false", "encryption.unencrypted.topics", "clear",
     "encryption.scope", "record", "encryption.consumer.added.headers", "keep", NULL},
};

static void set(kfe_config *config, const char *name, const char *value)
{
    fuzz_want(kfe_config_set(config, name, value) == KFE_OK, "an option is refused");
}

static void write_keys(const char *path)
{
    static const char text[] = "{\"version\":1,\"keys\":["
                               "{\"name\":\"main\",\"version\":1,\"state\":\"active\",\"key\":"
                               "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"},"
                               "{\"name\":\"tags\",\"version\":1,\"state\":\"active\",\"key\":"
                               "\"ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"},"
                               "{\"name\":\"pins\",\"version\":1,\"state\":\"active\",\"key\":"
                               "\"QEECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"},"
                               "{\"name\":\"gone\",\"version\":1,\"state\":\"destroyed\"}]}";
    FILE *file = fopen(path, "w");
    fuzz_want(file != NULL && fchmod(fileno(file), 0600) == 0 && fputs(text, file) >= 0 &&
                  fclose(file) == 0,
              "no key file");
}

static kfe_engine *engine_new(const char *const *more, const char *keys)
{
    kfe_config *config = NULL; /* it outlives the engine, and that the program */
    kfe_engine *engine = NULL;
    fuzz_want(kfe_config_new(&config) == KFE_OK, "no configuration");
    set(config, "encryption.keyprovider.class", "file");
    set(config, "encryption.keyprovider.file.path", keys);
    set(config, "encryption.keymanager.class", "topic");
    set(config, "encryption.keymanager.default.key", "main");
    for (; *more != NULL; more += 2)
        set(config, more[0], more[1]);
    fuzz_want(kfe_engine_new(&engine, config) == KFE_OK, "no engine");
    return engine;
}

static kfe_bytes text(const char *of)
{
    return (kfe_bytes){(const uint8_t *)of, of == NULL ? 0 : strlen(of)};
}

static void record_new(kfe_engine *engine, unsigned number, known *out)
{
    static const char *const keys[RECORDS] = {"customer 4711", "", NULL, "k", "customer 4712"};
    static const char *const values[RECORDS] = {"three pieces of something", "", "v", NULL,
                                                "a value that takes more than one block of AES"};
    const kfe_header headers[] = {{.name = text("h0"), .value = text("first")},
                                  {.name = text("h1"), .value = text(NULL)},
                                  {.name = text("other"), .value = text("clear, perhaps")},
                                  {.name = text("h0"), .value = text("")}};
    const kfe_record plain = {.topic = text("orders"),
                              .key = text(keys[number]),
                              .value = text(values[number]),
                              .headers = headers,
                              .n_headers = number,
                              .partition = -1};
    kfe_record made;
    edit_copy(&out->plain, &plain);
    fuzz_want(kfe_seal(engine, &plain, &made, 1, space, SPACE_MAX, 0) == KFE_OK, "not sealed");
    edit_copy(&out->stored, &made);
    fuzz_want(kfe_open(engine, &out->stored.r, &made, 1, space, SPACE_MAX, 0) == KFE_OK,
              "not opened");
    edit_copy(&out->opened, &made);
    for (size_t i = 0; i < made.n_headers; i++)
        out->opened.headers[i].status = made.headers[i].status;
}

static char folder[] = "/tmp/kfe-fuzz-XXXXXX", keys[64];

static void tear_down(void)
{
    (void)unlink(keys);
    (void)rmdir(folder);
}

/* There in a build with AddressSanitizer: engines live as long as the program, and a leak checker
 * does not see the pointers that stand in locked memory. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

static void set_up(void)
{
    if (__lsan_disable != NULL)
        __lsan_disable();
    space = malloc(SPACE_MAX);
    fuzz_want(space != NULL && mkdtemp(folder) != NULL, "no folder");
    snprintf(keys, sizeof(keys), "%s/keys.json", folder);
    write_keys(keys);
    atexit(tear_down);
    for (unsigned e = 0; e < ENGINES; e++) {
        engines[e] = engine_new(options[e], keys);
        for (unsigned r = 0; r < RECORDS; r++)
            record_new(engines[e], r, &records[e][r]);
    }
    if (__lsan_enable != NULL)
        __lsan_enable();
}

/* ---- What must hold
 * -------------------------------------------------------------------------------- */

static bool same(kfe_bytes a, kfe_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len &&
           (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static size_t envelopes(const kfe_record *r)
{
    size_t n = 0;
    while (n < r->n_headers && kfe_is_envelope(r->headers[n].name))
        n++;
    return n;
}

/* The record that was sealed with these very envelopes. */
static const known *sealed_with(const known *all, const kfe_record *in)
{
    for (unsigned r = 0; r < RECORDS; r++) {
        const kfe_record *stored = &all[r].stored.r;
        size_t n = envelopes(stored), alike = 0;
        while (n == envelopes(in) && alike < n &&
               same(stored->headers[alike].value, in->headers[alike].value))
            alike++;
        if (alike == n)
            return &all[r];
    }
    return NULL;
}

/* Whoever asks for a header by its name must not get one that anybody may have added. */
static void check_names(const kfe_record *out)
{
    for (size_t i = 0; i < out->n_headers; i++)
        for (size_t j = 0; j < out->n_headers; j++)
            fuzz_want(out->headers[i].status == KFE_FIELD_CLEAR ||
                          out->headers[j].status != KFE_FIELD_CLEAR ||
                          !same(out->headers[i].name, out->headers[j].name),
                      "a header in clear bears a covered one's name");
}

static void check_opened(const kfe_record *out, const known *k)
{
    fuzz_want(k != NULL, "opened, but never sealed");
    const kfe_record *plain = &k->plain.r, *opened = &k->opened.r;
    fuzz_want(same(out->key, plain->key) && out->key_status == opened->key_status,
              "another key"); /* also one in clear is bound */
    fuzz_want(out->value_status == opened->value_status, "the value's status");
    fuzz_want(out->value_status == KFE_FIELD_CLEAR || same(out->value, plain->value),
              "another value");
    fuzz_want(out->n_headers >= plain->n_headers, "headers are missing");
    for (size_t i = 0; i < out->n_headers; i++) {
        const kfe_header *h = &out->headers[i];
        fuzz_want(!kfe_is_envelope(h->name), "an envelope is left");
        fuzz_want(h->status == (i < plain->n_headers ? k->opened.headers[i].status : 0),
                  "a header's status");
        fuzz_want(h->status == KFE_FIELD_CLEAR || (same(h->name, plain->headers[i].name) &&
                                                   same(h->value, plain->headers[i].value)),
                  "another header");
    }
}

static void check_refused(const kfe_record *out, size_t cap)
{
    fuzz_want(out->error != KFE_E_ARGUMENT && out->error != KFE_E_MEMORY &&
                  out->error != KFE_E_SPACE && out->error != KFE_E_BACKEND,
              "refused for a reason that is not the record's");
    fuzz_want(out->key.data == NULL && out->value.data == NULL && out->n_headers == 0,
              "refused, and yet something came out");
    for (size_t i = 0; i < cap; i++)
        if (space[i] != 0)
            fuzz_want(0, "refused, and yet something was written");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (space == NULL)
        set_up();
    if (size < 2)
        return 0;
    const known *all = records[data[0] / RECORDS % ENGINES];
    kfe_engine *engine = engines[data[0] / RECORDS % ENGINES];
    edit_record in;
    edit_copy(&in, &all[data[0] % RECORDS].stored.r);
    edit_all(&in, &records[data[1] / RECORDS % ENGINES][data[1] % RECORDS].stored.r, data + 2,
             size - 2);
    kfe_record out;
    size_t cap = kfe_open_space(&in.r, 1, 0);
    fuzz_want(cap <= SPACE_MAX, "a record too large for this program");
    memset(space, 0, cap);
    kfe_error err = kfe_open(engine, &in.r, &out, 1, space, cap, 0);
    fuzz_want(err == out.error, "two errors");
    if (err)
        check_refused(&out, cap);
    else if (envelopes(&in.r) == 0)
        fuzz_want(in.r.topic.len == 5 && memcmp(in.r.topic.data, "clear", 5) == 0,
                  "in clear, and passed");
    else
        check_opened(&out, sealed_with(all, &in.r));
    check_names(&out);
    edit_drop(&in);
    return 0;
}
