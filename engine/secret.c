/* SPDX-License-Identifier: Apache-2.0 */

/* A slab is a run of locked pages cut into units of 64 bytes; a block is a run of units, found
 * by first fit. What is known about slabs stands in pages of its own, so that writing past a
 * block cannot reach it, and those pages are wiped on fork like the slabs themselves: the zeroed
 * arena of a child is a valid, empty one. The child never touches its parent's slabs again. */

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/lock.h"
#include "engine/secret.h"

enum {
    UNIT = 64,
    SLAB = 32 << 10, /* a multiple of every page size up to 32 KiB; see page_up() for the rest */
    UNITS = SLAB / UNIT,
    SLABS = 4096, /* 128 MiB: far above what may be locked */
    BITS = 64,
    WORDS = UNITS / BITS
};

typedef struct {
    uint8_t *data;
    unsigned free;         /* units */
    uint64_t used[WORDS];  /* bit per unit */
    uint64_t first[WORDS]; /* bit per unit that begins a block */
} slab;

typedef struct {
    kfe_lock lock;
    unsigned n;
    slab slabs[SLABS]; /* untouched pages cost nothing */
} arena;

static _Atomic(arena *) the_arena;

static bool bit(const uint64_t *map, unsigned i)
{
    return (map[i / BITS] >> (i % BITS) & 1) != 0;
}

static void flip(uint64_t *map, unsigned i)
{
    map[i / BITS] ^= (uint64_t)1 << (i % BITS);
}

static void *map_pages(size_t len, int prot)
{
    void *pages = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages != MAP_FAILED)
        return pages;
    (void)kfe_fail(KFE_E_MEMORY, "cannot map memory for keys: %s", strerror(errno));
    return NULL;
}

/* Two threads may both make one; the second gives its own back. */
static arena *arena_get(void)
{
    arena *have = atomic_load_explicit(&the_arena, memory_order_acquire);
    if (have != NULL)
        return have;
    arena *mine = map_pages(sizeof(*mine), PROT_READ | PROT_WRITE);
    if (mine == NULL)
        return NULL;
    if (madvise(mine, sizeof(*mine), MADV_WIPEONFORK) != 0) {
        (void)kfe_fail(KFE_E_MEMORY, "MADV_WIPEONFORK is refused (Linux 4.14 or later needed): %s",
                       strerror(errno));
        (void)munmap(mine, sizeof(*mine));
        return NULL;
    }
    if (atomic_compare_exchange_strong(&the_arena, &have, mine))
        return mine;
    (void)munmap(mine, sizeof(*mine));
    return have;
}

static size_t page_up(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page;
}

/* Locks last: pages that are not locked, or would be dumped or inherited, never hold a key. */
static bool protect(uint8_t *data, size_t len, unsigned slabs)
{
    if (mprotect(data, len, PROT_READ | PROT_WRITE) != 0 ||
        madvise(data, len, MADV_WIPEONFORK) != 0 || madvise(data, len, MADV_DONTDUMP) != 0) {
        (void)kfe_fail(KFE_E_MEMORY, "cannot protect memory for keys: %s", strerror(errno));
        return false;
    }
    if (mlock2(data, len, 0) == 0) /* plain mlock() does nothing under sanitizers */
        return true;
    (void)kfe_fail(KFE_E_MEMORY,
                   "cannot lock another %zu KiB for keys, %zu KiB are locked: %s; raise "
                   "RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= in systemd)",
                   len >> 10, slabs * len >> 10, strerror(errno));
    return false;
}

static slab *slab_add(arena *a)
{
    if (a->n == SLABS) {
        (void)kfe_fail(KFE_E_MEMORY, "the %u KiB of memory for keys are full",
                       (unsigned)SLABS * (SLAB >> 10));
        return NULL;
    }
    size_t guard = page_up(1), len = page_up(SLAB);
    uint8_t *pages = map_pages(guard + len + guard, PROT_NONE);
    if (pages == NULL)
        return NULL;
    if (!protect(pages + guard, len, a->n)) {
        (void)munmap(pages, guard + len + guard);
        return NULL;
    }
    slab *s = &a->slabs[a->n++];
    s->data = pages + guard;
    s->free = UNITS;
    return s;
}

/* The first unit of a run of n free ones, or UNITS. */
static unsigned slab_find(const slab *s, unsigned n)
{
    unsigned run = 0;
    for (unsigned i = 0; i < UNITS; i++) {
        run = bit(s->used, i) ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return UNITS;
}

static void *slab_take(slab *s, unsigned n)
{
    unsigned at = s->free < n ? UNITS : slab_find(s, n);
    if (at == UNITS)
        return NULL;
    flip(s->first, at);
    for (unsigned i = at; i < at + n; i++)
        flip(s->used, i);
    s->free -= n;
    return s->data + (size_t)at * UNIT;
}

void *kfe_secret_alloc(size_t len)
{
    if (len == 0 || len > KFE_SECRET_MAX) {
        (void)kfe_fail(KFE_E_MEMORY, "a block of %zu bytes for keys: 1 to %d are allowed", len,
                       KFE_SECRET_MAX);
        return NULL;
    }
    arena *a = arena_get();
    if (a == NULL)
        return NULL;
    unsigned n = (unsigned)((len + UNIT - 1) / UNIT);
    void *block = NULL;
    kfe_lock_take(&a->lock);
    for (unsigned i = 0; i < a->n && block == NULL; i++)
        block = slab_take(&a->slabs[i], n);
    if (block == NULL) {
        slab *s = slab_add(a);
        block = s == NULL ? NULL : slab_take(s, n);
    }
    kfe_lock_drop(&a->lock);
    return block;
}

static void slab_give(slab *s, uint8_t *block)
{
    size_t offset = (size_t)(block - s->data);
    unsigned at = (unsigned)(offset / UNIT);
    /* Freed twice, or never allocated: the heap of keys cannot be trusted any more. */
    if (offset % UNIT != 0 || !bit(s->first, at))
        abort();
    unsigned end = at;
    do {
        flip(s->used, end++);
    } while (end < UNITS && bit(s->used, end) && !bit(s->first, end));
    flip(s->first, at);
    kfe_wipe(block, (size_t)(end - at) * UNIT);
    s->free += end - at;
}

void kfe_secret_free(void *block)
{
    arena *a = atomic_load_explicit(&the_arena, memory_order_acquire);
    if (block == NULL || a == NULL)
        return;
    uintptr_t address = (uintptr_t)block;
    kfe_lock_take(&a->lock);
    for (unsigned i = 0; i < a->n; i++) {
        uintptr_t start = (uintptr_t)a->slabs[i].data;
        if (address < start || address >= start + SLAB)
            continue;
        slab_give(&a->slabs[i], block);
        break;
    }
    /* A block in no slab was a parent's: the kernel wiped it. */
    kfe_lock_drop(&a->lock);
}

/* Its length stands in front of it. */
enum { TEXT_HEAD = 16 };

void *kfe_secret_text(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (len + TEXT_HEAD + page - 1) / page * page;
    uint8_t *map =
        size < len ? MAP_FAILED
                   : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        kfe_fail(KFE_E_MEMORY, "no memory for a text with keys");
        return NULL;
    }
    if (madvise(map, size, MADV_DONTDUMP) != 0 || madvise(map, size, MADV_WIPEONFORK) != 0) {
        munmap(map, size);
        kfe_fail(KFE_E_MEMORY, "the kernel cannot keep memory out of dumps and children");
        return NULL;
    }
    (void)mlock(map, size);
    memcpy(map, &size, sizeof(size));
    return map + TEXT_HEAD;
}

void kfe_secret_text_free(void *text)
{
    if (text == NULL)
        return;
    size_t size = 0;
    uint8_t *map = (uint8_t *)text - TEXT_HEAD;
    memcpy(&size, map, sizeof(size));
    if (size == 0) /* a child: the parent's, and wiped; what it is long nobody knows */
        return;
    kfe_wipe(map, size);
    munmap(map, size);
}
