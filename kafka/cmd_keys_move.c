/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/cmd_keys_move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kfe/secret.h>

enum { KEY_LEN = 32, WRAPPED_LEN = 40, FILE_MAX = 2 * WRAPPED_LEN + 2 };

typedef struct {
    unsigned wrong;
} tally;

static void print_line(void *arg, kfe_probe_verdict verdict, const char *what, const char *found)
{
    static const char *const words[] = {"?   ", "yes ", "no  ", "FAIL"};
    tally *t = arg;
    t->wrong += verdict == KFE_PROBE_WRONG;
    printf("%s  %-28s %s\n", words[verdict <= KFE_PROBE_WRONG ? verdict : 0], what, found);
}

kfe_error kfe_cmd_keys_probe(kfe_key_provider *provider)
{
    tally t = {0};
    kfe_error err = provider->ops->probe(provider, print_line, &t);
    if (!err && t.wrong > 0)
        return kfe_fail(KFE_E_PROVIDER, "%u of these will not do", t.wrong);
    return err;
}

/* By read(), as stdio would keep a copy. Returns the length, at most `room`; that means more. */
static kfe_error read_file(const char *path, uint8_t *out, size_t room, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;
    *len = 0;
    while (fd >= 0 && *len < room && (got = read(fd, out + *len, room - *len)) > 0)
        *len += (size_t)got;
    kfe_error err = fd < 0 || got < 0
                        ? kfe_fail(KFE_E_IO, "%.150s cannot be read: %s", path, strerror(errno))
                        : KFE_OK;
    if (fd >= 0)
        close(fd);
    return err;
}

static kfe_error import_plain(kfe_key_provider *provider, const char *name, const char *path,
                              uint32_t *version)
{
    if (!KFE_HAS(provider->ops, import))
        return kfe_fail(KFE_E_ARGUMENT, "KeyProvider %s takes no keys from outside",
                        provider->ops->name);
    uint8_t *bytes = kfe_secret_alloc(KEY_LEN + 1);
    size_t len;
    if (bytes == NULL)
        return KFE_E_MEMORY;
    kfe_error err = read_file(path, bytes, KEY_LEN + 1, &len);
    if (!err && len != KEY_LEN)
        err = kfe_fail(KFE_E_ARGUMENT, "%.150s holds not exactly %d bytes", path, KEY_LEN);
    if (!err)
        err = provider->ops->import(provider, name, bytes, version);
    kfe_secret_free(bytes);
    if (!err)
        kfe_cmd_say("WARNING: this key was outside of the KeyProvider, in clear. Whoever had the "
                    "file, or a backup of it, can open what the key seals. Destroy the file");
    return err;
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Hexadecimal, with at most one line end behind it. */
static bool read_wrapped(const uint8_t *text, size_t len, uint8_t out[WRAPPED_LEN])
{
    if (len == 2 * WRAPPED_LEN + 1 && text[len - 1] == '\n')
        len--;
    if (len != 2 * WRAPPED_LEN)
        return false;
    for (size_t i = 0; i < WRAPPED_LEN; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static kfe_error import_wrapped(const kfe_cmd_options *o, kfe_key_provider *provider,
                                const char *name, uint32_t *version)
{
    if (!KFE_HAS(provider->ops, import_wrapped))
        return kfe_fail(KFE_E_ARGUMENT, "KeyProvider %s takes no wrapped keys",
                        provider->ops->name);
    uint8_t text[FILE_MAX], wrapped[WRAPPED_LEN];
    size_t len;
    kfe_error err = read_file(o->args[2], text, sizeof(text), &len);
    if (!err && !read_wrapped(text, len, wrapped))
        err = kfe_fail(KFE_E_ARGUMENT, "%.150s holds not exactly %d bytes in hexadecimal",
                       o->args[2], WRAPPED_LEN);
    if (err)
        return err;
    err = provider->ops->import_wrapped(provider, name, o->kek,
                                        (kfe_bytes){wrapped, sizeof(wrapped)}, version);
    if (!err)
        kfe_cmd_say("WARNING: this key has a copy outside of the KeyProvider, wrapped. Whoever "
                    "has that and may use %s can open what the key seals",
                    o->kek);
    return err;
}

kfe_error kfe_cmd_keys_import(const kfe_cmd_options *o, kfe_key_provider *provider,
                              const char *name)
{
    uint32_t version = 0;
    if (o->n_args != 3)
        return kfe_fail(KFE_E_ARGUMENT, "kfe keys import wants NAME and KEYFILE");
    kfe_error err = o->kek != NULL ? import_wrapped(o, provider, name, &version)
                                   : import_plain(provider, name, o->args[2], &version);
    if (!err)
        printf("%s@%u active\n", name, (unsigned)version);
    return err;
}

kfe_error kfe_cmd_keys_export(const kfe_cmd_options *o, kfe_key_provider *provider,
                              const kfe_key_ref *ref)
{
    if (o->kek == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe keys export-wrapped wants --kek NAME: the key of the "
                                        "token that wraps");
    if (!KFE_HAS(provider->ops, export_wrapped))
        return kfe_fail(KFE_E_ARGUMENT, "KeyProvider %s gives out no keys, wrapped or not",
                        provider->ops->name);
    uint8_t wrapped[WRAPPED_LEN + 16];
    size_t len = sizeof(wrapped);
    kfe_error err = provider->ops->export_wrapped(provider, ref, o->kek, wrapped, &len);
    for (size_t i = 0; !err && i < len; i++)
        printf("%02x", wrapped[i]);
    if (!err)
        putchar('\n');
    return err;
}
