/* SPDX-License-Identifier: Apache-2.0 */
/* The door of kfe.so. What cannot run here does not load: an application that asked for these
 * ciphers is told why, instead of getting others under their name. */
#include "engine/openssl/provider.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/proverr.h>

#include "engine/openssl/provider_param.h"

/* ---- Errors ---------------------------------------------------------------------------------- */

/* With OpenSSL's own library number for its providers, an application sees the codes that it knows.
 */
static void set_error(const kfe_provider *provider, int reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    provider->vset_error(provider->core, ERR_PACK(ERR_LIB_PROV, 0, reason), format, args);
    va_end(args);
}

int kfe_provider_raise(const kfe_provider *provider, const char *file, int line, int reason,
                       const char *detail)
{
    if (provider->new_error == NULL || provider->vset_error == NULL)
        return 0;
    provider->new_error(provider->core);
    if (provider->set_error_debug != NULL)
        provider->set_error_debug(provider->core, file, line, "kfe");
    if (detail != NULL)
        set_error(provider, reason, "%s", detail);
    else
        set_error(provider, reason, NULL);
    return 0;
}

/* ---- What the core asks ---------------------------------------------------------------------- */

static const OSSL_PARAM *known(void *provider)
{
    static const OSSL_PARAM list[] = {
        {OSSL_PROV_PARAM_NAME, OSSL_PARAM_UTF8_PTR, NULL, 0, 0},
        {OSSL_PROV_PARAM_VERSION, OSSL_PARAM_UTF8_PTR, NULL, 0, 0},
        {OSSL_PROV_PARAM_BUILDINFO, OSSL_PARAM_UTF8_PTR, NULL, 0, 0},
        {OSSL_PROV_PARAM_STATUS, OSSL_PARAM_INTEGER, NULL, sizeof(int), 0},
        {NULL, 0, NULL, 0, 0},
    };
    (void)provider;
    return list;
}

static bool get_one(const kfe_provider *provider, OSSL_PARAM *p)
{
    if (strcmp(p->key, OSSL_PROV_PARAM_NAME) == 0)
        return kfe_param_set_text(p, "kfe");
    if (strcmp(p->key, OSSL_PROV_PARAM_VERSION) == 0)
        return kfe_param_set_text(p, KFE_VERSION);
    if (strcmp(p->key, OSSL_PROV_PARAM_BUILDINFO) == 0)
        return kfe_param_set_text(p, provider->build_info);
    if (strcmp(p->key, OSSL_PROV_PARAM_STATUS) == 0)
        return kfe_param_set_size(p, 1);
    return true;
}

static int get_params(void *provider, OSSL_PARAM params[])
{
    for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
        if (!get_one(provider, p))
            return 0;
    return 1;
}

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_CIPHER ? kfe_provider_ciphers : NULL;
}

static void teardown(void *provider)
{
    free(provider);
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* Functions come without their types, by number: core_dispatch.h. */
static void take_functions(kfe_provider *provider, const OSSL_DISPATCH *in)
{
    for (; in->function_id != 0; in++)
        switch (in->function_id) {
        case OSSL_FUNC_CORE_NEW_ERROR:
            provider->new_error = OSSL_FUNC_core_new_error(in);
            break;
        case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
            provider->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
            break;
        case OSSL_FUNC_CORE_VSET_ERROR:
            provider->vset_error = OSSL_FUNC_core_vset_error(in);
            break;
        }
}

/* Ciphers are copied as bytes and fed in pieces: a backend that cannot have it so is none here. */
static bool fits(const kfe_backend *backend)
{
    return backend->from_state && backend->key_wipe == NULL && backend->hash != NULL &&
           backend->keystream != NULL && backend->seal_blocks != NULL &&
           backend->open_blocks != NULL;
}

/* What KFE_BACKEND names, or the best. */
static kfe_error pick(const kfe_backend **out)
{
    bool any = false;
    for (size_t i = 0; kfe_all_backends[i] != NULL; i++)
        any = any || kfe_all_backends[i]->usable();
    if (!any)
        return kfe_fail(KFE_E_BACKEND,
                        "kfe has no kernel that runs on this CPU, which lacks AES or "
                        "carry-less multiplication: use OpenSSL's default provider");
    const char *forced = secure_getenv("KFE_BACKEND");
    if (forced != NULL && strcmp(forced, "openssl") == 0)
        return kfe_fail(KFE_E_BACKEND, "KFE_BACKEND=openssl: kfe.so has no such backend, it serves "
                                       "OpenSSL with kfe's kernels");
    kfe_error err = kfe_backend_pick("auto", NULL, out);
    if (!err && !fits(*out))
        err = kfe_fail(KFE_E_BACKEND, "backend %s cannot serve OpenSSL", (*out)->name);
    return err;
}

typedef void (*function)(void);

__attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE *core,
                                                              const OSSL_DISPATCH *in,
                                                              const OSSL_DISPATCH **out, void **arg)
{
    static const OSSL_DISPATCH table[] = {
        {OSSL_FUNC_PROVIDER_TEARDOWN, (function)teardown},
        {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (function)known},
        {OSSL_FUNC_PROVIDER_GET_PARAMS, (function)get_params},
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (function)query},
        {0, NULL},
    };
    kfe_provider *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return 0;
    made->core = core;
    take_functions(made, in);
    if (pick(&made->backend) != KFE_OK) {
        kfe_provider_raise(made, __FILE__, __LINE__, PROV_R_SELF_TEST_POST_FAILURE,
                           kfe_error_detail());
        free(made);
        return 0;
    }
    snprintf(made->build_info, sizeof(made->build_info), "backend %s", made->backend->name);
    *arg = made;
    *out = table;
    return 1;
}
