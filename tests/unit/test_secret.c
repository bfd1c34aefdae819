/* SPDX-License-Identifier: Apache-2.0 */

/* Is memory for secrets locked, fenced, kept out of cores and out of children, and zero when it
 * is handed out and given back? */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/secret.h"

static const uint8_t zeros[KFE_SECRET_MAX];

/* The child's wait status; `raw`: by the system call, past every atfork handler. */
static int in_child(bool raw, void (*body)(void *), void *arg)
{
    long pid = raw ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(30);
        body(arg);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
    return status;
}

/* The child's own asserts cannot reach cmocka: its exit status speaks. */
static void require(bool fact, int code)
{
    if (!fact)
        _exit(code);
}

static bool exited(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static void blocks_are_zero_aligned_and_apart(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 200, 1024, 4095, 4096};
    uint8_t *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        size_t len = sizes[i % 8];
        blocks[i] = kfe_secret_alloc(len);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        assert_memory_equal(blocks[i], zeros, len);
        memset(blocks[i], (int)i + 1, len);
    }
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < sizes[i % 8]; j++)
            assert_int_equal(blocks[i][j], i + 1);
    for (size_t i = 0; i < 64; i++) {
        kfe_secret_free(blocks[i]);
        /* Still mapped: whoever reads on by mistake reads zeros. */
        assert_memory_equal(blocks[i], zeros, sizes[i % 8]);
    }
    kfe_secret_free(NULL);
}

static void freed_memory_is_used_again(void **state)
{
    (void)state;
    void *first = kfe_secret_alloc(4096), *second = kfe_secret_alloc(64);
    kfe_secret_free(first);
    void *again = kfe_secret_alloc(4000);
    assert_ptr_equal(again, first);
    kfe_secret_free(again);
    kfe_secret_free(second);
}

static void bad_lengths(void **state)
{
    (void)state;
    assert_null(kfe_secret_alloc(0));
    assert_null(kfe_secret_alloc(KFE_SECRET_MAX + 1));
    assert_non_null(strstr(kfe_error_detail(), "4097"));
    assert_null(kfe_secret_alloc(SIZE_MAX));
}

static void double_free(void *block)
{
    (void)signal(SIGABRT, SIG_DFL);
    (void)block;
    void *mine = kfe_secret_alloc(64);
    kfe_secret_free(mine);
    kfe_secret_free(mine);
}

static void free_inside(void *arg)
{
    (void)arg;
    (void)signal(SIGABRT, SIG_DFL);
    uint8_t *mine = kfe_secret_alloc(256);
    kfe_secret_free(mine + 64);
}

static void misuse_aborts(void **state)
{
    (void)state;
    const struct rlimit none = {0, 0};
    assert_int_equal(setrlimit(RLIMIT_CORE, &none), 0);
    int status = in_child(false, double_free, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = in_child(false, free_inside, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- Guard pages ------------------------------------------------------------------------ */

/* The child makes its own slab (its arena is empty), so that the block is the slab's first. */
static void touch_before(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, SIG_DFL);
    volatile uint8_t *block = kfe_secret_alloc(64);
    require(block != NULL, 9);
    block[0] = 1;
    block[-1] = 1;
}

static void touch_behind(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, SIG_DFL);
    volatile uint8_t *block = kfe_secret_alloc(64);
    require(block != NULL, 9);
    for (size_t i = 0; i < (1 << 20); i++)
        block[i] = 1;
}

static void guard_pages(void **state)
{
    (void)state;
    int status = in_child(false, touch_before, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = in_child(false, touch_behind, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* The VmFlags line of the mapping that holds `address`. */
static void vm_flags(const void *address, char *out, size_t cap)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    char line[512];
    bool inside = false;
    out[0] = '\0';
    while (fgets(line, sizeof(line), smaps) != NULL) {
        unsigned long from, to;
        char dash;
        if (sscanf(line, "%lx%c%lx ", &from, &dash, &to) == 3 && dash == '-')
            inside = (uintptr_t)address >= from && (uintptr_t)address < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            (void)snprintf(out, cap, "%.200s", line + 8);
    }
    (void)fclose(smaps);
}

static void flags_of_the_mapping(void **state)
{
    (void)state;
    char flags[256];
    void *block = kfe_secret_alloc(64);
    vm_flags(block, flags, sizeof(flags));
    assert_non_null(strstr(flags, " lo")); /* locked */
    assert_non_null(strstr(flags, " dd")); /* not dumped */
    assert_non_null(strstr(flags, " wf")); /* wiped on fork */
    kfe_secret_free(block);
    int ordinary = 0; /* the words are not simply on every mapping */
    vm_flags(&ordinary, flags, sizeof(flags));
    assert_true(flags[0] != '\0' && strstr(flags, " dd") == NULL && strstr(flags, " wf") == NULL);
}

/* ---- Children ---------------------------------------------------------------------------- */

static void inherit(void *arg)
{
    const uint8_t *block = arg;
    for (size_t i = 0; i < 4096; i++)
        require(block[i] == 0, 1);
    kfe_secret_free(arg); /* harmless */
    uint8_t *own = kfe_secret_alloc(4096);
    require(own != NULL && own != block, 2);
    memset(own, 7, 4096);
    for (size_t i = 0; i < 4096; i++)
        require(block[i] == 0, 3);
    kfe_secret_free(own);
}

static void children_read_zeros(void **state)
{
    (void)state;
    uint8_t *block = kfe_secret_alloc(4096);
    memset(block, 0x5a, 4096);
    assert_true(exited(in_child(false, inherit, block), 0));
    assert_true(exited(in_child(true, inherit, block), 0));
    assert_int_equal(block[4095], 0x5a); /* the parent keeps its own */
    kfe_secret_free(block);
}

typedef struct {
    unsigned seed;
    atomic_bool *stop;
    bool wrong;
} worker;

static void *churn(void *arg)
{
    worker *self = arg;
    uint8_t *held[16] = {NULL};
    size_t lens[16] = {0};
    for (unsigned round = 0; round < 20000 && !atomic_load(self->stop); round++) {
        unsigned draw = (unsigned)rand_r(&self->seed), i = draw % 16;
        uint8_t mark = (uint8_t)(self->seed % 255 + 1);
        for (size_t j = 0; held[i] != NULL && j < lens[i]; j++)
            self->wrong |= held[i][j] != held[i][0];
        kfe_secret_free(held[i]);
        lens[i] = 1 + (draw >> 8) % 700;
        held[i] = kfe_secret_alloc(lens[i]);
        self->wrong |= held[i] == NULL || memcmp(held[i], zeros, lens[i]) != 0;
        if (self->wrong)
            break;
        memset(held[i], mark, lens[i]);
    }
    for (size_t i = 0; i < 16; i++)
        kfe_secret_free(held[i]);
    return NULL;
}

static void start(pthread_t *threads, worker *workers, size_t n, atomic_bool *stop)
{
    for (size_t i = 0; i < n; i++) {
        workers[i] = (worker){.seed = (unsigned)i + 1, .stop = stop};
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &workers[i]), 0);
    }
}

static void finish(const pthread_t *threads, const worker *workers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(workers[i].wrong);
    }
}

static void eight_threads(void **state)
{
    (void)state;
    pthread_t threads[8];
    worker workers[8];
    atomic_bool stop = false;
    start(threads, workers, 8, &stop);
    finish(threads, workers, 8);
}

static void allocate_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        uint8_t *block = kfe_secret_alloc(500);
        require(block != NULL && memcmp(block, zeros, 500) == 0, 1);
        kfe_secret_free(block);
    }
}

/* A parent's thread may hold the arena's lock at the moment of the fork. */
static void fork_under_load(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    print_message("skipped: ThreadSanitizer's own locks do not survive a raw clone\n");
    skip();
#endif
    pthread_t threads[4];
    worker workers[4];
    atomic_bool stop = false;
    start(threads, workers, 4, &stop);
    for (int i = 0; i < 60; i++)
        assert_true(exited(in_child(i % 2 == 1, allocate_some, NULL), 0));
    atomic_store(&stop, true);
    finish(threads, workers, 4);
}

/* ---- Limits ------------------------------------------------------------------------------ */

static void limited(void *arg)
{
    const rlim_t *bytes = arg;
    const struct rlimit limit = {*bytes, *bytes};
    require(setrlimit(RLIMIT_MEMLOCK, &limit) == 0, 10);
    if (geteuid() == 0) /* root may lock whatever it likes */
        require(setresuid(65534, 65534, 65534) == 0, 11);
    size_t got = 0;
    while (got < 1000 && kfe_secret_alloc(4096) != NULL)
        got++;
    require(got * 4096 <= *bytes, 12);
    require(*bytes == 0 || got > 0, 13);
    require(strstr(kfe_error_detail(), "RLIMIT_MEMLOCK") != NULL, 14);
}

static void memlock_limit(void **state)
{
    (void)state;
    rlim_t limits[] = {0, 4096, 65536};
    assert_true(exited(in_child(false, limited, &limits[0]), 0));
    assert_true(exited(in_child(false, limited, &limits[1]), 13)); /* below one slab: nothing */
    assert_true(exited(in_child(false, limited, &limits[2]), 0));
}

static void copies_of_any_length_and_place(void **state)
{
    (void)state;
    uint8_t in[96], out[96];
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i + 1);
    for (size_t len = 0; len <= 64; len++)
        for (size_t from = 0; from < 9; from++)
            for (size_t to = 0; to < 9; to++) {
                memset(out, 0, sizeof(out));
                kfe_secret_copy(out + to, in + from, len);
                assert_memory_equal(out, zeros, to);
                assert_memory_equal(out + to, in + from, len);
                assert_memory_equal(out + to + len, zeros, sizeof(out) - to - len);
            }
}

static void equal_ct(void **state)
{
    (void)state;
    uint8_t a[64] = {0}, b[64] = {0};
    assert_true(kfe_equal_ct(a, b, 64));
    assert_true(kfe_equal_ct(NULL, NULL, 0));
    for (size_t i = 0; i < 512; i++) {
        b[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(kfe_equal_ct(a, b, 64));
        assert_int_equal(kfe_equal_ct(a, b, i / 8), true);
        b[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void wipe_and_random(void **state)
{
    (void)state;
    uint8_t a[1000], b[1000];
    assert_int_equal(kfe_random(a, sizeof(a)), KFE_OK);
    assert_int_equal(kfe_random(b, sizeof(b)), KFE_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 984, zeros, 16); /* filled to the end */
    assert_int_equal(kfe_random(NULL, 0), KFE_OK);
    kfe_wipe(a, sizeof(a));
    assert_memory_equal(a, zeros, sizeof(a));
    kfe_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zero_aligned_and_apart),
        cmocka_unit_test(freed_memory_is_used_again),
        cmocka_unit_test(bad_lengths),
        cmocka_unit_test(misuse_aborts),
        cmocka_unit_test(guard_pages),
        cmocka_unit_test(flags_of_the_mapping),
        cmocka_unit_test(children_read_zeros),
        cmocka_unit_test(eight_threads),
        cmocka_unit_test(fork_under_load),
        cmocka_unit_test(memlock_limit),
        cmocka_unit_test(copies_of_any_length_and_place),
        cmocka_unit_test(equal_ct),
        cmocka_unit_test(wipe_and_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
