/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "kafka/cmd.h"
#include "kafka/cmd_secret.h"

/* Byte by byte into the caller's memory: a buffered stream would keep a copy. A line that does
 * not fit is read to its end, so that the rest does not answer the next question. */
static long read_line(int tty, uint8_t *out, size_t cap)
{
    size_t len = 0;
    bool fits = true;
    for (;;) {
        uint8_t byte = 0;
        ssize_t got = read(tty, &byte, 1);
        if (got < 0 && errno == EINTR && !kfe_cmd_stopped())
            continue;
        if (got <= 0)
            return -1;
        if (byte == '\n')
            return fits ? (long)len : -1;
        if (len < cap)
            out[len++] = byte;
        else
            fits = false;
    }
}

static long ask_hidden(int tty, uint8_t *out, size_t cap)
{
    struct termios shown;
    if (tcgetattr(tty, &shown) != 0)
        return -1;
    struct termios hidden = shown;
    hidden.c_lflag &= (tcflag_t) ~(ECHO | ECHOE | ECHOK | ECHONL);
    /* Suspended here, the shell would be left without echo. */
    sigset_t suspend, before;
    sigemptyset(&suspend);
    sigaddset(&suspend, SIGTSTP);
    sigprocmask(SIG_BLOCK, &suspend, &before);
    long len = -1;
    if (tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
        len = read_line(tty, out, cap);
        tcsetattr(tty, TCSAFLUSH, &shown);
        dprintf(tty, "\n");
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return len;
}

long kfe_cmd_secret_ask(void *arg, const char *option, uint8_t *out, size_t cap)
{
    (void)arg;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return -1;
    const char *dot = strrchr(option, '.');
    dprintf(tty, "%s (%s): ", dot != NULL && strcmp(dot, ".pin") == 0 ? "PIN" : "Passphrase",
            option);
    long len = ask_hidden(tty, out, cap);
    if (len < 0)
        kfe_wipe(out, cap);
    close(tty);
    return len;
}

bool kfe_cmd_confirm(const char *question)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return false;
    uint8_t answer[8];
    dprintf(tty, "%s ", question);
    long len = read_line(tty, answer, sizeof(answer));
    close(tty);
    return len == 3 && memcmp(answer, "yes", 3) == 0;
}
