/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/far.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 4096 };

hunt_secret *far_secrets[FAR_SECRETS];
uint8_t *far_safe, *far_told;

static hunt_find finds[HUNT_FINDS_MAX];
static char said[8 << 20]; /* librdkafka can say a lot */
static size_t said_len;

int far_begin(void **state)
{
    static const char *const names[FAR_SECRETS] = {"PIN",
                                                   "wrong PIN",
                                                   "master key",
                                                   "key that wraps by GCM",
                                                   "key that wraps keys",
                                                   "direct key",
                                                   "extractable key",
                                                   "factor of the RSA key",
                                                   "session secret",
                                                   "session secret, padded",
                                                   "derived key",
                                                   "data key",
                                                   "moved key",
                                                   "salt of refused PINs"};
    (void)state;
    far_token_start();
    for (int s = 0; s < FAR_SECRETS; s++)
        far_secrets[s] = hunt_new(names[s]);
    far_token_make();
    far_safe = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    far_told = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(far_safe != MAP_FAILED && far_told != MAP_FAILED);
    assert_int_equal(mlock(far_safe, ROOM), 0);
    assert_int_equal(madvise(far_safe, ROOM, MADV_DONTDUMP), 0);
    assert_int_equal(madvise(far_safe, ROOM, MADV_WIPEONFORK), 0);
    return 0;
}

/* ---- Looking ----------------------------------------------------------------------------------
 */

/* Each secret is found so often in `far_safe` and such memory, and nowhere else; `openssl`: but for
 * its own cipher contexts, which begin with the data key. */
void far_found(int secret, size_t times, size_t openssl, const char *when)
{
    size_t inside[FAR_SECRETS] = {0}, outside[FAR_SECRETS] = {0};
    size_t n = hunt(far_secrets, FAR_SECRETS, finds);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++)
        for (int s = 0; s < FAR_SECRETS; s++) {
            if (finds[i].secret != far_secrets[s])
                continue;
            bool good = hunt_protected(&finds[i]);
            inside[s] += good;
            outside[s] += !good;
            if (s != secret || (!good && openssl == 0))
                hunt_report(&finds[i]);
        }
    if (openssl > 0 && inside[secret] + outside[secret] == 0)
        fail_msg("%s, after %s, is not what the test thinks", far_secrets[secret]->name, when);
    for (int s = 0; s < FAR_SECRETS; s++) {
        if (outside[s] > (s == secret ? openssl : 0) || (s != secret && inside[s] > 0) ||
            (s == secret && openssl == 0 && inside[s] != times))
            fail_msg("%s, after %s: %zu in protected memory, %zu outside", far_secrets[s]->name,
                     when, inside[s], outside[s]);
    }
}

void far_nothing(const char *when)
{
    far_found(-1, 0, 0, when);
}

void far_wipe(void)
{
    kfe_wipe(far_safe, ROOM);
    far_nothing("the test wiped its own");
}

/* ---- What is said -------------------------------------------------------------------------------
 */

void far_say(const char *text)
{
    size_t len = strlen(text);
    assert_true(said_len + len + 1 < sizeof(said));
    memcpy(said + said_len, text, len);
    said_len += len;
    said[said_len++] = '\n';
}

void far_say_error(kfe_error err)
{
    assert_int_not_equal(err, KFE_OK);
    far_say(kfe_error_detail());
}

/* In a shell, with whatever it says in a file. */
static void run_shell(void *command)
{
    far_require(chdir(kit_dir()) == 0 && freopen("said", "w", stdout) != NULL);
    execl("/bin/sh", "sh", "-c", (const char *)command, (char *)NULL);
    far_require(false);
}

void far_say_what(const char *command)
{
    char path[160];
    hunt_child(run_shell, (void *)(uintptr_t)command);
    snprintf(path, sizeof(path), "%s/said", kit_dir());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    said_len += fread(said + said_len, 1, sizeof(said) - said_len, file);
    assert_true(said_len < sizeof(said));
    assert_int_equal(fclose(file), 0);
}

static bool holds(const void *text, size_t len)
{
    return memmem(said, said_len, text, len) != NULL;
}

/* Twelve bytes are enough. */
bool far_is_said(void)
{
    bool yes = false;
    for (int s = 0; s < FAR_SECRETS; s++) {
        uint8_t bytes[HUNT_SECRET_MAX] = {0};
        char hex[2][32], base64[32];
        if (far_secrets[s]->len == 0)
            continue;
        hunt_get(far_secrets[s], bytes);
        for (size_t i = 0; i < 12; i++) {
            snprintf(hex[0] + 2 * i, 3, "%02x", bytes[i]);
            snprintf(hex[1] + 2 * i, 3, "%02X", bytes[i]);
        }
        EVP_EncodeBlock((unsigned char *)base64, bytes, 12);
        yes =
            yes || holds(bytes, 12) || holds(hex[0], 24) || holds(hex[1], 24) || holds(base64, 16);
    }
    return yes;
}

static void search(void *unused)
{
    (void)unused;
    far_require(!far_is_said());
}

void far_nothing_was_said(void)
{
    assert_true(said_len > 0);
    hunt_child(search, NULL);
    said_len = 0;
}
