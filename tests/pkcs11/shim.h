/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_SHIM_H
#define KFE_TESTS_PKCS11_SHIM_H

/* A PKCS#11 module over the one that KFE_SHIM_MODULE names: counts calls and makes chosen ones
 * fail. Tests reach it by dlopen() of the same file (test_token.h does). */

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

typedef enum {
    SHIM_INSTEAD, /* the real call is not made */
    SHIM_AFTER,   /* it is made, its result is lost */
    SHIM_TWICE,   /* it is made twice, as if somebody else did the same at that moment */
    SHIM_PIPE,    /* instead: raises SIGPIPE first, as writing to a dead server would */
} shim_how;

/* Who makes the IV of CKM_AES_GCM. */
typedef enum {
    SHIM_IV_HOST,
    SHIM_IV_WRITTEN_BACK, /* the token: over the caller's */
    SHIM_IV_APPENDED,     /* the token: 16 bytes, behind the tag */
} shim_iv;

typedef struct {
    /* Makes `count` calls of that function return `rv`, from the `skip`-th next one on. */
    void (*inject)(const char *function, shim_how how, CK_RV rv, unsigned long skip,
                   unsigned long count);
    /* Has the next call of that function run `act` first, on its own thread. */
    void (*before)(const char *function, void (*act)(void *arg), void *arg);
    /* The same before every call, until it is NULL. */
    void (*before_each)(const char *function, void (*act)(void *arg), void *arg);
    unsigned long (*calls)(const char *function);
    void (*token_flags)(CK_FLAGS flags); /* C_GetTokenInfo shows them in addition */
    void (*iv)(shim_iv style);
    void (*delay)(const char *function, unsigned microseconds); /* every call of it takes longer */
    void (*reset)(void); /* counts, failures, flags, style and delays */
} shim_table;

extern const shim_table kfe_test_shim;

#endif
