/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kfe/secret.h>

#include "engine/config_entry.h"

enum { FILE_MAX = KFE_SECRET_MAX }; /* bytes of a secret's file, its line end included */

/* A secret on its way to the caller; `option` is for messages. */
struct secret {
    const char *option;
    uint8_t *out;
    size_t cap, len;
};

void kfe_config_on_secret(kfe_config *config, kfe_secret_cb *ask, void *arg)
{
    config->ask = ask;
    config->ask_arg = arg;
}

static kfe_error take(struct secret *secret, const void *bytes, size_t len)
{
    if (len == 0)
        return kfe_fail(KFE_E_CONFIG, "%s: the secret is empty", secret->option);
    if (len > secret->cap)
        return kfe_fail(KFE_E_CONFIG, "%s: the secret is longer than %zu bytes", secret->option,
                        secret->cap);
    kfe_secret_copy(secret->out, bytes, len);
    secret->len = len;
    return KFE_OK;
}

static kfe_error from_environment(struct secret *secret, const char *name)
{
    const char *value = secure_getenv(name);
    if (value == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s: the environment variable %s is not set", secret->option,
                        name);
    return take(secret, value, strlen(value));
}

/* A link is followed, as Kubernetes mounts its secrets as links: what counts is the file that
 * was opened. One of root's may be read by the group that it was given to. */
static kfe_error check_file(const struct secret *secret, const char *path, int file)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return kfe_fail(KFE_E_IO, "%s: %s cannot be read: %s", secret->option, path,
                        strerror(errno));
    if (!S_ISREG(status.st_mode))
        return kfe_fail(KFE_E_CONFIG, "%s: %s is not a regular file", secret->option, path);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return kfe_fail(KFE_E_CONFIG, "%s: %s belongs to another user", secret->option, path);
    mode_t refused = status.st_uid == 0 ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if (status.st_mode & refused)
        return kfe_fail(KFE_E_CONFIG, "%s: %s is open to others (mode %04o): chmod 400 it",
                        secret->option, path, (unsigned)(status.st_mode & 07777));
    return KFE_OK;
}

/* Fills `buffer` as far as the file goes, and sees its end. */
static kfe_error read_all(const struct secret *secret, const char *path, int file,
                          uint8_t buffer[FILE_MAX], size_t *len)
{
    uint8_t more;
    *len = 0;
    for (;;) {
        const bool full = *len == FILE_MAX;
        ssize_t n = full ? read(file, &more, 1) : read(file, buffer + *len, FILE_MAX - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kfe_fail(KFE_E_IO, "%s: %s cannot be read: %s", secret->option, path,
                            strerror(errno));
        if (n == 0)
            return KFE_OK;
        if (full)
            return kfe_fail(KFE_E_CONFIG, "%s: %s is longer than %d bytes", secret->option, path,
                            FILE_MAX);
        *len += (size_t)n;
    }
}

static size_t without_line_end(const uint8_t *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    return len;
}

static kfe_error from_open_file(struct secret *secret, const char *path, int file)
{
    size_t len;
    kfe_error err = check_file(secret, path, file);
    if (err)
        return err;
    uint8_t *buffer = kfe_secret_alloc(FILE_MAX);
    if (buffer == NULL)
        return KFE_E_MEMORY;
    err = read_all(secret, path, file, buffer, &len);
    if (!err)
        err = take(secret, buffer, without_line_end(buffer, len));
    kfe_secret_free(buffer);
    return err;
}

static kfe_error from_file(struct secret *secret, const char *path)
{
    /* Not blocking: a FIFO must be refused, not waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return kfe_fail(KFE_E_IO, "%s: %s cannot be opened: %s", secret->option, path,
                        strerror(errno));
    kfe_error err = from_open_file(secret, path, file);
    close(file);
    return err;
}

static kfe_error from_callback(struct secret *secret, const kfe_config *config)
{
    if (config->ask == NULL)
        return kfe_fail(KFE_E_CONFIG, "%s is not set: write env:NAME or file:PATH", secret->option);
    long n = config->ask(config->ask_arg, secret->option, secret->out, secret->cap);
    if (n >= 1 && (size_t)n <= secret->cap) {
        secret->len = (size_t)n;
        return KFE_OK;
    }
    return kfe_fail(KFE_E_CREDENTIALS,
                    "%s: no secret was given when asked (is there a terminal?): set it to env:NAME "
                    "or file:PATH",
                    secret->option);
}

static kfe_error fetch(struct secret *secret, const kfe_config *config)
{
    const char *value = kfe_config_get(config, secret->option);
    if (value == NULL)
        return from_callback(secret, config);
    if (strncmp(value, "env:", 4) == 0)
        return from_environment(secret, value + 4);
    if (strncmp(value, "file:", 5) == 0)
        return from_file(secret, value + 5);
    return kfe_fail(KFE_E_CONFIG, "%s is never given literally: write env:NAME or file:PATH",
                    secret->option);
}

kfe_error kfe_config_secret(const kfe_config *config, const char *name, uint8_t *out, size_t cap,
                            size_t *len)
{
    if (config == NULL || name == NULL || out == NULL || len == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_config_secret: an argument is missing");
    struct secret secret = {.option = name, .out = out, .cap = cap};
    kfe_error err = fetch(&secret, config);
    if (err)
        kfe_wipe(out, cap);
    *len = err ? 0 : secret.len;
    return err;
}
