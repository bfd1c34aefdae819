/* SPDX-License-Identifier: Apache-2.0 */
/* A token in another process, behind p11-kit's server, which is killed: does it come back by
 * itself, with the key found anew, and does its SIGPIPE end nobody? */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/pkcs11/derive_rig.h"
#include "tests/pkcs11/rsa_key.h"
#include "tests/pkcs11/wrap_rig.h"

#ifdef KFE_TEST_P11_KIT
extern char **environ;

enum { RECOVERY_MS = 5000, GONE_MS = 1000 };

typedef struct {
    pid_t pid;        /* 0: it does not run */
    test_token token; /* the test's own, seen through the server */
} server;

static server the_server; /* so that one of a test that failed is found, and killed */

/* The client module reads it once in a process. */
static char address[160]; /* "unix:path=", and behind that: */
static const char *folder, *path;

static bool answers(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    bool yes = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return yes;
}

static void server_start(server *s)
{
    const char *const argv[] = {
        "p11-kit",           "server",           "-f", "-n", path, "--provider",
        test_token_module(), test_token_named(), NULL};
    posix_spawnattr_t own_group;
    posix_spawn_file_actions_t quiet;
    posix_spawnattr_init(&own_group); /* it forks for each connection: all are killed at once */
    posix_spawnattr_setflags(&own_group, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&quiet);
    /* Whoever reads what this program prints waits for all who hold the other end. */
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&s->pid, KFE_TEST_P11_KIT, &quiet, &own_group,
                                 (char *const *)(uintptr_t)argv, environ),
                     0);
    posix_spawn_file_actions_destroy(&quiet);
    posix_spawnattr_destroy(&own_group);
    uint64_t until = now_ms() + PATIENCE_MS;
    while (!answers() && now_ms() < until)
        pause_1_ms();
    assert_true(answers());
}

static void server_kill(server *s)
{
    kill(-s->pid, SIGKILL);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
    s->pid = 0;
    unlink(path);
}

static server *server_new(const test_token *h)
{
    server *s = &the_server;
    char uri[400];
    snprintf(uri, sizeof(uri), "%s?module-path=%s", test_token_named(), KFE_TEST_P11_KIT_CLIENT);
    s->token = *h;
    s->token.config = test_token_config(uri, NULL);
    signal(SIGPIPE, SIG_DFL);
    server_start(s);
    return s;
}

static int teardown(void **state)
{
    if (the_server.pid != 0)
        server_kill(&the_server);
    kfe_config_free(the_server.token.config);
    the_server = (server){0};
    return test_token_teardown(state);
}

/* `use` asks the token for something, and looks at what it gets. */
static void assert_survives(server *s, kfe_error (*use)(void *rig), void *rig)
{
    server_kill(s);
    uint64_t until = now_ms() + GONE_MS;
    do {
        assert_int_equal(use(rig), KFE_E_PROVIDER); /* and the process is alive */
        pause_1_ms();
    } while (now_ms() < until);
    server_start(s);
    uint64_t start = now_ms();
    kfe_error err = use(rig);
    for (; err == KFE_E_PROVIDER && now_ms() - start < PATIENCE_MS; err = use(rig))
        pause_1_ms();
    assert_int_equal(err, KFE_OK);
    assert_true(now_ms() - start < RECOVERY_MS);
}

static kfe_error derive(void *rig)
{
    return rig_derive(rig);
}

static void test_derived(void **state)
{
    struct rig rig;
    test_token_needs(TOKEN_STARTS_BARE); /* the server passes no string on */
    rig_make_key(*state);
    server *s = server_new(*state);
    rig_open(&rig, s->token.config);
    for (int round = 0; round < 2; round++)
        assert_survives(s, derive, &rig);
    rig_wipe(&rig);
}

static kfe_error unwrap(void *rig)
{
    static const uint8_t zero[32];
    struct wrap_rig *r = rig;
    kfe_error err = wrap_rig_unwrap(r);
    assert_memory_equal(r->back, err ? zero : wrap_secret, 32);
    return err;
}

/* The server passes neither AES-GCM nor AES key wrap on: of the keys that wrap, RSA ones alone. */
static void test_rsa(void **state)
{
    struct wrap_rig rig;
    const rsa_spec good = rsa_good("kek", 1);
    test_token_needs(TOKEN_STARTS_BARE);
    EVP_PKEY *known = rsa_import(&good);
    server *s = server_new(*state);
    rsa_allow(s->token.config);
    wrap_rig_open(&rig, &s->token);
    rig.len = rsa_encrypt(known, &rsa_right, wrap_secret, 32, rig.wrapped);
    assert_int_equal(unwrap(&rig), KFE_OK);
    for (int round = 0; round < 2; round++)
        assert_survives(s, unwrap, &rig);
    assert_int_equal(wrap_rig_wrap(&rig), KFE_OK);
    assert_int_equal(unwrap(&rig), KFE_OK);
    wrap_rig_wipe(&rig);
    EVP_PKEY_free(known);
}

static int group_setup(void **state)
{
    static char made[128];
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(made, sizeof(made), "%s/kfe-server-XXXXXX", base != NULL ? base : "/tmp");
    folder = mkdtemp(made);
    assert_non_null(folder);
    snprintf(address, sizeof(address), "unix:path=%s/socket", folder);
    path = strchr(address, '=') + 1;
    return setenv("P11_KIT_SERVER_ADDRESS", address, 1);
}

static int group_teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_derived, test_token_setup, teardown),
        cmocka_unit_test_setup_teardown(test_rsa, test_token_setup, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
#else
int main(void)
{
    const char *no_skip = getenv("KFE_NO_SKIP");
    puts("skipped: no p11-kit here, or not its client module (./dev deps installs it)");
    return no_skip != NULL && strcmp(no_skip, "1") == 0 ? 1 : 77;
}
#endif
