/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_LINES_H
#define KFE_CMD_LINES_H

/* Reads lines from a file descriptor without ever blocking longer than asked: a producer has
 * delivery reports to serve while its input is quiet. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int fd;
    char *memory;
    size_t start, end, cap; /* unread bytes are memory[start..end) */
    size_t seen;            /* of these, the ones known to hold no line end */
    bool closed;
    uint64_t number; /* of the line handed out last, from 1 */
} kfe_cmd_lines;

typedef enum {
    KFE_LINES_LINE, /* a line: *line, *len and a NUL behind it; valid until the next call */
    KFE_LINES_NONE, /* not within the timeout, or a signal came */
    KFE_LINES_END,
    KFE_LINES_ERROR, /* errno tells; EMSGSIZE: a line above 1 GiB */
} kfe_lines_result;

/* No memory that held lines is given back unwiped. */
void kfe_cmd_lines_init(kfe_cmd_lines *lines, int fd);
kfe_lines_result kfe_cmd_lines_next(kfe_cmd_lines *lines, char **line, size_t *len, int timeout_ms);
void kfe_cmd_lines_wipe(kfe_cmd_lines *lines);

#endif
