/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's ipsec-mb by its direct calls, the fastest that it has: one message each. */
#include "bench/peer.h"

#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

/* One for each code path, for the length of the program. */
typedef struct {
    const char *name;
    void (*init)(IMB_MGR *manager);
    uint64_t needs;
    IMB_MGR *manager;
} path;

static path paths[] = {
    {"avx512", init_mb_mgr_avx512, IMB_CPUFLAGS_AVX512_T2, NULL}, /* with VAES */
    {"avx2", init_mb_mgr_avx2, IMB_CPUFLAGS_AVX2, NULL},
    {"sse", init_mb_mgr_sse, IMB_CPUFLAGS_SSE, NULL},
};

typedef struct {
    struct gcm_key_data data;
    aes_gcm_enc_dec_t seal, open;
} key;

static IMB_MGR *manager_of(const char *variant)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (strcmp(paths[i].name, variant) == 0)
            return paths[i].manager;
    return NULL;
}

static void *key_new(const peer *self, const uint8_t *raw, size_t len)
{
    IMB_MGR *m = manager_of(self->variant);
    key *k = aligned_alloc(64, (sizeof(*k) + 63) / 64 * 64);
    if (k == NULL)
        return NULL;
    switch (len) {
    case 16:
        IMB_AES128_GCM_PRE(m, raw, &k->data);
        k->seal = m->gcm128_enc;
        k->open = m->gcm128_dec;
        return k;
    case 24:
        IMB_AES192_GCM_PRE(m, raw, &k->data);
        k->seal = m->gcm192_enc;
        k->open = m->gcm192_dec;
        return k;
    default:
        IMB_AES256_GCM_PRE(m, raw, &k->data);
        k->seal = m->gcm256_enc;
        k->open = m->gcm256_dec;
        return k;
    }
}

static void seal(const batch *b)
{
    struct gcm_context_data context;
    for (size_t i = 0; i < b->n; i++) {
        const key *k = b->key[i & b->key_mask];
        const slice *s = &b->text[i];
        k->seal(&k->data, &context, b->out + s->offset, b->in + s->offset, s->len, b->nonce[i],
                b->aad + i * b->aad_len, b->aad_len, b->tag[i], TAG);
    }
}

/* Comparing tags is left to the caller there. */
static size_t open_batch(const batch *b)
{
    struct gcm_context_data context;
    size_t refused = 0;
    for (size_t i = 0; i < b->n; i++) {
        const key *k = b->key[i & b->key_mask];
        const slice *s = &b->text[i];
        uint64_t made[2], given[2];
        k->open(&k->data, &context, b->out + s->offset, b->in + s->offset, s->len, b->nonce[i],
                b->aad + i * b->aad_len, b->aad_len, (uint8_t *)made, TAG);
        memcpy(given, b->tag[i], TAG);
        refused += ((made[0] ^ given[0]) | (made[1] ^ given[1])) != 0;
    }
    return refused;
}

void peer_ipsec_add(peer_list *list)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        path *p = &paths[i];
        IMB_MGR *m = alloc_mb_mgr(0);
        if (m == NULL || (m->features & p->needs) != p->needs) {
            if (m != NULL)
                free_mb_mgr(m);
            continue;
        }
        p->init(m);
        p->manager = m;
        peer *added = peers_add(list, "ipsec-mb", p->name);
        added->key_new = key_new;
        added->key_free = free;
        added->seal = seal;
        added->open = open_batch;
    }
    peers_version(list, "ipsec-mb %s", imb_get_version_str());
}
