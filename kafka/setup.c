/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/setup.h"

#include <stdlib.h>
#include <string.h>

/* secure_getenv: whoever starts a set-uid program must not choose its keys. */
static kfe_error load_own(kfe_config **out)
{
    const char *path = secure_getenv("KFE_CONFIG");
    if (path == NULL || path[0] == '\0')
        return kfe_fail(KFE_E_CONFIG,
                        "no configuration given, and KFE_CONFIG does not name a file");
    kfe_error err = kfe_config_new(out);
    if (!err)
        err = kfe_config_load(*out, path, NULL, NULL);
    return err;
}

kfe_error kfe_setup_init(kfe_setup *out, const kfe_config *config)
{
    memset(out, 0, sizeof(*out));
    kfe_error err = config != NULL ? KFE_OK : load_own(&out->own);
    if (!err) {
        out->config = config != NULL ? config : out->own;
        err = kfe_engine_new(&out->engine, out->config);
    }
    if (err)
        kfe_setup_wipe(out);
    return err;
}

void kfe_setup_wipe(kfe_setup *setup)
{
    kfe_engine_free(setup->engine);
    kfe_config_free(setup->own);
    memset(setup, 0, sizeof(*setup));
}
