/* SPDX-License-Identifier: Apache-2.0 */

/* Are lines read whole, in whatever pieces they come, and never waited for too long? */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kafka/cmd_lines.h"

/* Every block that cmd_lines.c gives back goes by here (-Wl,--wrap=free). */
void __real_free(void *block);
/* Visible, as a sanitizer's library asks for it too. */
__attribute__((visibility("default"))) void __wrap_free(void *block);

static unsigned freed, unwiped;

void __wrap_free(void *block)
{
    if (block != NULL) {
        const char *start = block;
        freed++;
        for (int i = 0; i < 16; i++)
            unwiped += start[i] != 0;
    }
    __real_free(block);
}

typedef struct {
    int write;
    kfe_cmd_lines lines;
} pipe_reader;

static void open_pipe(pipe_reader *p)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    p->write = ends[1];
    kfe_cmd_lines_init(&p->lines, ends[0]);
}

static void close_pipe(pipe_reader *p)
{
    close(p->lines.fd);
    kfe_cmd_lines_wipe(&p->lines);
}

static void put(const pipe_reader *p, const char *text)
{
    assert_int_equal(write(p->write, text, strlen(text)), strlen(text));
}

static void assert_line(pipe_reader *p, const char *want, size_t len)
{
    char *line;
    size_t got;
    assert_int_equal(kfe_cmd_lines_next(&p->lines, &line, &got, 1000), KFE_LINES_LINE);
    assert_int_equal(got, len);
    assert_memory_equal(line, want, len);
    assert_int_equal(line[len], '\0');
}

static void assert_result(pipe_reader *p, kfe_lines_result want)
{
    char *line;
    size_t len;
    assert_int_equal(kfe_cmd_lines_next(&p->lines, &line, &len, 0), want);
}

static void test_pieces(void **state)
{
    (void)state;
    pipe_reader p;
    open_pipe(&p);
    assert_result(&p, KFE_LINES_NONE);
    put(&p, "one\ntw");
    assert_line(&p, "one", 3);
    assert_result(&p, KFE_LINES_NONE);
    put(&p, "o\n\nlast");
    assert_line(&p, "two", 3);
    assert_line(&p, "", 0);
    assert_int_equal(p.lines.number, 3);
    assert_result(&p, KFE_LINES_NONE);
    close(p.write);
    assert_line(&p, "last", 4);
    assert_result(&p, KFE_LINES_END);
    assert_result(&p, KFE_LINES_END);
    assert_int_equal(p.lines.number, 4);
    close_pipe(&p);
}

static void test_empty(void **state)
{
    (void)state;
    pipe_reader p;
    open_pipe(&p);
    close(p.write);
    assert_result(&p, KFE_LINES_END);
    close_pipe(&p);
}

/* Longer than the first buffer, so that it has to grow while the beginning is kept. */
static void test_long_line(void **state)
{
    (void)state;
    enum { PIECES = 300, PIECE = 1000 };
    static char piece[PIECE + 1], whole[PIECES * PIECE];
    freed = unwiped = 0;
    memset(whole, 'x', sizeof(whole));
    memset(piece, 'x', PIECE);
    pipe_reader p;
    open_pipe(&p);
    put(&p, "short\n");
    for (int i = 0; i < PIECES; i++) {
        put(&p, piece);
        if (i == 0)
            assert_line(&p, "short", 5);
        assert_result(&p, KFE_LINES_NONE);
    }
    put(&p, "\nnext\n");
    assert_line(&p, whole, sizeof(whole));
    assert_line(&p, "next", 4);
    close(p.write);
    assert_result(&p, KFE_LINES_END);
    close_pipe(&p);
    assert_true(freed > 3); /* 64 KiB, 128, 256, 512 */
    assert_int_equal(unwiped, 0);
}

static void test_unreadable(void **state)
{
    (void)state;
    char *line;
    size_t len;
    kfe_cmd_lines lines;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    close(ends[1]);
    kfe_cmd_lines_init(&lines, ends[0]); /* a number that is no descriptor */
    assert_int_equal(kfe_cmd_lines_next(&lines, &line, &len, 0), KFE_LINES_ERROR);
    kfe_cmd_lines_wipe(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
