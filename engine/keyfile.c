/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever is checked is checked on the open descriptor, so that nobody can put another file
 * into place between the check and the use. */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kfe/config.h>

#include "engine/keyfile.h"
#include "engine/secret.h"

enum { LOCK_STEP_MS = 20 };

static kfe_error fail_errno(const char *what, const char *path)
{
    return kfe_fail(KFE_E_IO, "cannot %s: %s (%s)", what, strerror(errno), path);
}

static kfe_keyfile_id identity(const struct stat *st)
{
    return (kfe_keyfile_id){.exists = true,
                            .dev = st->st_dev,
                            .ino = st->st_ino,
                            .size = st->st_size,
                            .mode = st->st_mode,
                            .owner = st->st_uid,
                            .changed = st->st_ctim,
                            .modified = st->st_mtim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool kfe_keyfile_same(const kfe_keyfile_id *a, const kfe_keyfile_id *b)
{
    return a->exists == b->exists && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mode == b->mode && a->owner == b->owner && same_time(a->changed, b->changed) &&
           same_time(a->modified, b->modified);
}

kfe_error kfe_keyfile_identify(const char *path, kfe_keyfile_id *out)
{
    struct stat st;
    *out = (kfe_keyfile_id){0};
    if (lstat(path, &st) == 0)
        *out = identity(&st);
    else if (errno != ENOENT)
        return fail_errno("look up the key file", path);
    return KFE_OK;
}

static kfe_error check(const struct stat *st, const char *path)
{
    if (!S_ISREG(st->st_mode))
        return kfe_fail(KFE_E_CONFIG, "the key file is not a regular file (%s)", path);
    if (st->st_uid != geteuid())
        return kfe_fail(KFE_E_CONFIG, "the key file belongs to user %u, not to us, user %u (%s)",
                        (unsigned)st->st_uid, (unsigned)geteuid(), path);
    if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return kfe_fail(KFE_E_CONFIG,
                        "the key file is open to others, mode %04o: chmod 600 it (%s)",
                        (unsigned)st->st_mode & 07777, path);
    if (st->st_size == 0)
        return kfe_fail(KFE_E_CONFIG, "the key file is empty (%s)", path);
    if (st->st_size > KFE_KEYFILE_MAX)
        return kfe_fail(KFE_E_CONFIG, "the key file has %lld bytes, %d are allowed (%s)",
                        (long long)st->st_size, KFE_KEYFILE_MAX, path);
    return KFE_OK;
}

/* Reads exactly `len` bytes, and then sees the end. */
static kfe_error read_all(int fd, char *text, size_t len, const char *path)
{
    size_t have = 0;
    for (;;) {
        char more;
        ssize_t got = have < len ? read(fd, text + have, len - have) : read(fd, &more, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read the key file", path);
        if (got == 0 && have == len)
            return KFE_OK;
        if (got == 0 || have == len)
            return kfe_fail(KFE_E_IO, "the key file changed while it was read (%s)", path);
        have += (size_t)got;
    }
}

static kfe_error read_open(int fd, const char *path, char **text, struct stat *st)
{
    struct stat after;
    if (fstat(fd, st) != 0)
        return fail_errno("examine the key file", path);
    kfe_error err = check(st, path);
    if (err)
        return err;
    size_t len = (size_t)st->st_size;
    *text = kfe_secret_text(len);
    if (*text == NULL)
        return KFE_E_MEMORY;
    err = read_all(fd, *text, len, path);
    if (err)
        return err;
    if (fstat(fd, &after) != 0)
        return fail_errno("examine the key file", path);
    /* Not its ctime: that moves when a new file takes the name, and then this one is still whole.
     */
    if (after.st_size != st->st_size || !same_time(after.st_mtim, st->st_mtim))
        return kfe_fail(KFE_E_IO, "the key file changed while it was read (%s)", path);
    return KFE_OK;
}

kfe_error kfe_keyfile_read(const char *path, char **text, size_t *len, kfe_keyfile_id *id)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ELOOP)
        return kfe_fail(KFE_E_CONFIG, "the key file is a symbolic link (%s)", path);
    if (fd < 0)
        return fail_errno("open the key file", path);
    struct stat st;
    char *mine = NULL;
    kfe_error err = read_open(fd, path, &mine, &st);
    (void)close(fd);
    if (err) {
        kfe_secret_text_free(mine);
        return err;
    }
    *text = mine;
    *len = (size_t)st.st_size;
    *id = identity(&st);
    return KFE_OK;
}

static char *beside(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *name = malloc(size);
    if (name != NULL)
        (void)snprintf(name, size, "%s%s", path, suffix);
    return name;
}

static kfe_error write_new(const char *name, const char *text, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno("create the new key file", name);
    kfe_error err = KFE_OK;
    for (size_t done = 0; done < len && err == KFE_OK;) {
        ssize_t put = write(fd, text + done, len - done);
        if (put >= 0)
            done += (size_t)put;
        else if (errno != EINTR)
            err = fail_errno("write the new key file", name);
    }
    if (err == KFE_OK && fsync(fd) != 0)
        err = fail_errno("sync the new key file", name);
    if (close(fd) != 0 && err == KFE_OK)
        err = fail_errno("close the new key file", name);
    if (err)
        (void)unlink(name);
    return err;
}

/* A rename lasts only once its folder is on the disk. File systems that cannot sync a folder say
 * EINVAL; there is no more to be had from them. */
static kfe_error sync_folder(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a path");
    const char *folder = dirname(copy);
    kfe_error err = KFE_OK;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        err = fail_errno("sync the folder of the key file", folder);
    if (fd >= 0)
        (void)close(fd);
    free(copy);
    return err;
}

kfe_error kfe_keyfile_replace(const char *path, const char *text, size_t len)
{
    if (len > KFE_KEYFILE_MAX)
        return kfe_fail(KFE_E_IO, "a key file of %zu bytes, %d are allowed (%s)", len,
                        KFE_KEYFILE_MAX, path);
    char *name = beside(path, ".new");
    if (name == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a path");
    /* One fixed name: what a killed process left behind goes away with the next save. */
    (void)unlink(name);
    kfe_error err = write_new(name, text, len);
    if (err == KFE_OK && rename(name, path) != 0) {
        err = fail_errno("rename the new key file", name);
        (void)unlink(name);
    }
    free(name);
    return err ? err : sync_folder(path);
}

/* Polled, not slept on, so that a process that is stuck with the lock cannot stop all others. */
static kfe_error wait_for(int fd, int wait_ms, const char *name)
{
    const struct timespec step = {0, LOCK_STEP_MS * 1000000L};
    for (int waited = 0; waited <= wait_ms; waited += LOCK_STEP_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return KFE_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno("lock the key file", name);
        (void)nanosleep(&step, NULL);
    }
    return kfe_fail(KFE_E_IO, "another process has held the lock for %d ms (%s)", wait_ms, name);
}

kfe_error kfe_keyfile_lock(const char *path, int wait_ms, int *lock)
{
    char *name = beside(path, ".lock");
    if (name == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a path");
    kfe_error err = KFE_OK;
    int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        err = fail_errno("open the lock of the key file", name);
    else
        err = wait_for(fd, wait_ms, name);
    free(name);
    if (err && fd >= 0)
        (void)close(fd);
    if (err == KFE_OK)
        *lock = fd;
    return err;
}

void kfe_keyfile_unlock(int lock)
{
    /* Closing alone would leave the lock with a child that was forked meanwhile. */
    (void)flock(lock, LOCK_UN);
    (void)close(lock);
}
