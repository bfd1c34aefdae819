/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_SHIM_H
#define KFE_TESTS_PKCS11_SHIM_H

/* A PKCS#11 module over the one that KFE_SHIM_MODULE names: counts calls and makes chosen ones
 * fail. Tests reach it by dlopen() of the same file (softhsm.h does). */

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

typedef enum {
    SHIM_INSTEAD, /* the real call is not made */
    SHIM_AFTER,   /* it is made, its result is lost */
    SHIM_TWICE,   /* it is made twice, as if somebody else did the same at that moment */
    SHIM_PIPE,    /* instead: raises SIGPIPE first, as writing to a dead server would */
} shim_how;

typedef struct {
    /* Makes `count` calls of that function return `rv`, from the `skip`-th next one on. */
    void (*inject)(const char *function, shim_how how, CK_RV rv, unsigned long skip,
                   unsigned long count);
    /* Has the next call of that function run `act` first, on its own thread. */
    void (*before)(const char *function, void (*act)(void *arg), void *arg);
    unsigned long (*calls)(const char *function);
    void (*token_flags)(CK_FLAGS flags); /* C_GetTokenInfo shows them in addition */
    void (*reset)(void);                 /* counts, failures and flags */
} shim_table;

extern const shim_table kfe_test_shim;

#endif
