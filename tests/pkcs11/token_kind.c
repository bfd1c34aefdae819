/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/pkcs11/test_token.h"
#include "tests/pkcs11/token_kind.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- SoftHSM: a folder with its configuration, and a fresh token in it --------------------- */

static void make_softhsm(const char *dir, const char *settings)
{
    char path[160], text[400];
    snprintf(path, sizeof(path), "%s/softhsm2.conf", dir);
    snprintf(text, sizeof(text),
             "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n%s\n", dir,
             settings);
    write_file(path, text);
    setenv("SOFTHSM2_CONF", path, 1);
    test_token_add(TOKEN_LABEL);
}

static const token_kind softhsm = {.module = KFE_TEST_SOFTHSM,
                                   .label = TOKEN_LABEL,
                                   .pin = TOKEN_PIN,
                                   .init_args = "",
                                   .fresh = true,
                                   .adds = true,
                                   .folder = true,
                                   .make = make_softhsm};

/* ---- NSS softokn: a database, made by its own tool ------------------------------------------ */

static char nss_args[400];

static void make_nss(const char *dir, const char *settings)
{
    char path[160], database[160];
    (void)settings;
    snprintf(path, sizeof(path), "%s/pin", dir);
    write_file(path, TOKEN_PIN "\n");
    setenv("NSS_MAX_MP_PBE_ITERATION_COUNT", "1", 1); /* else 10,000 for every object */
    snprintf(database, sizeof(database), "sql:%s", dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("certutil", "certutil", "-N", "-d", database, "-f", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(nss_args, sizeof(nss_args),
             "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags= "
             "dbTokenDescription='%s'",
             dir, TOKEN_LABEL);
}

static const token_kind nss = {.module = KFE_TEST_NSS,
                               .label = TOKEN_LABEL,
                               .pin = TOKEN_PIN,
                               .init_args = nss_args,
                               .fresh = true,
                               .make = make_nss};

/* ---- Any module, with a token that somebody made for the tests ------------------------------ */

static token_kind given;

/* Tests that run at the same time would meet in it. */
static void take_turns(const char *dir, const char *settings)
{
    static int lock = -1;
    (void)dir;
    (void)settings;
    if (lock != -1)
        return;
    lock = open(given.module, O_RDONLY | O_CLOEXEC);
    assert_true(lock != -1);
    assert_int_equal(flock(lock, LOCK_EX), 0);
}

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

const token_kind *token_kind_get(void)
{
    const char *named = getenv("KFE_TEST_TOKEN");
    if (named && strcmp(named, "nss") == 0)
        return &nss;
    if (!getenv("KFE_TEST_MODULE"))
        return &softhsm;
    given = (token_kind){.module = getenv("KFE_TEST_MODULE"),
                         .label = setting("KFE_TEST_MODULE_TOKEN"),
                         .pin = setting("KFE_TEST_MODULE_PIN"),
                         .init_args = setting("KFE_TEST_MODULE_ARGS"),
                         .make = take_turns};
    return &given;
}
