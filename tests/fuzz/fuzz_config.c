/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file. What it sets can be read back, and can be set again, one by one, in a
 * configuration of its own. The first byte tells whether foreign options are allowed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/config_entry.h"
#include "tests/fuzz/fuzz.h"

static kfe_error take_other(void *arg, const char *name, const char *value)
{
    size_t *n = arg;
    fuzz_want(name[0] != '\0' && value != NULL, "an option without a name");
    fuzz_want(!kfe_config_owns(name), "one of ours goes to the other");
    ++*n;
    return KFE_OK;
}

static void set_again(const kfe_config *config)
{
    kfe_config *again = NULL;
    fuzz_want(kfe_config_new(&again) == KFE_OK, "no memory");
    for (size_t i = 0; i < config->n; i++) {
        const struct kfe_entry *entry = &config->entries[i];
        const char *value = kfe_config_get(config, entry->name);
        fuzz_want(value != NULL && strcmp(value, entry->value) == 0, "a value is lost");
        fuzz_want(kfe_config_set(again, entry->name, value) == KFE_OK, "cannot be set again");
        (void)kfe_config_number(config, entry->name);
        (void)kfe_config_flag(config, entry->name);
    }
    kfe_error err = kfe_config_check(config);
    fuzz_want(err == KFE_OK || err == KFE_E_CONFIG, "kfe_config_check: another error");
    fuzz_want(kfe_config_check(again) == err, "the second one is not like the first");
    kfe_config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[64];
    if (file < 0) {
        file = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    }
    if (size == 0)
        return 0;
    fuzz_want(file >= 0 && ftruncate(file, 0) == 0 &&
                  pwrite(file, data + 1, size - 1, 0) == (ssize_t)(size - 1),
              "no file in memory");
    kfe_config *config = NULL;
    size_t others = 0;
    fuzz_want(kfe_config_new(&config) == KFE_OK, "no memory");
    kfe_error err = kfe_config_load(config, path, data[0] & 1 ? take_other : NULL, &others);
    fuzz_want(err == KFE_OK || err == KFE_E_CONFIG, "an error that is not KFE_E_CONFIG");
    set_again(config);
    kfe_config_free(config);
    return 0;
}
