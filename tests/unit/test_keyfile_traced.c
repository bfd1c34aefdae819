/* SPDX-License-Identifier: Apache-2.0 */

/* Is a key file old or new, never mixed, when its writer is killed, or its reader disturbed, at
 * any of its system calls? */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/keyfile.h"
#include "engine/secret.h"

static char folder[64], path[128], fresh[128];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/kfe-traced-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/keys.json", folder);
    (void)snprintf(fresh, sizeof(fresh), "%s/keys.json.new", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(fresh);
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

static void traced_save(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(42);
    (void)raise(SIGSTOP);
    _exit(kfe_keyfile_replace(path, "new", 3) == KFE_OK ? 0 : 1);
}

/* Lets the child make n system call stops, then kills it. False: it ended before that. */
static bool killed_after(int n, int *status)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        traced_save();
    assert_int_equal(waitpid(pid, status, 0), pid);
    for (int i = 0; i < n && WIFSTOPPED(*status); i++) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, status, 0), pid);
    }
    if (!WIFSTOPPED(*status))
        return false;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, status, 0), pid);
    return true;
}

static void killed_at_every_system_call(void **state)
{
    (void)state;
    int status = 0, old = 0, new = 0;
    for (int n = 1; n < 1000; n++) {
        put(path, "old", 0600);
        if (!killed_after(n, &status))
            break;
        bool is_old = holds("old"), is_new = holds("new");
        assert_true(is_old || is_new);
        old += is_old;
        new += is_new;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) {
        print_message("skipped: ptrace is not allowed here\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(old >= 10 && new >= 4); /* both sides of the rename were met */
    put(path, "old", 0600);
    assert_int_equal(kfe_keyfile_replace(path, "new", 3), KFE_OK); /* in spite of what is left */
    assert_int_equal(access(fresh, F_OK), -1);
}

static void traced_read(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(42);
    (void)raise(SIGSTOP);
    char *text = NULL;
    size_t len = 0;
    kfe_keyfile_id id;
    kfe_error err = kfe_keyfile_read(path, &text, &len, &id);
    if (err != KFE_OK)
        _exit(err == KFE_E_IO && text == NULL ? 1 : 2);
    /* Taken before or behind the change, but never in the midst of it. */
    bool whole = (len == 8 && memcmp(text, "original", 8) == 0) ||
                 (len == 11 && memcmp(text, "originalabc", 11) == 0) ||
                 (len == 3 && memcmp(text, "ori", 3) == 0);
    _exit(whole ? 0 : 3);
}

typedef void disturb(void);

static void grow(void)
{
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "abc", 3), 3);
    (void)close(fd);
}

static void shrink(void)
{
    assert_int_equal(truncate(path, 3), 0);
}

/* As every careful writer does it: what is being read stays whole. */
static void replace(void)
{
    put(fresh, "originalabc", 0600);
    assert_int_equal(rename(fresh, path), 0);
}

/* The child's exit code when the file is changed at its n-th stop. */
static int changed_after(int n, disturb *change, bool *ended)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        traced_read();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (int i = 0; WIFSTOPPED(status); i++) {
        if (i == n)
            change();
        *ended = i < n;
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* How often a reader was refused, of all the places where the file was changed under it. */
static int refusals(disturb *change)
{
    int refused = 0;
    bool ended = false;
    for (int n = 0; n < 200 && !ended; n++) {
        put(path, "original", 0600);
        int code = changed_after(n, change, &ended);
        if (code == 42) {
            print_message("skipped: ptrace is not allowed here\n");
            skip();
        }
        assert_in_range(code, 0, 1);
        refused += code;
    }
    assert_true(ended);
    return refused;
}

static void changed_while_it_is_read(void **state)
{
    (void)state;
    assert_true(refusals(grow) >= 2);
    assert_true(refusals(shrink) >= 2);
    assert_int_equal(refusals(replace), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_system_call),
        cmocka_unit_test(changed_while_it_is_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
