/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kafka/cmd.h"

void kfe_cmd_say(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    /* A broker's words are a stranger's: none of them steers the terminal. */
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    flockfile(stderr);
    /* On a terminal a progress line may stand there. */
    fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[Kkfe: " : "kfe: ", line);
    funlockfile(stderr);
}

void kfe_cmd_on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)opaque;
    kfe_cmd_say("%s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)err), reason);
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        char detail[256];
        rd_kafka_fatal_error(rk, detail, sizeof(detail));
        kfe_cmd_say("%s", detail);
    }
}

int kfe_cmd_say_error(kfe_error error)
{
    kfe_cmd_say("%s: %s", kfe_error_name(error), kfe_error_detail());
    return KFE_EXIT_FAILED;
}

/* A reader that left shows at the next write only, and there may never be one. */
static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

bool kfe_cmd_flush(int *code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return !reader_left();
    int why = errno;
    /* What could not be written once would be tried, and told, again at exit. */
    static bool told;
    if (why != EPIPE && !told) {
        kfe_cmd_say("cannot write to stdout: %s", strerror(why));
        *code = KFE_EXIT_FAILED;
    }
    told = true;
    return false;
}
