/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_FILE_PROVIDER_H
#define KFE_TESTS_FILE_PROVIDER_H

/* A file KeyProvider in a folder of its own, for the tests of engine/provider_file.c. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/config.h"
#include "engine/openssl/crypto.h"

#define PATH "encryption.keyprovider.file.path"
#define PASSPHRASE "encryption.keyprovider.file.passphrase"
#define KEY64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ONE_KEY                                                                                    \
    "{\"version\":1,\"keys\":[{\"name\":\"orders\",\"version\":1,\"state\":\"active\",\"key\":"    \
    "\"" KEY64 "\"}]}"

static const kfe_key_provider_ops *const ops = &kfe_file_provider;
static char folder[64], path[96];
static kfe_config *config;
static kfe_key_provider *keys;

static inline int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/kfe-provider-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/keys.json", folder);
    return kfe_config_new(&config) != KFE_OK || kfe_config_set(config, PATH, path) != KFE_OK ||
           ops->open(&keys, config) != KFE_OK;
}

static inline int teardown(void **state)
{
    (void)state;
    char other[128];
    ops->free(keys);
    kfe_config_free(config);
    (void)snprintf(other, sizeof(other), "%s.lock", path);
    (void)unlink(other);
    (void)unlink(path);
    return rmdir(folder);
}

static inline void put(const char *text)
{
    char next[128];
    (void)snprintf(next, sizeof(next), "%s.next", path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    assert_int_equal(rename(next, path), 0);
}

/* Exact version, or the current one for 0; what a key derives stands for the key. */
static inline kfe_error derive(kfe_key_provider *from, const char *name, uint32_t version,
                               uint8_t out[32], uint32_t *got)
{
    const kfe_key_ref ref = {name, version};
    kfe_key *key = NULL;
    kfe_error err = version == 0 ? from->ops->get_current_key(from, name, &key)
                                 : from->ops->get_key(from, &ref, &key);
    if (err)
        return err;
    if (got != NULL)
        *got = key->version;
    err = key->ops->derive(key, (const uint8_t *)"context", 7, out);
    key->ops->release(key);
    return err;
}

static inline kfe_error look(const char *name, uint32_t version)
{
    uint8_t out[32];
    return derive(keys, name, version, out, NULL);
}

static inline uint32_t current(const char *name)
{
    uint8_t out[32];
    uint32_t version = 0;
    assert_int_equal(derive(keys, name, 0, out, &version), KFE_OK);
    return version;
}

static inline kfe_error set_state(const char *name, uint32_t version, kfe_key_state to)
{
    const kfe_key_ref ref = {name, version};
    return ops->set_state(keys, &ref, to);
}

static inline bool says(const char *word)
{
    return strstr(kfe_error_detail(), word) != NULL;
}

static inline bool file_has(const char *word)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    return strstr(text, word) != NULL;
}

static inline int wait_child(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int in_child(bool raw, int (*body)(void))
{
    long pid = raw ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(60);
        _exit(body());
    }
    return wait_child((pid_t)pid);
}

static inline kfe_config *config_of(const char *passphrase_option)
{
    kfe_config *made = NULL;
    assert_int_equal(kfe_config_new(&made), KFE_OK);
    assert_int_equal(kfe_config_set(made, PATH, path), KFE_OK);
    if (passphrase_option != NULL)
        assert_int_equal(kfe_config_set(made, PASSPHRASE, passphrase_option), KFE_OK);
    return made;
}

#endif
