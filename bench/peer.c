/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*const families[])(peer_list *list) = {
    peer_kfe_add,
#ifdef BENCH_IPSEC
    peer_ipsec_add,
#endif
    peer_openssl_add,
#ifdef BENCH_SODIUM
    peer_sodium_add,
#endif
#ifdef BENCH_GCRYPT
    peer_gcrypt_add,
#endif
};

void peers_find(peer_list *list)
{
    *list = (peer_list){0};
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
        families[i](list);
}

const peer *peers_get(const peer_list *list, const char *family, const char *variant)
{
    for (size_t i = 0; i < list->n; i++) {
        const peer *p = &list->all[i];
        if (strcmp(p->family, family) == 0 && (*variant == 0 || strcmp(p->variant, variant) == 0))
            return p;
    }
    return NULL;
}

peer *peers_add(peer_list *list, const char *family, const char *variant)
{
    if (list->n == PEERS_MAX) {
        fprintf(stderr, "kfe-bench: more than %d contestants\n", PEERS_MAX);
        exit(1);
    }
    peer *p = &list->all[list->n++];
    *p = (peer){.family = family, .variant = variant};
    snprintf(p->name, sizeof(p->name), *variant ? "%s %s" : "%s", family, variant);
    return p;
}

void peers_version(peer_list *list, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (list->n_versions < sizeof(list->versions) / sizeof(*list->versions))
        vsnprintf(list->versions[list->n_versions++], sizeof(*list->versions), format, args);
    va_end(args);
}
