# SPDX-License-Identifier: Apache-2.0
"""Runs a program on a pseudo-terminal of its own, and answers what it asks there."""

import os
import pty
import select
import sys
import termios
import time

LIMIT = 60


def check(condition, what, seen=b""):
    if not condition:
        print("FAILED:", what, "\n", seen.decode(errors="replace"))
        sys.exit(1)


class Terminal:
    def __init__(self, args):
        self.shown, self.end = b"", time.monotonic() + LIMIT
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(args[0], args)

    def more(self):
        """More of what it shows; False at the end."""
        if not select.select([self.fd], [], [], max(0, self.end - time.monotonic()))[0]:
            check(False, "it does not go on", self.shown)
        try:
            read = os.read(self.fd, 4096)
        except OSError:  # Linux' way to say that nobody has the other side open
            read = b""
        self.shown += read
        return read != b""

    def echoes(self):
        return termios.tcgetattr(self.fd)[3] & termios.ECHO

    def answer(self, question, answer, hidden, start):
        """Where the answer is due: what is shown from `start` on has the question."""
        while question not in self.shown[start:]:
            check(self.more(), f"no question {question}", self.shown)
        while hidden and self.echoes():  # the question may be seen before the echo is off
            check(time.monotonic() < self.end, "echo is never off", self.shown)
        at = self.shown.index(question, start) + len(question)
        os.write(self.fd, answer)
        return at


def on_terminal(args, dialogue):
    """Answers each (question, answer, hidden); returns exit code and all that was shown."""
    terminal, at = Terminal(args), 0
    for question, answer, hidden in dialogue:
        at = terminal.answer(question, answer, hidden, at)
    while terminal.more():
        pass
    _, status = os.waitpid(terminal.pid, 0)
    check(terminal.echoes(), "the terminal is left without echo", terminal.shown)
    os.close(terminal.fd)
    return os.waitstatus_to_exitcode(status), terminal.shown
