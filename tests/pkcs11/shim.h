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
    SHIM_PIPE,    /* instead: raises SIGPIPE first, as writing to a dead server would */
} shim_how;

/* Who makes the IV of CKM_AES_GCM. */
typedef enum {
    SHIM_IV_HOST,
    SHIM_IV_WRITTEN_BACK, /* the token: over the caller's */
    SHIM_IV_APPENDED,     /* the token: 16 bytes, behind the tag */
} shim_iv;

/* Whose handles are lost. */
typedef enum {
    SHIM_FOUND,    /* of objects that a search gave out */
    SHIM_OBJECTS,  /* of all objects */
    SHIM_SESSIONS, /* of all sessions, which are closed, login and session objects with them */
} shim_handles;

typedef struct {
    /* Makes `count` calls of that function return `rv`, from the `skip`-th next one on. */
    void (*inject)(const char *function, shim_how how, CK_RV rv, unsigned long skip,
                   unsigned long count);
    /* Has the next call of that function run `act` first, on its own thread. */
    void (*before)(const char *function, void (*act)(void *arg), void *arg);
    /* The same before every call, until it is NULL. */
    void (*before_each)(const char *function, void (*act)(void *arg), void *arg);
    unsigned long (*calls)(const char *function);
    unsigned (*inside)(void);            /* calls under way, of any function */
    void (*token_flags)(CK_FLAGS flags); /* C_GetTokenInfo shows them in addition */
    void (*iv)(shim_iv style);
    /* Every call of it takes longer, by less than a second; NULL: of any function. */
    void (*delay)(const char *function, unsigned microseconds);
    /* While it is, every call but two is CKR_DEVICE_ERROR: C_Finalize works, and C_Initialize makes
     * a module that has no slots. Either comes back by C_Finalize and C_Initialize alone, and not
     * before it is in reach again. So are tokens behind a network. */
    void (*out_of_reach)(bool yes);
    /* Handles given out so far are refused for ever. */
    void (*lose_handles)(shim_handles which);
    /* Each object has the other's handle from now on; 0 and 0: its own again. These are the numbers
     * of the module itself. So are those of a token that gives a number anew, to whoever kept it.
     */
    void (*swap_handles)(CK_OBJECT_HANDLE one, CK_OBJECT_HANDLE other);
    /* C_OpenSession is CKR_SESSION_COUNT when so many are open; 0: there is no limit. */
    void (*limit)(unsigned sessions);
    /* Asked for a size (no buffer given), C_Encrypt, C_Decrypt, C_Sign and C_WrapKey are off. */
    void (*size)(int off);
    unsigned long (*size_queries)(void); /* how often they were asked */
    /* C_Encrypt and C_Decrypt are CKR_BUFFER_TOO_SMALL unless there is room for that many bytes
     * more than what comes out; `ends`: the operation is over then, against the standard. */
    void (*room)(unsigned extra, bool ends);
    /* Counts, failures, flags, delays and ways; not handles that were lost. */
    void (*reset)(void);
} shim_table;

extern const shim_table kfe_test_shim;

#endif
