/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kfe/config.h>

#include "kafka/cmd_lines.h"

enum { FIRST_CAP = 1 << 16, MAX_CAP = 1 << 30 };

void kfe_cmd_lines_init(kfe_cmd_lines *lines, int fd)
{
    memset(lines, 0, sizeof(*lines));
    lines->fd = fd;
}

static bool take_line(kfe_cmd_lines *l, char **line, size_t *len)
{
    char *from = l->memory + l->start;
    size_t unread = l->end - l->start;
    char *newline = unread > l->seen ? memchr(from + l->seen, '\n', unread - l->seen) : NULL;
    if (newline == NULL && (!l->closed || unread == 0)) {
        l->seen = unread;
        return false;
    }
    /* The last line may lack its end; there is always room for the NUL. */
    *len = newline != NULL ? (size_t)(newline - from) : unread;
    from[*len] = '\0';
    *line = from;
    l->start += newline != NULL ? *len + 1 : unread;
    l->seen = 0;
    l->number++;
    return true;
}

/* Room for more, and for one NUL behind it. */
static bool make_room(kfe_cmd_lines *l)
{
    if (l->start > 0) {
        memmove(l->memory, l->memory + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->cap - l->end > 1)
        return true;
    if (l->cap >= MAX_CAP) {
        errno = EMSGSIZE;
        return false;
    }
    size_t cap = l->cap == 0 ? FIRST_CAP : l->cap * 2;
    char *memory = malloc(cap);
    if (memory == NULL)
        return false;
    if (l->memory != NULL) {
        memcpy(memory, l->memory, l->end);
        kfe_wipe(l->memory, l->cap);
        free(l->memory);
    }
    l->memory = memory;
    l->cap = cap;
    return true;
}

kfe_lines_result kfe_cmd_lines_next(kfe_cmd_lines *l, char **line, size_t *len, int timeout_ms)
{
    for (;;) {
        if (l->memory != NULL && take_line(l, line, len))
            return KFE_LINES_LINE;
        if (l->closed)
            return KFE_LINES_END;
        struct pollfd wait = {.fd = l->fd, .events = POLLIN};
        int ready = poll(&wait, 1, timeout_ms);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            return KFE_LINES_NONE;
        if (ready < 0 || !make_room(l))
            return KFE_LINES_ERROR;
        ssize_t got = read(l->fd, l->memory + l->end, l->cap - l->end - 1);
        if (got < 0)
            return errno == EINTR || errno == EAGAIN ? KFE_LINES_NONE : KFE_LINES_ERROR;
        if (got == 0)
            l->closed = true;
        else
            l->end += (size_t)got;
    }
}

void kfe_cmd_lines_wipe(kfe_cmd_lines *lines)
{
    if (lines->memory != NULL)
        kfe_wipe(lines->memory, lines->cap);
    free(lines->memory);
    memset(lines, 0, sizeof(*lines));
}
