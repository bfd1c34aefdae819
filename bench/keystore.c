/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/keystore.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nothing is kept secret by it. */
static const char text[] = "{\"version\":1,\"keys\":[{\"name\":\"orders.k\",\"version\":1,"
                           "\"state\":\"active\",\"key\":"
                           "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}]}\n";

bool keystore_begin(keystore *k)
{
    memset(k, 0, sizeof(*k));
    const char *under = getenv("TMPDIR");
    snprintf(k->folder, sizeof(k->folder), "%s/kfe-bench.XXXXXX", under != NULL ? under : "/tmp");
    if (mkdtemp(k->folder) == NULL) {
        perror("kfe-bench: a temporary folder");
        return false;
    }
    snprintf(k->path, sizeof(k->path), "%s/keys.json", k->folder);
    int fd = open(k->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1;
    if (fd >= 0)
        close(fd);
    if (!written)
        perror(k->path);
    return written;
}

void keystore_end(keystore *k)
{
    for (unsigned i = 0; i < k->n; i++) {
        kfe_engine_free(k->engines[i]);
        kfe_config_free(k->configs[i]);
    }
    if (*k->path)
        unlink(k->path);
    rmdir(k->folder);
}

kfe_engine *keystore_engine(keystore *k, const char *backend, bool record_scope)
{
    const char *const options[][2] = {
        {"encryption.keyprovider.class", "file"},
        {"encryption.keyprovider.file.path", k->path},
        {"encryption.keymanager.class", "topic"},
        {"encryption.keymanager.default.key", "orders.k"},
        {"encryption.scope", record_scope ? "record" : "field"},
        {"encryption.backend", backend},
    };
    if (k->n == sizeof(k->engines) / sizeof(*k->engines))
        return NULL;
    kfe_config *config;
    kfe_engine *engine = NULL;
    kfe_error err = kfe_config_new(&config);
    for (size_t i = 0; i < sizeof(options) / sizeof(*options) && !err; i++)
        err = kfe_config_set(config, options[i][0], options[i][1]);
    if (!err)
        err = kfe_engine_new(&engine, config);
    if (err) {
        fprintf(stderr, "kfe-bench: %s: %s\n", backend, kfe_error_detail());
        kfe_config_free(config);
        return NULL;
    }
    k->configs[k->n] = config;
    k->engines[k->n++] = engine;
    return engine;
}
