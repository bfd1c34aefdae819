/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_ROWS_H
#define KFE_TESTS_PKCS11_ROWS_H

/* What the provider has to do with each return code, and the calls that give them: the table of
 * docs/testing.md. */

#include "tests/pkcs11/rows_work.h"

typedef enum {
    NEVER,     /* it is no code of such a call */
    RECONNECT, /* another session, the login looked at, once more */
    FIND,      /* the key is found again, once more */
    REPLACE,   /* the session is closed, another one, once more */
    FORGED,    /* bad data */
    ASK_TWICE, /* bad data, when a token that answers says it twice, and opens what opened before,
                  by a key that is there; nothing opens: another session, once more */
    OPAQUE,    /* the same; but it is no word about the token, whether that answers or not, and when
                  nothing opens it is given up */
    PERMIT,    /* the key is found again, once more; then: the token cannot or may not */
    DENIED,    /* the token cannot or may not */
    DOUBT,     /* by a token that answers: another session, the key found again, once more */
    GIVE_UP,   /* an error of the token; what was asked for may have been done */
    DROP,      /* the same, and the session is closed */
    LEAVE,     /* the same, and the token is looked at */
    MEMORY,
    FINE,   /* as good as success */
    LATCH,  /* the PIN is refused, and not tried again */
    OUTAGE, /* the breaker opens; all is torn down and got back, in the end by C_Finalize */
    N_ACTIONS
} action;

/* Kinds of calls. */
typedef enum {
    USES,   /* a key or an object, or looks at our own one before that */
    OPENS,  /* data of somebody's */
    WRITES, /* or stands before what does, in the same piece of work */
    LEADS,  /* to the token: to its module, slot, session, login */
    N_SAYS
} says;

/* What is seen of those that are no call on the way to the token. The breaker stays closed. */
typedef struct {
    kfe_error once, always;  /* when one call says it; when each does */
    unsigned calls;          /* of that function, until it is given up */
    unsigned more;           /* of these, when one call says it: for what opened before */
    unsigned opened, closed; /* sessions, when one call says it */
    bool found;              /* the key is searched for again then */
    bool dead;               /* a token that does not answer either is an outage: nothing is
                                asked again, the breaker opens */
} row_outcome;
extern const row_outcome row_seen[N_ACTIONS];

typedef struct {
    CK_RV rv;
    action is[N_SAYS];
    const char *on; /* of those that lead there, this one alone says it; NULL: each may */
} table_row;
extern const table_row row_table[];
extern const size_t row_n;

/* A call that ends an operation is made, and its result lost: else the operation would stand. */
typedef struct {
    work_kind work;
    const char *function;
    shim_how how;
    says says;
    bool dead;     /* tried with a token that does not answer, which takes a while, as well */
    unsigned skip; /* calls of it that are for something else */
    unsigned anew; /* more calls of it, when it is found out again what a key can */
} row_place;
extern const row_place row_places[];
extern const size_t row_n_places;

#endif
