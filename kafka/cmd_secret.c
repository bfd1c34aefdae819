/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "kafka/cmd.h"
#include "kafka/cmd_secret.h"

static volatile sig_atomic_t ended; /* the signal */

static void on_end(int number)
{
    ended = number;
}

/* `usual`: the signals that are held while it waits; NULL: as they are. Byte by byte into the
 * caller's memory: a buffered stream would keep a copy. A line that does not fit is read to its
 * end, so that the rest does not answer the next question. */
static long read_line(int tty, const sigset_t *usual, uint8_t *out, size_t cap)
{
    size_t len = 0;
    bool fits = true;
    /* A key that ends the process also empties the queue: what was ready may be gone again. */
    fcntl(tty, F_SETFL, O_RDWR | O_NONBLOCK);
    for (;;) {
        uint8_t byte = 0;
        struct pollfd input = {.fd = tty, .events = POLLIN};
        /* Signals come in here alone: one that came before the wait ends it as well. */
        if (kfe_cmd_stopped() || ended != 0)
            return -1;
        if (ppoll(&input, 1, NULL, usual) < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        ssize_t got = read(tty, &byte, 1);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got != 1)
            return -1;
        if (byte == '\n')
            return fits ? (long)len : -1;
        if (len < cap)
            out[len++] = byte;
        else
            fits = false;
    }
}

enum { N_ENDING = 4 };
static const int ending[N_ENDING] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};

/* Ended while it shows nothing, the terminal would be left to the shell like that. From before the
 * echo goes until it is back, signals that end are held but while input is waited for, those of no
 * handler of their own have this one, and SIGTSTP is held all the time. */
static void hold_signals(struct sigaction was[N_ENDING], sigset_t *before, sigset_t *usual)
{
    struct sigaction note = {.sa_handler = on_end};
    sigset_t hold;
    sigemptyset(&hold);
    sigaddset(&hold, SIGTSTP);
    for (int i = 0; i < N_ENDING; i++)
        sigaddset(&hold, ending[i]);
    sigprocmask(SIG_BLOCK, &hold, before);
    *usual = *before;
    sigaddset(usual, SIGTSTP);
    for (int i = 0; i < N_ENDING; i++) {
        sigaction(ending[i], NULL, &was[i]);
        if (was[i].sa_handler == SIG_DFL)
            sigaction(ending[i], &note, NULL);
    }
}

/* In this order: one that came meanwhile is noted, too. */
static void let_signals(const struct sigaction was[N_ENDING], const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
    for (int i = 0; i < N_ENDING; i++)
        sigaction(ending[i], &was[i], NULL);
}

static long ask_hidden(int tty, uint8_t *out, size_t cap)
{
    struct termios shown;
    if (tcgetattr(tty, &shown) != 0)
        return -1;
    struct termios hidden = shown;
    hidden.c_lflag &= (tcflag_t) ~(ECHO | ECHOE | ECHOK | ECHONL);
    struct sigaction was[N_ENDING];
    sigset_t before, usual;
    hold_signals(was, &before, &usual);
    long len = -1;
    if (tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
        len = read_line(tty, &usual, out, cap);
        tcsetattr(tty, TCSAFLUSH, &shown);
        dprintf(tty, "\n");
    }
    let_signals(was, &before);
    if (len < 0 || ended != 0)
        kfe_wipe(out, cap);
    if (ended != 0)
        raise(ended); /* it may write a core */
    return len;
}

long kfe_cmd_secret_ask(void *arg, const char *option, uint8_t *out, size_t cap)
{
    (void)arg;
    if (kfe_cmd_stopped())
        return -1;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return -1;
    const char *dot = strrchr(option, '.');
    dprintf(tty, "%s (%s): ", dot != NULL && strcmp(dot, ".pin") == 0 ? "PIN" : "Passphrase",
            option);
    long len = ask_hidden(tty, out, cap);
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
    long len = read_line(tty, NULL, answer, sizeof(answer));
    close(tty);
    return len == 3 && memcmp(answer, "yes", 3) == 0;
}
