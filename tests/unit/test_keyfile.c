/* SPDX-License-Identifier: Apache-2.0 */

/* Is a key file read only when it is safe, and replaced in one step whatever happens? */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/keyfile.h"
#include "engine/secret.h"

static char folder[64], path[128], fresh[128], other[128];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/kfe-keyfile-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/keys.json", folder);
    (void)snprintf(fresh, sizeof(fresh), "%s/keys.json.new", folder);
    (void)snprintf(other, sizeof(other), "%s/other", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char lock[160];
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    (void)unlink(lock);
    (void)unlink(path);
    (void)unlink(fresh);
    (void)unlink(other);
    return rmdir(folder);
}

static void put(const char *name, const char *text, mode_t mode)
{
    (void)unlink(name);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

/* The file's whole text is `want`. */
static bool holds(const char *want)
{
    char *text = NULL;
    size_t len = 0;
    kfe_keyfile_id id;
    if (kfe_keyfile_read(path, &text, &len, &id) != KFE_OK)
        return false;
    bool same = len == strlen(want) && memcmp(text, want, len) == 0;
    kfe_secret_text_free(text);
    return same;
}

static kfe_error refusal(void)
{
    char *text = NULL;
    size_t len = 0;
    kfe_keyfile_id id;
    kfe_error err = kfe_keyfile_read(path, &text, &len, &id);
    assert_true(err == KFE_OK || (text == NULL && strstr(kfe_error_detail(), folder) != NULL));
    kfe_secret_text_free(text);
    return err;
}

static int in_child(void (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(30);
        body();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void only_our_own_closed_files(void **state)
{
    (void)state;
    for (mode_t mode = 0; mode <= 0777; mode++) {
        put(path, "text", mode | S_IRUSR);
        kfe_error want = (mode & 077) != 0 ? KFE_E_CONFIG : KFE_OK;
        assert_int_equal(refusal(), want);
    }
    if (geteuid() != 0) {
        print_message("skipped: only root can give a file away\n");
        return;
    }
    put(path, "text", 0600);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(refusal(), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "65534"));
}

static void only_regular_files(void **state)
{
    (void)state;
    put(other, "text", 0600);
    (void)unlink(path);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(refusal(), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "symbolic link"));
    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(refusal(), KFE_E_CONFIG);
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(refusal(), KFE_E_CONFIG);
    (void)rmdir(path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(refusal(), KFE_E_IO); /* the kernel opens none */
    (void)close(fd);
    (void)unlink(path);
}

static void sizes(void **state)
{
    (void)state;
    put(path, "", 0600);
    assert_int_equal(refusal(), KFE_E_CONFIG);
    assert_non_null(strstr(kfe_error_detail(), "empty"));
    put(path, "x", 0600);
    assert_int_equal(truncate(path, KFE_KEYFILE_MAX), 0);
    assert_int_equal(refusal(), KFE_OK);
    assert_int_equal(truncate(path, KFE_KEYFILE_MAX + 1), 0);
    assert_int_equal(refusal(), KFE_E_CONFIG);
    (void)unlink(path);
    assert_int_equal(refusal(), KFE_E_IO);
}

static void read_as_nobody(void)
{
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        _exit(10);
    put(path, "text", 0200); /* ours, but not to be read */
    if (refusal() != KFE_E_IO)
        _exit(11);
    /* A folder that cannot be written: nothing is saved, nothing is lost. */
    put(path, "old", 0600);
    if (chmod(folder, 0500) != 0 && errno != EPERM)
        _exit(12);
}

static void replace_as_nobody(void)
{
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        _exit(10);
    int lock = -1;
    if (kfe_keyfile_replace(path, "new", 3) != KFE_E_IO)
        _exit(13);
    if (kfe_keyfile_lock(path, 0, &lock) != KFE_E_IO || lock != -1)
        _exit(14);
    if (!holds("old"))
        _exit(15);
}

/* Root may read and write everything: permissions are tried as somebody else. */
static void permissions_as_nobody(void **state)
{
    (void)state;
    if (geteuid() == 0)
        assert_int_equal(chown(folder, 65534, 65534), 0);
    assert_int_equal(in_child(read_as_nobody), 0);
    assert_int_equal(chmod(folder, 0500), 0);
    assert_int_equal(in_child(replace_as_nobody), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(folder, 0, 0), 0);
}

static void identities(void **state)
{
    (void)state;
    kfe_keyfile_id none, a, b;
    (void)unlink(path);
    assert_int_equal(kfe_keyfile_identify(path, &none), KFE_OK);
    assert_false(none.exists);
    put(path, "text", 0600);
    assert_int_equal(kfe_keyfile_identify(path, &a), KFE_OK);
    assert_int_equal(kfe_keyfile_identify(path, &b), KFE_OK);
    assert_true(a.exists && kfe_keyfile_same(&a, &b) && !kfe_keyfile_same(&a, &none));
    struct timespec past[2] = {{1, 0}, {1, 0}}; /* same name, inode and size, another time */
    assert_int_equal(utimensat(AT_FDCWD, path, past, 0), 0);
    assert_int_equal(kfe_keyfile_identify(path, &b), KFE_OK);
    assert_false(kfe_keyfile_same(&a, &b));
    put(other, "text", 0600);
    assert_int_equal(kfe_keyfile_identify(other, &a), KFE_OK);
    b = a;
    b.ino++;
    assert_false(kfe_keyfile_same(&a, &b));
    b = a;
    b.size++;
    assert_false(kfe_keyfile_same(&a, &b));
    b = a;
    b.changed.tv_nsec ^= 1;
    assert_false(kfe_keyfile_same(&a, &b));
    b = a;
    b.mode ^= 0040; /* a change of mode within one tick of the clock */
    assert_false(kfe_keyfile_same(&a, &b));
    b = a;
    b.owner++;
    assert_false(kfe_keyfile_same(&a, &b));
    assert_int_equal(kfe_keyfile_identify("/dev/null/no", &a), KFE_E_IO);
}

static void replace_is_private_and_clean(void **state)
{
    (void)state;
    struct stat st;
    put(path, "old", 0600);
    put(fresh, "left behind by a process that was killed", 0644);
    mode_t mask = umask(0);
    assert_int_equal(kfe_keyfile_replace(path, "new", 3), KFE_OK);
    (void)umask(mask);
    assert_true(holds("new"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(access(fresh, F_OK), -1);
    /* A link put there by somebody else is not written through. */
    put(other, "untouched", 0600);
    assert_int_equal(symlink(other, fresh), 0);
    assert_int_equal(kfe_keyfile_replace(path, "newer", 5), KFE_OK);
    assert_int_equal(stat(other, &st), 0);
    assert_int_equal(st.st_size, 9);
    assert_true(holds("newer"));
}

static void replace_fails_cleanly(void **state)
{
    (void)state;
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0); /* the rename fails */
    assert_int_equal(kfe_keyfile_replace(path, "new", 3), KFE_E_IO);
    assert_int_equal(access(fresh, F_OK), -1);
    (void)rmdir(path);
    put(path, "old", 0600);
    assert_int_equal(mkdir(fresh, 0700), 0); /* the new file cannot be made */
    assert_int_equal(kfe_keyfile_replace(path, "new", 3), KFE_E_IO);
    (void)rmdir(fresh);
    assert_int_equal(kfe_keyfile_replace("/nonexistent/keys", "new", 3), KFE_E_IO);
    assert_int_equal(kfe_keyfile_replace(path, "new", KFE_KEYFILE_MAX + 1), KFE_E_IO);
    assert_true(holds("old"));
}

static void replace_when_full(void)
{
    static char big[200000];
    memset(big, 'x', sizeof(big));
    if (kfe_keyfile_replace(path, big, sizeof(big)) != KFE_E_IO)
        _exit(1);
    if (access(fresh, F_OK) == 0 || !holds("old"))
        _exit(2);
}

static void with_a_size_limit(void)
{
    const struct rlimit limit = {100000, 100000};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(3);
    replace_when_full();
}

/* The write fails half way: by a limit for anyone, on a full disk for root. */
static void disk_full(void **state)
{
    (void)state;
    put(path, "old", 0600);
    assert_int_equal(in_child(with_a_size_limit), 0);
    if (mount("none", folder, "tmpfs", 0, "size=64k,mode=700") != 0) {
        print_message("skipped: no tmpfs of 64 KiB: %s\n", strerror(errno));
        return;
    }
    put(path, "old", 0600);
    int failed = in_child(replace_when_full);
    assert_int_equal(umount(folder), 0);
    assert_int_equal(failed, 0);
}

/* ---- The lock ------------------------------------------------------------------------------- */

static void lock_is_taken(void)
{
    int lock = -1;
    _exit(kfe_keyfile_lock(path, 0, &lock) == KFE_E_IO ? 7 : 8);
}

static void lock_excludes(void **state)
{
    (void)state;
    int lock = -1, again = -1;
    assert_int_equal(kfe_keyfile_lock(path, 0, &lock), KFE_OK);
    assert_int_equal(in_child(lock_is_taken), 7);
    assert_int_equal(kfe_keyfile_lock(path, 0, &again), KFE_E_IO); /* threads too */
    assert_non_null(strstr(kfe_error_detail(), "lock"));
    kfe_keyfile_unlock(lock);
    assert_int_equal(in_child(lock_is_taken), 8);
    assert_int_equal(kfe_keyfile_lock("/nonexistent/keys", 0, &lock), KFE_E_IO);
}

/* A child that was forked meanwhile and lives on must not keep the lock. */
static void lock_ends_in_spite_of_children(void **state)
{
    (void)state;
    int lock = -1, gate[2];
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(kfe_keyfile_lock(path, 0, &lock), KFE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        (void)close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    kfe_keyfile_unlock(lock);
    assert_int_equal(kfe_keyfile_lock(path, 0, &lock), KFE_OK);
    kfe_keyfile_unlock(lock);
    (void)close(gate[0]);
    (void)close(gate[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_our_own_closed_files),
        cmocka_unit_test(only_regular_files),
        cmocka_unit_test(sizes),
        cmocka_unit_test(permissions_as_nobody),
        cmocka_unit_test(identities),
        cmocka_unit_test(replace_is_private_and_clean),
        cmocka_unit_test(replace_fails_cleanly),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(lock_excludes),
        cmocka_unit_test(lock_ends_in_spite_of_children),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
