/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backend/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BESIDE = 64 };

/* Cells of one size with a page that cannot be touched before, between and behind them. */
typedef struct {
    uint8_t *base;
    size_t cell, page, n, used, ready; /* ready: so many have been made accessible */
} pool;

/* A buffer taken from a cell. */
typedef struct {
    uint8_t *at, *cell, *end;
    size_t len;
} place;

struct cells {
    uint64_t state;
    pool small, large;
    size_t n;
    place places[];
};

static void give_up(void)
{
    fprintf(stderr, "no memory for cells\n");
    exit(1);
}

static void pool_init(pool *p, size_t size, size_t n)
{
    p->page = (size_t)sysconf(_SC_PAGESIZE);
    p->cell = (size + p->page - 1) / p->page * p->page;
    p->n = n;
    p->base = mmap(NULL, n * (p->cell + p->page) + p->page, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->base == MAP_FAILED)
        give_up();
}

/* Each cell is a mapping of its own to the kernel, and there is a limit: only those in use. */
static uint8_t *pool_next(pool *p)
{
    if (p->used == p->n)
        give_up();
    uint8_t *cell = p->base + p->page + p->used++ * (p->cell + p->page);
    if (p->used > p->ready) {
        if (mprotect(cell, p->cell, PROT_READ | PROT_WRITE) != 0)
            give_up();
        p->ready = p->used;
    }
    return cell;
}

cells *cells_new(uint64_t seed, size_t small, size_t large, size_t max)
{
    cells *all = calloc(1, sizeof(*all) + (small + large) * sizeof(place));
    if (all == NULL)
        give_up();
    all->state = seed;
    pool_init(&all->small, CELL_SMALL, small);
    pool_init(&all->large, max, large);
    return all;
}

void cells_free(cells *all)
{
    pool *pools[] = {&all->small, &all->large};
    for (int i = 0; i < 2; i++)
        munmap(pools[i]->base, pools[i]->n * (pools[i]->cell + pools[i]->page) + pools[i]->page);
    free(all);
}

uint32_t cells_below(cells *all, uint32_t n)
{
    uint64_t z = all->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

void cells_clear(cells *all)
{
    all->small.used = all->large.used = all->n = 0;
}

void *cells_take(cells *all, size_t len, size_t align)
{
    pool *p = len <= CELL_SMALL ? &all->small : &all->large;
    if (len > p->cell)
        give_up();
    uint8_t *cell = pool_next(p);
    size_t at[] = {0, p->cell - len, 1 + cells_below(all, BESIDE)};
    size_t offset = at[cells_below(all, 3)];
    if (offset % align != 0 || offset + len > p->cell)
        offset = at[1] / align * align;
    place *s = &all->places[all->n++];
    *s = (place){cell + offset, cell, cell + p->cell, len};
    size_t before = offset < BESIDE ? offset : BESIDE;
    size_t behind = p->cell - offset - len < BESIDE ? p->cell - offset - len : BESIDE;
    memset(s->at - before, 0xa5, before);
    memset(s->at + len, 0xa5, behind);
    return s->at;
}

void *cells_copy(cells *all, const void *from, size_t len)
{
    if (len == 0 && cells_below(all, 2))
        return NULL;
    uint8_t *to = cells_take(all, len, 1);
    if (len > 0 && from != NULL)
        memcpy(to, from, len);
    else
        memset(to, 0xee, len);
    return to;
}

bool cells_intact(const cells *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const place *s = &all->places[i];
        const uint8_t *from = s->at - s->cell < BESIDE ? s->cell : s->at - BESIDE;
        const uint8_t *behind = s->at + s->len;
        const uint8_t *to = s->end - behind < BESIDE ? s->end : behind + BESIDE;
        for (const uint8_t *byte = from; byte < to; byte++)
            if ((byte < s->at || byte >= behind) && *byte != 0xa5)
                return false;
    }
    return true;
}
