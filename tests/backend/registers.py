#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""registers.py OBJECT...: do the hot loops of the vaes512 kernels keep all round keys in registers?

Disassembles the one that is called vaes512.c.o and looks at every innermost loop (a jump back, and in between none but jumps
that skip a part of it) that runs at least two vectors through nine rounds of AES or more. In those of KERNELS no AES instruction
may have an operand in memory, and no round key may come from memory; few other vectors may lie on the
stack. Each of them must be there: a kernel that is renamed or lost its loop is an error, too.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from machine_code import functions, loops  # noqa: E402

# Functions, whose loops there must be so many of; round keys that may be loaded in one turn, and moves
# between registers and stack.
KERNELS = [
    (r"(seal|open)_(odd|even)$", 4, 0, 6),
    (r"few_(seal|open)_(128|192|256)_many$", 6, 0, 0),
]

LEAST_ROUNDS = 2 * 9
STACK = re.compile(r"\(%r[sb]p\b")


def is_hot(loop):
    return sum(m == "vaesenc" and "%zmm" in o for _, m, o in loop) >= LEAST_ROUNDS


def loaded_keys(loop):
    """Registers that the loop loads, and takes as a round key. AT&T order: key, state, result."""
    loaded = set()
    for _, mnemonic, operands in loop:
        to = re.search(r",\s*(%zmm\d+)\S*$", operands)
        if to and "(" in operands and mnemonic.startswith(("vmov", "vbroadcast")):
            loaded.add(to.group(1))
    keys = {o.split(",")[0].strip() for _, m, o in loop if m.startswith("vaesenc")}
    return loaded & keys


def faults(loop, most_keys, most_moves):
    for address, mnemonic, operands in loop:
        if mnemonic.startswith("vaes") and "(" in operands:
            yield f"{address:x}: an AES instruction with an operand in memory: {mnemonic} {operands}"
    keys = loaded_keys(loop)
    if len(keys) > most_keys:
        yield f"round keys loaded in each turn: {', '.join(sorted(keys))}"
    moves = [(a, m, o) for a, m, o in loop if m.startswith("vmov") and STACK.search(o)]
    if len(moves) > most_moves:
        yield f"{len(moves)} vectors to or from the stack, above {most_moves}:"
        yield from (f"{a:x}: {m} {o}" for a, m, o in moves)


def main(path):
    found = [0] * len(KERNELS)
    good = True
    for name, code in functions(path):
        for i, (pattern, _, most_keys, most_moves) in enumerate(KERNELS):
            if not re.match(pattern, name):
                continue
            for loop in filter(is_hot, loops(code)):
                found[i] += 1
                print(f"{name}: a loop of {len(loop)} instructions at {loop[0][0]:x}")
                for fault in faults(loop, most_keys, most_moves):
                    good = False
                    print(f"    {fault}")
    for (pattern, least, _, _), n in zip(KERNELS, found):
        if n < least:
            good = False
            print(f"{n} hot loops in {pattern}, not {least}: what is looked for is not there")
    return good


if __name__ == "__main__":
    sys.exit(0 if main(next(a for a in sys.argv[1:] if "vaes512.c" in a)) else 1)
