/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/config.h>

typedef kfe_error other_fn(void *arg, const char *name, const char *value);

struct reader {
    kfe_config *config;
    other_fn *other;
    void *arg;
};

/* The end of a long path tells more than its beginning, and leaves room for the reason. */
static const char *short_path(const char *path)
{
    size_t len = strlen(path);
    return len > 80 ? path + len - 80 : path;
}

static char *trim(char *text, char *end)
{
    static const char blanks[] = " \t\r\n\v\f";
    while (end > text && strchr(blanks, end[-1]) != NULL)
        end--;
    *end = '\0';
    return text + strspn(text, blanks);
}

static kfe_error give(const struct reader *reader, const char *name, const char *value)
{
    if (kfe_config_owns(name))
        return kfe_config_set(reader->config, name, value);
    if (reader->other == NULL)
        return kfe_fail(KFE_E_CONFIG, "'%s' is not an encryption.* option", name);
    return reader->other(reader->arg, name, value);
}

/* No message quotes a line: it may hold another library's password. */
static kfe_error read_line(const struct reader *reader, char *line, size_t len)
{
    if (memchr(line, '\0', len) != NULL)
        return kfe_fail(KFE_E_CONFIG, "the line has a NUL: this is no text file");
    char *text = trim(line, line + len);
    if (*text == '\0' || *text == '#')
        return KFE_OK;
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return kfe_fail(KFE_E_CONFIG, "the line is not of the form name=value");
    char *value = equals + 1 + strspn(equals + 1, " \t");
    return give(reader, trim(text, equals), value);
}

static kfe_error read_lines(const struct reader *reader, FILE *file, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors put it before UTF-8 */
    char *line = NULL;
    size_t cap = 0, number = 0;
    kfe_error err = KFE_OK;
    ssize_t len;
    while (!err && (len = getline(&line, &cap, file)) >= 0) {
        number++;
        size_t skip = number == 1 && strncmp(line, mark, 3) == 0 ? 3 : 0;
        err = read_line(reader, line + skip, (size_t)len - skip);
    }
    int cause = errno;
    if (err)
        err = kfe_fail(err, "%s:%zu: %s", short_path(path), number, kfe_error_detail());
    else if (!feof(file))
        err = kfe_fail(KFE_E_IO, "%s cannot be read: %s", short_path(path), strerror(cause));
    kfe_wipe(line, cap);
    free(line);
    return err;
}

kfe_error kfe_config_load(kfe_config *config, const char *path, other_fn *other, void *arg)
{
    if (config == NULL || path == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_config_load: config and path must be given");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return kfe_fail(KFE_E_IO, "%s cannot be opened: %s", short_path(path), strerror(errno));
    struct reader reader = {config, other, arg};
    kfe_error err = read_lines(&reader, file, path);
    fclose(file);
    return err;
}
