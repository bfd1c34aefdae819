/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_MODULE_H
#define KFE_PKCS11_MODULE_H

/* PKCS#11 modules of this process: one record per shared object, however many providers use it.
 * Whoever initialised a module finalises it: when the application (or libp11) was first, it stays
 * up when our last user leaves. So it does at any sign that the application has started it again
 * meanwhile, or a start or end of ours failed: PKCS#11 tells nobody whose C_Initialize holds, and
 * one that stays up harms nobody. A module is never unloaded: many do not survive it. */

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include <kfe/error.h>

#define KFE_P11_INIT_ARGS_OPTION "encryption.keyprovider.pkcs11.init.args"

typedef struct kfe_p11_module kfe_p11_module;

/* Loads and initialises the module at `path`; every get wants its own put. In a forked child a
 * module that the parent had initialised through us is initialised anew.
 * `args`: what C_Initialize gets in pReserved, a string that some modules want (PKCS#11 section
 * 5.4 leaves it to the vendor); NULL: nothing. Copied.
 * `starts`: how often it was started here; a number for kfe_p11_module_restart().
 * KFE_E_CONFIG: no PKCS#11 module there; others use it with other `args`. KFE_E_PROVIDER: it does
 * not start. */
kfe_error kfe_p11_module_get(kfe_p11_module **out, const char *path, const char *args,
                             uint64_t *starts);
/* In the process that got it. */
void kfe_p11_module_put(kfe_p11_module *module);

/* Which start of ours is the last: what a user has of the module came with it, if it is asked
 * before. */
uint64_t kfe_p11_module_starts(kfe_p11_module *module);
/* A user found that sessions of start number `starts` are gone, and it was not he who closed them.
 * Unless another user has started the module again that is a sign of somebody else. `finalised`:
 * the module said that it is not initialised; when it says so again our C_Initialize holds no more.
 */
void kfe_p11_module_lost(kfe_p11_module *module, uint64_t starts, bool finalised);

/* Starting, stopping and logging in to it are one at a time, for all who use it: whoever does so
 * holds its lock. get, put and restart take it themselves; one that hangs in the module keeps it,
 * and so holds up those of this module, of no other. KFE_E_MEMORY: not locked. Not recursive. */
kfe_error kfe_p11_module_lock(kfe_p11_module *module);
void kfe_p11_module_unlock(kfe_p11_module *module);

/* A PIN with which logins failed, by codes that do not say whether it was refused. */
typedef struct {
    uint64_t word; /* <pkcs11/latch.h>; 0: free */
    unsigned failed;
    uint64_t next_ms; /* not before that time (kfe_p11_milliseconds()) again */
    CK_RV rv;         /* of the last try */
} kfe_p11_login_doubt;

enum { KFE_P11_LOGIN_DOUBTS = 8 };

/* Those of this module, in this process and its parents: KFE_P11_LOGIN_DOUBTS of them. To be used
 * with its lock held. */
kfe_p11_login_doubt *kfe_p11_module_login_doubts(kfe_p11_module *module);

/* True for its only user, when it is in doubt who has it up, and it may be an earlier user: what it
 * shows may be old then. */
bool kfe_p11_module_left_up(kfe_p11_module *module);

/* A user has a session with that token, which is in that slot. */
void kfe_p11_module_serves(kfe_p11_module *module, CK_SLOT_ID slot, const CK_TOKEN_INFO *token);

/* Initialises it again; KFE_OK when it is up. `anew`: finalises it first, as remote tokens come
 * back in no other way, unless another user did since `*starts`, the application had initialised
 * it, a thread is stuck inside, or it was a short time ago while other tokens that it serves are
 * well (<pkcs11/neighbours.h>). `token`: which one is lost. The caller must not be inside. Sets
 * *starts. */
kfe_error kfe_p11_module_restart(kfe_p11_module *module, bool anew, const CK_TOKEN_INFO *token,
                                 uint64_t *starts);

/* Around calls into it: no restart pulls it away from under a thread that is inside. Enter waits
 * for one that goes on. */
void kfe_p11_module_enter(kfe_p11_module *module);
void kfe_p11_module_leave(kfe_p11_module *module);

/* Valid until put. */
CK_FUNCTION_LIST_PTR kfe_p11_module_calls(const kfe_p11_module *module);
const char *kfe_p11_module_path(const kfe_p11_module *module); /* symlinks resolved */

#endif
