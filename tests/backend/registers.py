#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""registers.py OBJECT...: do the hot loops of the vaes512 kernel keep all they need in registers?

Disassembles and looks at every innermost loop that runs at least two vectors (of 9 AES rounds or
more each) through AES. In such a loop there may be no AES instruction with an operand in memory, no
vector moved to or from the stack, and no 64-byte load of a round key. With --ends: every function
that touches a wide vector must leave by vzeroupper.
"""
import re
import subprocess
import sys

LEAST_ROUNDS = 9
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
TARGET = re.compile(r"^([0-9a-f]+) <([^>+]+)")
STACK = re.compile(r"\(%r[sb]p\b")


def functions(path):
    """Yields (name, [(address, mnemonic, operands)])."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True
    ).stdout
    name, code = None, []
    for line in text.splitlines():
        head = FUNCTION.match(line)
        if head:
            if code:
                yield name, code
            name, code = head.group(1), []
            continue
        match = LINE.match(line)
        if match:
            address, mnemonic, rest = match.groups()
            code.append((int(address, 16), mnemonic, rest.split("#")[0].strip()))
    if code:
        yield name, code


def loops(code):
    """Innermost loops as lists of instructions: a jump back encloses them and no other such jump."""
    index = {address: i for i, (address, _, _) in enumerate(code)}
    found = []
    for i, (address, mnemonic, operands) in enumerate(code):
        target = TARGET.match(operands)
        if not mnemonic.startswith("j") or not target:
            continue
        to = int(target.group(1), 16)
        if to <= address and to in index:
            found.append((index[to], i))
    inner = [
        (a, b) for a, b in found if not any((c, d) != (a, b) and a <= c and d <= b for c, d in found)
    ]
    return [code[a : b + 1] for a, b in inner]


def rounds(loop):
    return sum(m == "vaesenc" and "%zmm" in o for _, m, o in loop)


def faults(loop):
    for address, mnemonic, operands in loop:
        if mnemonic.startswith("vaes") and "(" in operands:
            yield address, "an AES instruction with an operand in memory", mnemonic, operands
        elif mnemonic.startswith("vmov") and STACK.search(operands):
            yield address, "a vector on the stack", mnemonic, operands
        elif mnemonic.startswith("vmov") and re.match(r"\S*\([^)]*\),\s*%zmm", operands):
            yield address, "a load of 64 bytes", mnemonic, operands


def reloaded(loop):
    """AES instructions whose round key was loaded in the loop itself. AT&T order: key, state, to."""
    loaded = set()
    for _, mnemonic, operands in loop:
        to = re.search(r",\s*(%zmm\d+)\S*$", operands)
        if to and "(" in operands and mnemonic.startswith(("vmov", "vbroadcast")):
            loaded.add(to.group(1))
    for address, mnemonic, operands in loop:
        if mnemonic.startswith("vaesenc") and operands.split(",")[0].strip() in loaded:
            yield address, "a round key that the loop loads", mnemonic, operands


def check(path, least):
    hot = failed = 0
    for name, code in functions(path):
        for loop in loops(code):
            if rounds(loop) < 2 * LEAST_ROUNDS:
                continue
            hot += 1
            wrong = list(faults(loop)) + list(reloaded(loop))
            print(f"{name}+{loop[0][0]:#x}: {len(loop)} instructions, {rounds(loop)} AES rounds"
                  + (f", {len(wrong)} FAULTS" if wrong else ""))
            for address, what, mnemonic, operands in wrong:
                print(f"    {address:x}: {what}: {mnemonic} {operands}")
            failed += bool(wrong)
    print(f"{path}: {hot} hot loops, {failed} of them with faults")
    if hot < least:
        print(f"{path}: fewer than {least} hot loops: what is looked for is not there")
    return failed == 0 and hot >= least


if __name__ == "__main__":
    sys.exit(0 if check(sys.argv[2], int(sys.argv[1])) else 1)
