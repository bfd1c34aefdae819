/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/kit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static pid_t owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    if (getpid() == owner)
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *kit_dir(void)
{
    if (dir[0] == '\0') {
        snprintf(dir, sizeof(dir), "/tmp/kfe-test-XXXXXX");
        assert_non_null(mkdtemp(dir));
        owner = getpid();
        atexit(remove_dir);
    }
    return dir;
}

static void base64(const uint8_t *in, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t b = (uint32_t)in[i] << 16 | (i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0) |
                     (i + 2 < len ? in[i + 2] : 0);
        *out++ = digits[b >> 18];
        *out++ = digits[b >> 12 & 63];
        *out++ = i + 1 < len ? digits[b >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[b & 63] : '=';
    }
    *out = '\0';
}

const char *kit_keystore(const char *file, const kit_key *keys, size_t n)
{
    static char paths[16][128];
    static unsigned used;
    assert_true(used < 16);
    char *path = paths[used++];
    snprintf(path, sizeof(paths[0]), "%s/%s", kit_dir(), file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fputs("{\"version\":1,\"keys\":[", f);
    for (size_t i = 0; i < n; i++) {
        char text[48];
        base64(keys[i].key, 32, text);
        fprintf(f, "%s{\"name\":\"%s\",\"version\":%u,\"state\":\"%s\",\"key\":\"%s\"}",
                i > 0 ? "," : "", keys[i].name, keys[i].version,
                keys[i].state != NULL ? keys[i].state : "active", text);
    }
    fputs("]}\n", f);
    assert_int_equal(fclose(f), 0);
    return path;
}

void kit_set(kfe_config *config, const char *name, const char *value)
{
    if (kfe_config_set(config, name, value) != KFE_OK)
        fail_msg("%s=%s: %s", name, value, kfe_error_detail());
}

void kit_set_list(kfe_config *config, const char *name, va_list rest)
{
    for (; name != NULL; name = va_arg(rest, const char *))
        kit_set(config, name, va_arg(rest, const char *));
}

kfe_config *kit_config(const char *name, ...)
{
    kfe_config *config = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    va_list args;
    va_start(args, name);
    kit_set_list(config, name, args);
    va_end(args);
    return config;
}

kfe_engine *kit_engine(const kfe_config *config)
{
    kfe_engine *engine = NULL;
    if (kfe_engine_new(&engine, config) != KFE_OK)
        fail_msg("kfe_engine_new: %s", kfe_error_detail());
    return engine;
}

kfe_bytes kit_text(const char *text)
{
    return (kfe_bytes){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

bool kit_same_bytes(kfe_bytes a, kfe_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len &&
           (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool kit_same(const kfe_record *a, const kfe_record *b)
{
    if (!kit_same_bytes(a->key, b->key) || !kit_same_bytes(a->value, b->value) ||
        a->n_headers != b->n_headers)
        return false;
    for (size_t i = 0; i < a->n_headers; i++)
        if (!kit_same_bytes(a->headers[i].name, b->headers[i].name) ||
            !kit_same_bytes(a->headers[i].value, b->headers[i].value))
            return false;
    return true;
}

static kfe_bytes copy_bytes(kfe_bytes bytes)
{
    if (bytes.data == NULL)
        return bytes;
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return (kfe_bytes){copy, bytes.len};
}

kfe_record kit_copy(const kfe_record *record)
{
    kfe_record copy = *record;
    kfe_header *headers = calloc(record->n_headers + 1, sizeof(*headers));
    assert_non_null(headers);
    for (size_t i = 0; i < record->n_headers; i++) {
        headers[i] = record->headers[i];
        headers[i].name = copy_bytes(record->headers[i].name);
        headers[i].value = copy_bytes(record->headers[i].value);
    }
    copy.topic = copy_bytes(record->topic);
    copy.key = copy_bytes(record->key);
    copy.value = copy_bytes(record->value);
    copy.headers = headers;
    return copy;
}

static void drop_bytes(kfe_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

void kit_drop(kfe_record *copy)
{
    for (size_t i = 0; i < copy->n_headers; i++) {
        drop_bytes(copy->headers[i].name);
        drop_bytes(copy->headers[i].value);
    }
    drop_bytes(copy->topic);
    drop_bytes(copy->key);
    drop_bytes(copy->value);
    free((void *)(uintptr_t)copy->headers);
    memset(copy, 0, sizeof(*copy));
}

typedef kfe_error call(kfe_engine *, const kfe_record *, kfe_record *, size_t, void *, size_t,
                       unsigned);

static kfe_error run(call *f, size_t space, kfe_engine *engine, const kfe_record *in,
                     kit_record *out)
{
    memset(out, 0, sizeof(*out));
    out->space = malloc(space);
    assert_non_null(out->space);
    kfe_error err = f(engine, in, &out->r, 1, out->space, space, 0);
    assert_int_equal(err, out->r.error);
    return err;
}

kfe_error kit_seal(kfe_engine *engine, const kfe_record *in, kit_record *out)
{
    return run(kfe_seal, kfe_seal_space(in, 1, 0), engine, in, out);
}

kfe_error kit_open(kfe_engine *engine, const kfe_record *in, kit_record *out)
{
    return run(kfe_open, kfe_open_space(in, 1, 0), engine, in, out);
}

void kit_free(kit_record *record)
{
    free(record->space);
    memset(record, 0, sizeof(*record));
}

static uint64_t state;

uint64_t kit_seed(void)
{
    const char *given = getenv("KFE_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    state = given != NULL ? strtoull(given, NULL, 10)
                          : (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec;
    print_message("KFE_SEED=%llu\n", (unsigned long long)state);
    return state;
}

uint64_t kit_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t kit_below(uint32_t n)
{
    return (uint32_t)(kit_random() % n);
}

/* Null one time in eight, empty one time in eight, mostly short, at times long. */
static kfe_bytes random_bytes(bool may_be_null)
{
    uint32_t shape = kit_below(8);
    if (shape == 0 && may_be_null)
        return (kfe_bytes){NULL, 0};
    size_t len = shape == 1 ? 0 : shape == 2 ? kit_below(5000) : 1 + kit_below(64);
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)kit_random();
    return (kfe_bytes){bytes, len};
}

kfe_record kit_random_record(const char *topic, uint32_t headers)
{
    kfe_record r = {.topic = copy_bytes(kit_text(topic)), .partition = -1};
    r.key = random_bytes(true);
    r.value = random_bytes(true);
    r.n_headers = kit_below(headers + 1);
    kfe_header *h = calloc(r.n_headers + 1, sizeof(*h));
    assert_non_null(h);
    for (size_t i = 0; i < r.n_headers; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%u", kit_below(6)); /* names occur twice */
        h[i].name = copy_bytes(kit_text(name));
        h[i].value = random_bytes(true);
    }
    r.headers = h;
    return r;
}
