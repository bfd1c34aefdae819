/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/core.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What there is -------------------------------------------------------------------------- */

/* A pipe, a path or a pattern puts them where nobody knows. */
static bool kernel_writes_here(void)
{
    char pattern[256] = "";
    struct rlimit limit;
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "r");
    if (file == NULL)
        return false;
    size_t len = fread(pattern, 1, sizeof(pattern) - 1, file);
    fclose(file);
    pattern[strcspn(pattern, "\n")] = '\0';
    return len > 0 && strcmp(pattern, "core") == 0 && getrlimit(RLIMIT_CORE, &limit) == 0 &&
           limit.rlim_max == RLIM_INFINITY;
}

static void run_gcore(const char *prefix, const char *pid)
{
    int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    execlp("gcore", "gcore", "-o", prefix, pid, (char *)NULL);
    _exit(127);
}

/* Its exit status; 127: there is none. */
static int gcore(pid_t of)
{
    char prefix[160], number[16];
    int status = -1;
    snprintf(prefix, sizeof(prefix), "%s/core", kit_dir());
    snprintf(number, sizeof(number), "%d", (int)of);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_gcore(prefix, number);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

core_way core_ways(void)
{
    static core_way way;
    static bool known;
    if (!known)
        way = kernel_writes_here() ? CORE_BY_KERNEL : gcore(0) != 127 ? CORE_BY_GCORE : CORE_NONE;
    known = true;
    return way;
}

/* ---- The child ------------------------------------------------------------------------------ */

static void be_dumpable(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    if (chdir(kit_dir()) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0)
        _exit(1);
    if (core_ways() == CORE_BY_KERNEL && setrlimit(RLIMIT_CORE, &all) != 0)
        _exit(1);
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

/* Threads of the module have all signals blocked, and cmocka has handlers. */
_Noreturn void core_now(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    while (core_ways() == CORE_BY_GCORE)
        raise(SIGSTOP);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    abort();
}

/* ---- The file ------------------------------------------------------------------------------- */

static core_file map(pid_t child)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/core.%d", kit_dir(), (int)child);
    if (stat(path, &st) != 0)
        snprintf(path, sizeof(path), "%s/core", kit_dir());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    core_file core = {.len = (size_t)st.st_size};
    void *bytes = mmap(NULL, core.len, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(bytes != MAP_FAILED);
    assert_true(core.len > sizeof(Elf64_Ehdr) && memcmp(bytes, ELFMAG, SELFMAG) == 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    core.bytes = bytes;
    return core;
}

core_file core_of(void (*body)(void *arg), void *arg)
{
    int status = 0;
    bool by_kernel = core_ways() == CORE_BY_KERNEL;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        be_dumpable();
        body(arg);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, by_kernel ? 0 : WUNTRACED), child);
    if (by_kernel) {
        if (!WIFSIGNALED(status) || !WCOREDUMP(status))
            fail_msg("the child ended with status %x, and no core file", (unsigned)status);
        return map(child);
    }
    assert_true(WIFSTOPPED(status));
    assert_int_equal(gcore(child), 0);
    core_file core = map(child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return core;
}

void core_drop(core_file *core)
{
    assert_int_equal(munmap((void *)(uintptr_t)core->bytes, core->len), 0);
    *core = (core_file){0};
}

void core_report(const core_file *core, const hunt_find *find)
{
    const uint64_t offset = (uint64_t)(find->at - core->bytes);
    const Elf64_Ehdr *head = (const void *)core->bytes;
    const Elf64_Phdr *part = (const void *)(core->bytes + head->e_phoff);
    for (unsigned i = 0; i < head->e_phnum; i++, part++) {
        if (offset < part->p_offset || offset - part->p_offset >= part->p_filesz)
            continue;
        if (part->p_type == PT_NOTE)
            print_message("%s: bytes %zu..%zu in a note: registers?\n", find->secret->name,
                          find->offset, find->offset + find->len);
        else
            print_message("%s: bytes %zu..%zu at %#" PRIx64 " in the mapping at %#" PRIx64 "\n",
                          find->secret->name, find->offset, find->offset + find->len,
                          part->p_vaddr + (offset - part->p_offset), part->p_vaddr);
    }
}
