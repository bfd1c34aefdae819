/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11/ckr.h"
#include "pkcs11/lock.h"
#include "pkcs11/meter.h"
#include "pkcs11/module.h"
#include "pkcs11/neighbours.h"

enum { ARGS_MAX = 1024 };
enum { MODULES_MAX = 8, EMPTY_MS = 500 };

struct kfe_p11_module {
    /* Written once, then `known` is set. A child may believe these, as they share a cache line:
     * a fork in the middle of it leaves a record that is complete or not known. It must not call
     * dlopen() for a module that it inherited: another thread of its parent may have held the
     * loader's lock. */
    _Alignas(64) dev_t device;
    ino_t inode;
    CK_FUNCTION_LIST_PTR calls;
    _Atomic bool known;
    _Atomic(pid_t) initialiser; /* whose C_Initialize, made here, holds; 0: nobody's */

    /* Of process `pid`: threads inside, and whether the door is shut. */
    _Atomic unsigned inside;
    _Atomic bool shut;

    kfe_p11_lock lock; /* over all that follows, and over logins */

    kfe_p11_login_doubt login_doubts[KFE_P11_LOGIN_DOUBTS];

    /* Of process `pid`. */
    pid_t pid;
    unsigned users;
    kfe_p11_neighbours neighbours;
    uint64_t starts;
    bool up;     /* C_Initialize said so, and we have not finalised it since */
    bool others; /* there are signs of an application that starts it, too */
    char path[PATH_MAX];
    char args[ARGS_MAX]; /* for pReserved; "": none */
};

static kfe_p11_module modules[MODULES_MAX];
static kfe_p11_lock table_lock; /* over which of them are known; never held while one starts */

static CK_RV initialise(kfe_p11_module *module)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK,
                                 .pReserved = module->args[0] != '\0' ? module->args : NULL};
    return module->calls->C_Initialize(&args);
}

/* After one that failed. It may have started or left the module up all the same, and then it is
 * ours to finalise in an outage, as nobody else will; but an application may start what was not up,
 * and PKCS#11 would say the same of that, so it is left up by who leaves. What is known to be the
 * application's stays so. */
static void doubt(kfe_p11_module *module)
{
    CK_INFO info;
    const bool theirs = module->up && atomic_load(&module->initialiser) == 0;
    const bool down = module->calls->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED;
    if (down) {
        module->up = false;
        atomic_store(&module->initialiser, 0);
    } else if (!theirs) {
        module->up = false;
        module->others = true;
        atomic_store(&module->initialiser, getpid());
    }
}

static kfe_error start(kfe_p11_module *module)
{
    pid_t before = atomic_load(&module->initialiser);
    CK_RV rv = initialise(module);
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED && before != 0 && before != getpid()) {
        /* The state of our parent, with its login and perhaps its connection to the HSM. */
        module->calls->C_Finalize(NULL);
        rv = initialise(module);
    }
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        if (before != getpid())
            atomic_store(&module->initialiser, 0);
        module->up = true;
        return KFE_OK;
    }
    if (rv != CKR_OK) {
        doubt(module);
        return kfe_p11_ckr_fail(rv, "C_Initialize");
    }
    atomic_store(&module->initialiser, getpid());
    module->up = true;
    module->starts++;
    return KFE_OK;
}

static kfe_error load(const char *path, CK_FUNCTION_LIST_PTR *calls)
{
    void *loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!loaded)
        return kfe_fail(KFE_E_CONFIG, "cannot load the PKCS#11 module: %s", dlerror());
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    void *symbol = dlsym(loaded, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof(get)); /* ISO C knows no cast from data to function */
    if (get && get(calls) == CKR_OK && *calls)
        return KFE_OK;
    dlclose(loaded);
    return kfe_fail(KFE_E_CONFIG, "%s is no PKCS#11 module: it has no C_GetFunctionList", path);
}

/* The record of the file at `path`, loaded if it is new. With the table's lock held. */
static kfe_error find_record(const char *path, kfe_p11_module **out)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return kfe_fail(KFE_E_CONFIG, "PKCS#11 module %s: %s", path, strerror(errno));
    size_t i = 0;
    for (; i < MODULES_MAX && atomic_load(&modules[i].known); i++) {
        *out = &modules[i];
        if (modules[i].device == file.st_dev && modules[i].inode == file.st_ino)
            return KFE_OK;
    }
    if (i == MODULES_MAX)
        return kfe_fail(KFE_E_CONFIG, "more than %d PKCS#11 modules in one process", MODULES_MAX);
    kfe_p11_module *module = &modules[i];
    kfe_error err = load(path, &module->calls);
    if (err)
        return err;
    module->device = file.st_dev;
    module->inode = file.st_ino;
    atomic_store(&module->known, true);
    *out = module;
    return KFE_OK;
}

static kfe_error record_for(const char *path, kfe_p11_module **out)
{
    kfe_error err = kfe_p11_lock_take(&table_lock);
    if (err)
        return err;
    err = find_record(path, out);
    kfe_p11_lock_release(&table_lock);
    return err;
}

/* With the module's lock held. */
static kfe_error use(kfe_p11_module *module, const char *path, const char *args, uint64_t *starts)
{
    if (module->pid != getpid()) {
        module->pid = getpid();
        module->users = 0;
        kfe_p11_neighbours_forget(&module->neighbours);
        module->up = module->others = false;
        atomic_store(&module->inside, 0);
        atomic_store(&module->shut, false);
    }
    if (module->users == 0) {
        snprintf(module->path, sizeof(module->path), "%s", path);
        snprintf(module->args, sizeof(module->args), "%s", args);
        const uint64_t before = module->starts;
        kfe_error err = start(module);
        if (err)
            return err;
        if (module->starts != before) /* nobody had it up */
            module->others = false;
    }
    if (strcmp(module->args, args) != 0)
        return kfe_fail(KFE_E_CONFIG,
                        "PKCS#11 module %s is in use here with other arguments: one process gives "
                        "it one " KFE_P11_INIT_ARGS_OPTION,
                        path);
    module->users++;
    *starts = module->starts;
    return KFE_OK;
}

kfe_error kfe_p11_module_get(kfe_p11_module **out, const char *path, const char *args,
                             uint64_t *starts)
{
    char real[PATH_MAX];
    if (args == NULL)
        args = "";
    if (strlen(args) >= ARGS_MAX)
        return kfe_fail(KFE_E_CONFIG, KFE_P11_INIT_ARGS_OPTION ": more than %d bytes",
                        ARGS_MAX - 1);
    if (!realpath(path, real))
        return kfe_fail(KFE_E_CONFIG,
                        "module-path of encryption.keyprovider.pkcs11.uri, %.120s: %s", path,
                        strerror(errno));
    kfe_p11_module *module = NULL;
    kfe_error err = record_for(real, &module);
    if (!err)
        err = kfe_p11_module_lock(module);
    if (err)
        return err;
    err = use(module, real, args, starts);
    kfe_p11_module_unlock(module);
    if (!err)
        *out = module;
    return err;
}

void kfe_p11_module_put(kfe_p11_module *module)
{
    if (kfe_p11_module_lock(module) != KFE_OK)
        return;
    kfe_p11_neighbours_forget(&module->neighbours);
    if (module->pid == getpid() && --module->users == 0 && !module->others &&
        atomic_load(&module->initialiser) == getpid()) {
        if (module->calls->C_Finalize(NULL) != CKR_OK) {
            doubt(module);
        } else {
            module->up = false;
            atomic_store(&module->initialiser, 0);
        }
    }
    kfe_p11_module_unlock(module);
}

uint64_t kfe_p11_module_starts(kfe_p11_module *module)
{
    if (kfe_p11_module_lock(module) != KFE_OK)
        return 0;
    uint64_t starts = module->starts;
    kfe_p11_module_unlock(module);
    return starts;
}

/* Sessions may have been closed by somebody, or lost by the token, so that alone does not make it
 * another's: it is not finalised when we leave, but in an outage it still is, as a token that only
 * comes back by that would be lost for good. */
void kfe_p11_module_lost(kfe_p11_module *module, uint64_t starts, bool finalised)
{
    if (kfe_p11_module_lock(module) != KFE_OK)
        return;
    if (module->pid == getpid() && module->up && module->starts == starts) {
        CK_INFO info; /* asked once more: one wrong word must not cost us the module for ever */
        module->others = true;
        if (finalised && module->calls->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED) {
            module->up = false;
            atomic_store(&module->initialiser, 0);
        }
    }
    kfe_p11_module_unlock(module);
}

kfe_error kfe_p11_module_lock(kfe_p11_module *module)
{
    return kfe_p11_lock_take(&module->lock);
}

void kfe_p11_module_unlock(kfe_p11_module *module)
{
    kfe_p11_lock_release(&module->lock);
}

kfe_p11_login_doubt *kfe_p11_module_login_doubts(kfe_p11_module *module)
{
    return module->login_doubts;
}

/* ---- Starting again ------------------------------------------------------------------ */

static void pause_1_ms(void)
{
    const struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

/* Restarts are rare and short: a look each millisecond costs nobody anything. One that hangs in
 * C_Initialize holds up the crew's threads alone, whose callers have deadlines. */
void kfe_p11_module_enter(kfe_p11_module *module)
{
    for (;;) {
        atomic_fetch_add(&module->inside, 1);
        if (!atomic_load(&module->shut))
            return;
        atomic_fetch_sub(&module->inside, 1);
        pause_1_ms();
    }
}

void kfe_p11_module_leave(kfe_p11_module *module)
{
    atomic_fetch_sub(&module->inside, 1);
}

/* C_Finalize while another thread is inside has no defined effect: one that hangs keeps it up. */
static void finalise_when_empty(kfe_p11_module *module)
{
    atomic_store(&module->shut, true);
    for (int ms = 0; ms < EMPTY_MS && atomic_load(&module->inside) > 0; ms++)
        pause_1_ms();
    if (atomic_load(&module->inside) == 0) {
        module->up = false;
        module->calls->C_Finalize(NULL);
    }
}

bool kfe_p11_module_left_up(kfe_p11_module *module)
{
    if (kfe_p11_module_lock(module) != KFE_OK)
        return false;
    bool yes =
        module->users == 1 && module->others && atomic_load(&module->initialiser) == getpid();
    kfe_p11_module_unlock(module);
    return yes;
}

void kfe_p11_module_serves(kfe_p11_module *module, CK_SLOT_ID slot, const CK_TOKEN_INFO *token)
{
    if (kfe_p11_module_lock(module) != KFE_OK)
        return;
    kfe_p11_neighbours_add(&module->neighbours, slot, token);
    kfe_p11_module_unlock(module);
}

kfe_error kfe_p11_module_restart(kfe_p11_module *module, bool anew, const CK_TOKEN_INFO *token,
                                 uint64_t *starts)
{
    kfe_error err = kfe_p11_module_lock(module);
    if (err)
        return err;
    if (anew && *starts == module->starts && atomic_load(&module->initialiser) == getpid() &&
        kfe_p11_neighbours_allow(&module->neighbours, module->calls, token, kfe_p11_milliseconds()))
        finalise_when_empty(module);
    err = start(module);
    atomic_store(&module->shut, false);
    *starts = module->starts;
    kfe_p11_module_unlock(module);
    return err;
}

CK_FUNCTION_LIST_PTR kfe_p11_module_calls(const kfe_p11_module *module)
{
    return module->calls;
}

const char *kfe_p11_module_path(const kfe_p11_module *module)
{
    return module->path;
}
