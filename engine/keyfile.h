/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_KEYFILE_H
#define KFE_ENGINE_KEYFILE_H

/* A file that holds keys, as bytes: read only when nobody else can read or write it, replaced
 * in one step, changed by one process at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <kfe/error.h>

enum { KFE_KEYFILE_MAX = 16 << 20 }; /* bytes */

/* What tells one state of a file from another; all zero for a file that is not there. */
typedef struct {
    bool exists;
    dev_t dev;
    ino_t ino;
    off_t size;
    mode_t mode;
    uid_t owner;
    struct timespec changed, modified; /* ctime and mtime */
} kfe_keyfile_id;

bool kfe_keyfile_same(const kfe_keyfile_id *a, const kfe_keyfile_id *b);

/* KFE_OK also when there is no such file. KFE_E_IO: it cannot be told. */
kfe_error kfe_keyfile_identify(const char *path, kfe_keyfile_id *out);

/* *text gets the whole content, *id what was read: kfe_secret_text_free() it. KFE_E_CONFIG: not a
 * regular file (a link is none), not owned by us, open to others, empty or larger than
 * KFE_KEYFILE_MAX. KFE_E_IO: not there, not readable, or changed while it was read. */
kfe_error kfe_keyfile_read(const char *path, char **text, size_t *len, kfe_keyfile_id *id);

/* Puts a new file of mode 0600 in the place of the old one: `PATH.new` is written, synced and
 * renamed, then the folder is synced. KFE_E_IO: the old file is as it was and `PATH.new` is gone,
 * except that a failure to sync the folder leaves the new file in place. Hold the lock. */
kfe_error kfe_keyfile_replace(const char *path, const char *text, size_t len);

/* Waits, for `wait_ms` milliseconds at most, until nobody else holds the lock; it is `PATH.lock`,
 * which stays. It ends with kfe_keyfile_unlock(), also when a child was forked meanwhile.
 * KFE_E_IO. */
kfe_error kfe_keyfile_lock(const char *path, int wait_ms, int *lock);
void kfe_keyfile_unlock(int lock);

#endif
