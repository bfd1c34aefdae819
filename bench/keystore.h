/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_KEYSTORE_H
#define BENCH_KEYSTORE_H

/* A keystore file of one key, "orders.k", in a folder of its own, and engines over it. */

#include <stdbool.h>

#include <kfe/kfe.h>

typedef struct {
    char folder[256], path[288];
    kfe_config *configs[64]; /* of the engines that were made */
    kfe_engine *engines[64];
    unsigned n;
} keystore;

bool keystore_begin(keystore *k); /* false: no such file can be made; standard error says why */
void keystore_end(keystore *k);   /* engines, file and folder go */

/* Lives until keystore_end(). NULL: the engine refuses, and standard error says why. */
kfe_engine *keystore_engine(keystore *k, const char *backend, bool record_scope);

#endif
