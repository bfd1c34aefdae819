#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ports.py CPU PATTERN OBJECT...: what a core's ports allow the hot loops of a kernel, by llvm-mca.

Takes every straight loop, in functions whose names PATTERN matches, that ends at least LEAST AES
blocks, of each function the one with the most, and asks llvm-mca's model of CPU (-mcpu of LLVM: znver4, icelake-server, neoverse-n2, ...) how many cycles one
turn takes. A block is 16 bytes of key stream: an AES round that is a last one, times the vector's
blocks. `bound` is the turn's cycles by ports alone, `simulated` with dependences and the front end
as the model has them (100 turns, memory always in the first cache); both by block. `busiest` are the
resources that are used in more than 90 % of `bound`. A model is no measurement: it knows no cache
misses and no branches, and may be wrong on a core's units.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "support"))
from machine_code import TARGET, functions, is_jump, loops  # noqa: E402

LEAST = 4
TURNS = 100
WIDTH = {"zmm": 4, "ymm": 2, "xmm": 1}


def tool(name):
    return os.environ.get("LLVM_BIN", "/usr/lib/llvm-16/bin") + "/" + name


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"ports.py: {command[0]}: {done.stderr.strip()[:500]}")
    return done.stdout


def blocks(loop):
    """AES blocks that end in one turn. ARM has no last round of its own: AESE without AESMC."""
    n = 0
    for _, mnemonic, operands in loop:
        if "aesenclast" in mnemonic:
            n += WIDTH[re.findall(r"[xyz]mm", operands)[-1]]
        n += (mnemonic == "aese") - (mnemonic == "aesmc")
    return n


def assembly(loop):
    """Text that an assembler takes: jumps out of the loop and in it go to one label."""
    lines = ["turn:"]
    for _, mnemonic, operands in loop:
        if is_jump(mnemonic):
            operands = TARGET.sub(" turn", operands)
        lines.append(f"{mnemonic} {operands}")
    return "\n".join(lines) + "\n"


def model(triple, cpu, loop):
    text = run(
        tool("llvm-mca"), f"-mtriple={triple}", f"-mcpu={cpu}", f"-iterations={TURNS}",
        "-instruction-info=0", "-resource-pressure=1", "-", text=assembly(loop),
    )
    bound = float(re.search(r"Block RThroughput: +([0-9.]+)", text).group(1))
    cycles = float(re.search(r"Total Cycles: +([0-9]+)", text).group(1)) / TURNS
    names = dict(re.findall(r"^\[([0-9.]+)\] +- (\S+)", text, re.M))
    head, row = re.search(
        r"Resource pressure per iteration:\n(.*)\n(.*)\n", text
    ).groups()
    used = zip(re.findall(r"\[([0-9.]+)\]", head), row.split())
    busy = [names[i] for i, u in used if u != "-" and float(u) > 0.9 * bound]
    return bound, cycles, busy


def hottest(path, pattern):
    """Yields (function, blocks, loop)."""
    for name, code in functions(path, tool("llvm-objdump")):
        found = [(blocks(loop), -len(loop), loop) for loop in loops(code)]
        if re.search(pattern, name) and found and max(found)[0] >= LEAST:
            yield name, max(found)[0], max(found)[2]


def main(cpu, pattern, paths):
    print(f"model of {cpu}, {run(tool('llvm-mca'), '--version').splitlines()[0].strip()}\n")
    print("| kernel | loop in | instructions | blocks | bound | simulated | busiest |")
    print("|---|---|--:|--:|--:|--:|---|")
    for path in paths:
        triple = "x86_64" if "x86-64" in run(tool("llvm-objdump"), "-f", path) else "aarch64"
        for name, n, loop in sorted(hottest(path, pattern)):
            bound, cycles, busy = model(triple, cpu, loop)
            print(f"| {os.path.basename(path).split('.')[0]} | {name} | {len(loop)} | {n} | "
                  f"{bound / n:.2f} | {cycles / n:.2f} | {', '.join(sorted(set(busy))[:4])} |")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
