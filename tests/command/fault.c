/* SPDX-License-Identifier: Apache-2.0 */
/* A PKCS#11 module over the one that KFE_FAULT_MODULE names, with the one fault that KFE_FAULT
 * names: the user PIN is locked, or on its final try; or a call never returns, which a file
 * `hangs` tells. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST_PTR below;
static CK_FUNCTION_LIST list;

static int is(const char *fault)
{
    const char *named = getenv("KFE_FAULT");
    return named != NULL && strcmp(named, fault) == 0;
}

static void hang(const char *call)
{
    if (!is(call))
        return;
    if (symlink(call, "hangs") == 0)
        for (;;)
            pause();
}

static CK_RV initialize(void *args)
{
    hang("initialize");
    return below->C_Initialize(args);
}

static CK_RV find(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR wanted, CK_ULONG n)
{
    hang("find");
    return below->C_FindObjectsInit(session, wanted, n);
}

static CK_RV generate(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR a,
                      CK_ULONG n, CK_OBJECT_HANDLE_PTR key)
{
    CK_RV rv = below->C_GenerateKey(session, mechanism, a, n, key);
    hang("generate");
    return rv;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
    CK_RV rv = below->C_GetTokenInfo(slot, info);
    info->flags |= is("locked") ? CKF_USER_PIN_LOCKED : is("final") ? CKF_USER_PIN_FINAL_TRY : 0;
    return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    void *module = dlopen(getenv("KFE_FAULT_MODULE"), RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    void *symbol = module != NULL ? dlsym(module, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof(get));
    if (get == NULL || get(&below) != CKR_OK)
        return CKR_GENERAL_ERROR;
    list = *below;
    list.C_Initialize = initialize;
    list.C_FindObjectsInit = find;
    list.C_GenerateKey = generate;
    list.C_GetTokenInfo = token_info;
    *out = &list;
    return CKR_OK;
}
