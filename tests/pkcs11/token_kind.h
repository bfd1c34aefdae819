/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_TOKEN_KIND_H
#define KFE_TESTS_PKCS11_TOKEN_KIND_H

/* Where the tests' token comes from. For test_token.c; tests see test_token.h. */

#include <stdbool.h>

typedef struct {
    const char *module; /* path */
    const char *label, *pin;
    const char *init_args;                               /* "": none */
    bool fresh;                                          /* each test makes its own */
    bool adds;                                           /* and may make another beside it */
    bool folder;                                         /* what it holds is lost with `dir` */
    void (*make)(const char *dir, const char *settings); /* `settings`: lines for a file */
} token_kind;

/* KFE_TEST_TOKEN=nss: a database of NSS softokn. Else KFE_TEST_MODULE: that module, with its
 * token KFE_TEST_MODULE_TOKEN, PIN KFE_TEST_MODULE_PIN and initialisation string
 * KFE_TEST_MODULE_ARGS. Else SoftHSM. */
const token_kind *token_kind_get(void);

#endif
