/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_MODULE_H
#define KFE_PKCS11_MODULE_H

/* PKCS#11 modules of this process: one record per shared object, however many providers use it.
 * Whoever initialised a module finalises it: when the application (or libp11) was first, it stays
 * up when our last user leaves. A module is never unloaded: many do not survive it. */

#include <p11-kit/pkcs11.h>

#include <kfe/error.h>

typedef struct kfe_p11_module kfe_p11_module;

/* Loads and initialises the module at `path`; every get wants its own put. In a forked child a
 * module that the parent had initialised through us is initialised anew.
 * KFE_E_CONFIG: no PKCS#11 module there. KFE_E_PROVIDER: it does not start. */
kfe_error kfe_p11_module_get(kfe_p11_module **out, const char *path);
/* In the process that got it. */
void kfe_p11_module_put(kfe_p11_module *module);

/* Initialises it again after somebody else finalised it; KFE_OK when it is up. */
kfe_error kfe_p11_module_restart(kfe_p11_module *module);

/* Valid until put. */
CK_FUNCTION_LIST_PTR kfe_p11_module_calls(const kfe_p11_module *module);
const char *kfe_p11_module_path(const kfe_p11_module *module); /* symlinks resolved */

#endif
