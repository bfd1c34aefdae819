# SPDX-License-Identifier: Apache-2.0
"""Functions and loops of an object file's machine code, as a disassembler prints them."""
import re
import subprocess

LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
TARGET = re.compile(r"(?:^|\s)(?:0x)?([0-9a-f]+)(?: <[^>]*>)?$")
JUMP = re.compile(r"j|b$|b\.|cbn?z|tbn?z")
ENDS = re.compile(r"call|ret|bl")


def functions(path, objdump="objdump"):
    """Yields (name, [(address, mnemonic, operands)])."""
    text = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True
    ).stdout
    name, code = None, []
    for line in text.splitlines():
        head, match = FUNCTION.match(line), LINE.match(line)
        if head:
            if code:
                yield name, code
            name, code = head.group(1), []
        elif match:
            address, mnemonic, rest = match.groups()
            operands = re.split(r"\s*(?:#|//|;)\s", rest)[0].strip()
            code.append((int(address, 16), mnemonic, operands))
    if code:
        yield name, code


def is_jump(mnemonic):
    return JUMP.match(mnemonic) is not None


def loops(code):
    """Innermost loops, as lists of instructions: a jump back, and between its target and itself no
    call, and no jump but those that skip a part of the loop."""
    index = {address: i for i, (address, _, _) in enumerate(code)}
    target = {}
    for i, (_, mnemonic, operands) in enumerate(code):
        if is_jump(mnemonic):
            match = TARGET.search(operands)
            target[i] = index.get(int(match.group(1), 16)) if match else None
        elif ENDS.match(mnemonic):
            target[i] = None
    for end, start in target.items():
        if start is None or start > end:
            continue
        inside = [(i, to) for i, to in target.items() if start <= i < end]
        if all(to is not None and i < to <= end for i, to in inside):
            yield code[start : end + 1]
