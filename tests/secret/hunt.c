/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/hunt.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAPPINGS = 4096, SECRETS_MAX = 64 };

typedef struct {
    const uint8_t *from, *to;
    char line[160];
    bool readable, locked, not_dumped, wiped_on_fork;
} mapping;

static void start_hunter(void);

static pthread_mutex_t hunting = PTHREAD_MUTEX_INITIALIZER; /* over all that is static here */
static mapping mappings[MAPPINGS];
static size_t n_mappings;

hunt_secret *hunt_new(const char *name)
{
    static hunt_secret *all;
    static size_t used;
    if (all == NULL) {
        all = mmap(NULL, SECRETS_MAX * sizeof(*all), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(all != MAP_FAILED);
    }
    start_hunter();
    assert_true(used < SECRETS_MAX);
    hunt_secret *secret = &all[used++];
    secret->name = name;
    return secret;
}

void hunt_set(hunt_secret *secret, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    secret->len = len;
    assert_true(len <= HUNT_SECRET_MAX);
    assert_int_equal(getrandom(secret->mask, len, 0), len);
    for (size_t i = 0; i < len; i++)
        secret->masked[i] = from[i] ^ secret->mask[i];
}

void hunt_get(const hunt_secret *secret, void *out)
{
    volatile uint8_t *to = out; /* a vector register would keep it */
    for (size_t i = 0; i < secret->len; i++)
        to[i] = secret->masked[i] ^ secret->mask[i];
}

void hunt_child(void (*body)(void *arg), void *arg)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(arg);
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

__attribute__((noinline)) kfe_error hunt_below(kfe_error (*call)(void *arg), void *arg)
{
    volatile uint8_t gap[16384];
    gap[0] = 0;
    kfe_error err = call(arg);
    return gap[0] == 0 ? err : KFE_E_ARGUMENT; /* so it is there until the end */
}

/* ---- Mappings ---------------------------------------------------------------------------------
 */

static void read_line(const char *line)
{
    uintptr_t from = 0, to = 0;
    char perms[5] = "";
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, perms) == 3) {
        assert_true(n_mappings < MAPPINGS);
        mapping *m = &mappings[n_mappings++];
        *m = (mapping){.from = (const uint8_t *)from, .to = (const uint8_t *)to};
        m->readable = perms[0] == 'r' && perms[1] == 'w';
        snprintf(m->line, sizeof(m->line), "%.*s", (int)strcspn(line, "\n"), line);
    } else if (n_mappings > 0 && strncmp(line, "VmFlags:", 8) == 0) {
        mapping *m = &mappings[n_mappings - 1];
        m->locked = strstr(line, " lo") != NULL;
        m->not_dumped = strstr(line, " dd") != NULL;
        m->wiped_on_fork = strstr(line, " wf") != NULL;
        if (strstr(line, " io") != NULL || strstr(line, " pf") != NULL)
            m->readable = false; /* a device */
    }
}

static void read_mappings(void)
{
    char line[512];
    n_mappings = 0;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    assert_non_null(smaps);
    while (fgets(line, sizeof(line), smaps) != NULL)
        read_line(line);
    fclose(smaps);
    assert_true(n_mappings > 0);
}

/* ---- Looking ----------------------------------------------------------------------------------
 */

/* Which values of a hash the first four bytes of a window may have. */
static uint64_t hashes[1024];

static uint32_t hash(const uint8_t *four)
{
    uint32_t word;
    memcpy(&word, four, 4);
    return word * 2654435761u >> 16;
}

static void learn(hunt_secret *const *secrets, size_t n)
{
    memset(hashes, 0, sizeof(hashes));
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i + HUNT_WINDOW <= secrets[s]->len; i++) {
            uint8_t four[4];
            for (int b = 0; b < 4; b++)
                four[b] = secrets[s]->masked[i + (size_t)b] ^ secrets[s]->mask[i + (size_t)b];
            uint32_t h = hash(four);
            hashes[h / 64] |= (uint64_t)1 << h % 64;
        }
}

/* How many bytes at `at` are those of the secret from `offset` on. */
static size_t alike(const hunt_secret *s, size_t offset, const uint8_t *at, const uint8_t *to)
{
    size_t len = 0;
    while (offset + len < s->len && at + len < to &&
           (at[len] ^ s->mask[offset + len]) == s->masked[offset + len])
        len++;
    return len;
}

static bool find_at(hunt_secret *const *secrets, size_t n, const uint8_t *at, const mapping *m,
                    hunt_find *out)
{
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i + HUNT_WINDOW <= secrets[s]->len; i++) {
            size_t len = alike(secrets[s], i, at, m->to);
            if (len < HUNT_WINDOW)
                continue;
            *out =
                (hunt_find){secrets[s], at, i, len, "", m->locked, m->not_dumped, m->wiped_on_fork};
            memcpy(out->mapping, m->line, sizeof(out->mapping));
            return true;
        }
    return false;
}

/* Adds to the `found` ones before it. */
static void look_through(hunt_secret *const *secrets, size_t n, const mapping *m, hunt_find *finds,
                         size_t *found)
{
    hunt_find one;
    for (const uint8_t *at = m->from; at + HUNT_WINDOW <= m->to; at++) {
        uint64_t eight;
        memcpy(&eight, at, sizeof(eight));
        if (eight == 0) { /* most of it: no secret begins with four zeros */
            at += 4;
            continue;
        }
        uint32_t h = hash(at);
        if ((hashes[h / 64] >> h % 64 & 1) == 0 || !find_at(secrets, n, at, m, &one))
            continue;
        if (*found < HUNT_FINDS_MAX)
            finds[*found] = one;
        ++*found;
        at += one.len - 1;
    }
}

static size_t look(hunt_secret *const *secrets, size_t n, hunt_find *finds)
{
    size_t found = 0;
    read_mappings();
    learn(secrets, n);
    for (size_t i = 0; i < n_mappings; i++)
        if (mappings[i].readable)
            look_through(secrets, n, &mappings[i], finds, &found);
    memset(hashes, 0, sizeof(hashes));
    return found;
}

size_t hunt_in(hunt_secret *const *secrets, size_t n, const void *bytes, size_t len,
               hunt_find *finds)
{
    size_t found = 0;
    const mapping all = {.from = bytes, .to = (const uint8_t *)bytes + len, .line = "a file"};
    pthread_mutex_lock(&hunting);
    learn(secrets, n);
    look_through(secrets, n, &all, finds, &found);
    pthread_mutex_unlock(&hunting);
    return found;
}

/* ---- The hunter -------------------------------------------------------------------------------
 */

/* Another thread looks, one that waits for it all the time: its calls would overwrite what a
 * finished call left on the stack of the thread that asks. */
static struct {
    sem_t wanted, done;
    pthread_t thread;
    bool runs;
    hunt_secret *const *secrets;
    size_t n, found;
    hunt_find *finds;
} hunter;

static void *hunt_for_others(void *unused)
{
    (void)unused;
    for (;;) {
        while (sem_wait(&hunter.wanted) != 0)
            ;
        hunter.found = look(hunter.secrets, hunter.n, hunter.finds);
        sem_post(&hunter.done);
    }
    return NULL;
}

static void start_hunter(void)
{
    if (hunter.runs)
        return;
    assert_int_equal(sem_init(&hunter.wanted, 0, 0), 0);
    assert_int_equal(sem_init(&hunter.done, 0, 0), 0);
    pthread_attr_t small; /* each hunt reads the stack too */
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 128 << 10), 0);
    assert_int_equal(pthread_create(&hunter.thread, &small, hunt_for_others, NULL), 0);
    pthread_attr_destroy(&small);
    hunter.runs = true;
}

size_t hunt(hunt_secret *const *secrets, size_t n, hunt_find *finds)
{
    pthread_mutex_lock(&hunting);
    hunter.secrets = secrets;
    hunter.n = n;
    hunter.finds = finds;
    sem_post(&hunter.wanted);
    while (sem_wait(&hunter.done) != 0)
        ;
    size_t found = hunter.found;
    pthread_mutex_unlock(&hunting);
    return found;
}

void hunt_report(const hunt_find *f)
{
    print_message("%s: bytes %zu..%zu at %p in %s%s%s%s\n", f->secret->name, f->offset,
                  f->offset + f->len, (const void *)f->at, f->mapping, f->locked ? " locked" : "",
                  f->not_dumped ? " not-dumped" : "", f->wiped_on_fork ? " wiped-on-fork" : "");
}

bool hunt_protected(const hunt_find *find)
{
    return find->locked && find->not_dumped && find->wiped_on_fork;
}
