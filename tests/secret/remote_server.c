/* SPDX-License-Identifier: Apache-2.0 */
/* The process in which the token lives. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "tests/secret/remote_wire.h"

static CK_FUNCTION_LIST_PTR real;

static CK_RV initialise(void)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    return real->C_Initialize(&args);
}

static CK_RV run(enum which which, call *c)
{
    switch (which) {
#define X(name, run)                                                                               \
    case AT_##name:                                                                                \
        return run;
        CALLS(X)
#undef X
    }
    return CKR_FUNCTION_NOT_SUPPORTED;
}

void remote_serve(wire *shared)
{
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *module = dlopen(getenv("KFE_REMOTE_MODULE"), RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof(get));
    if (!get || get(&real) != CKR_OK)
        abort();
    for (;;) {
        remote_wait(&shared->asked);
        shared->rv = run(shared->which, &shared->c);
        sem_post(&shared->answered);
    }
}
