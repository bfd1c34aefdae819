#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Do the commands of docs/keys.md do what the page says? Runs them as they stand, typing PINs where
they are asked for; only what needs root is left out.

walkthrough.py BIN [pkcs11]: without the word this build knows no tokens."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from fresh_token import PIN, lacks
from pseudo_terminal import check, on_terminal

SO_PIN = "87654321"


class Page:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.lines = f.read().split("\n")

    def section(self, heading):
        """Its lines, down to the next heading."""
        check(heading in self.lines, f"no section {heading}")
        at = self.lines.index(heading) + 1
        end = at
        while end < len(self.lines) and not re.match(r"#+ ", self.lines[end]):
            end += 1
        return self.lines[at:end]

    def blocks(self, heading):
        """The fenced blocks of a section."""
        fenced = "\n".join(self.section(heading)).split("\n```")
        return ["\n".join(b.split("\n")[1:]) for b in fenced[1::2]]

    def rows(self, heading):
        """The cells of its tables' rows."""
        lines = [line for line in self.section(heading) if line.startswith("| ")]
        return [[c.strip() for c in line.strip("|").split("|")] for line in lines]


def transcript(block):
    """[command, lines that it prints] of each `$ command   # remark`."""
    entries = []
    for line in block.split("\n"):
        if line.startswith("$ "):
            entries.append([re.sub(r"\s+# .*", "", line[2:]), []])
        else:
            entries[-1][1].append(line)
    return entries


def masked(lines):
    return [re.sub("serial=[0-9a-f]+", "serial=", line) for line in lines]


class Shell:
    """Commands that share a folder and an environment, each stopped by the first that fails."""

    def __init__(self, folder):
        self.folder = folder
        self.before = "set -eu\n"

    def talk(self, commands, dialogue):
        with open("script", "w", encoding="utf-8") as f:
            f.write(f"{self.before}\n{commands}\n")
        code, shown = on_terminal(["bash", "script"], dialogue)
        check(code == 0, f"exit code {code} of:\n{commands}\n", shown)

    def run(self, commands, dialogue=()):
        """What they print to stdout, as lines."""
        self.talk(f"exec >{self.folder}/out\n{commands}", dialogue)
        with open(f"{self.folder}/out", encoding="utf-8") as f:
            return f.read().split("\n")[:-1]


def walk_through(page, shell):
    """A token, a configuration, and a key through its life; and the same by pkcs11-tool."""
    setup, conf, manager, life, tool = page.blocks("### Walk-through with SoftHSM")
    setup = "\n".join(line for line in setup.split("\n") if not line.startswith("sudo "))
    typed = [(b"", PIN, True)] + [(b"enter " + who + b" PIN", pin, True)
                                  for who, pin in ((b"SO", SO_PIN), (b"user", PIN)) for _ in "12"]
    shell.talk(setup, [(q, a.encode() + b"\n", h) for q, a, h in typed])
    shell.before += "export SOFTHSM2_CONF=~/softhsm2.conf KFE_PIN=" + PIN + "\n"
    with open("kfe.conf", "w", encoding="utf-8") as f:
        f.write(conf + "\n" + manager + "\n")
    for command, expected in transcript(life):
        dialogue = [(b"Type yes:", b"yes\n", False)] if " destroy " in command else []
        out = shell.run(command, dialogue)
        check(masked(out) == masked(expected), f"{command} prints {out}, not {expected}")
    shell.run("kfe doctor -F kfe.conf --stats")
    define_tool(page, shell)
    shell.run(tool)
    out = shell.run("kfe keys list -F kfe.conf")
    check(any(re.match("orders +3 +active", line) for line in out) and "refused" not in str(out),
          f"no good orders@3 in {out}")
    out = shell.run("T --list-objects --type data")
    check(sum("kfe key state" in line for line in out) == 2, f"not the two markers: {out}")


def define_tool(page, shell):
    text = " ".join(page.section("### Walk-through with SoftHSM"))
    stands_for = re.search(r"`T` stands for *`([^`]*)`", text)
    check(stands_for, "it is not said what T stands for")
    shell.before += f'T() {{ {stands_for.group(1)} "$@"; }}\n'


def fresh_token(shell):
    shell.run("rm -rf ~/tokens && mkdir ~/tokens && softhsm2-util --init-token --free --label kafka "
              f"--so-pin {SO_PIN} --pin {PIN}")


def good_key(shell, name, kind):
    """NAME@1 of the only key is what `kfe` takes for that kind."""
    allow = "-X encryption.keyprovider.pkcs11.allow.rsa=true"
    out = shell.run(f"kfe keys probe -F kfe.conf {allow}")
    found = [line for line in out if f"key {name}@1" in line]
    check(len(found) == 1 and found[0].startswith("yes") and kind in found[0],
          f"{name}@1 is not good for {kind}: {out}")


def tool_s_table(page, shell):
    """What pkcs11-tool makes is what kfe takes, row by row, each in a token of its own."""
    rows = {row[0]: row[1] for row in page.rows("### Walk-through with SoftHSM")[1:]}
    commands = {what: re.findall("`(T [^`]*)`", by_tool) for what, by_tool in rows.items()}
    kinds = {"derived": "rotate orders", "RSA": "rsa", "wrapped": "wrapped"}
    for kind, word in kinds.items():
        fresh_token(shell)
        make = next(c[0] for what, c in commands.items() if word in what)
        shell.run(make)
        if kind == "RSA":
            shell.run("T --delete-object --type pubkey --label orders")
        good_key(shell, "orders", kind)
    destroy = next(c[0] for what, c in commands.items() if "destroy" in what)
    fresh_token(shell)
    shell.run("kfe keys create orders -F kfe.conf\n" + destroy)
    check(len(shell.run("kfe keys list -F kfe.conf")) == 1, "the key is there still")
    for what in ("`list`", "`probe`"):
        shell.run(commands[what][0])
    return commands


def moving(page, shell, commands):
    kek = next(c[0] for what, c in commands.items() if "that wraps" in what)
    wrap = next(c[0] for what, c in commands.items() if "export-wrapped" in what)
    fresh_token(shell)
    shell.run(kek)
    shell.run("T --keygen --key-type GENERIC:32 --label loose --id 00000001 --sensitive --private "
              "--extractable")
    exported = shell.run("kfe keys export-wrapped loose@1 --kek kek -F kfe.conf | tee key.hex")
    shell.run(wrap + " --output-file wrapped")
    with open("wrapped", "rb") as f:
        check([f.read().hex()] == exported, "pkcs11-tool wraps otherwise")
    shell.run("head -c 32 /dev/urandom >key.bin\n" + page.blocks("### Moving keys")[0])
    out = shell.run("kfe keys list -F kfe.conf")
    check(len([line for line in out if line.startswith("orders")]) == 2, f"not two keys: {out}")


def other_kinds(page, shell):
    for command in page.blocks("### Derived, wrapped, direct")[-1].split("\n"):
        fresh_token(shell)
        shell.run(command)
        good_key(shell, "orders", "wrapped")
    fresh_token(shell)
    option, life = page.blocks("### RSA keys")
    with open("kfe.conf", "a", encoding="utf-8") as f:
        f.write(option + "\nencryption.keyprovider.pkcs11.timeout.ms=60000\n")
    for command, expected in transcript(life):
        check(shell.run(command) == expected, f"{command} does not print {expected}")


def in_a_file(page, shell):
    words = [re.split(r"\s+# ", line)[0] for line in page.blocks("## Keys in a file")[0].split("\n")]
    options = words[0].split(" ", 4)[4]
    shell.run("\n".join(w.replace("...", options) for w in words), [(b"Type yes:", b"yes\n", False)])
    by_hand = page.blocks("### The plain form")[1]
    shell.run(f"rm keys.json\n{by_hand}\nkfe keys list {options} | grep -q '^orders  *1  active'")


def main():
    if sys.argv[2:] != ["pkcs11"]:
        print("skipped: this build knows no tokens")
        sys.exit(77)
    before = os.getcwd()
    page = Page(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/keys.md"))
    if not shutil.which("softhsm2-util") or not shutil.which("pkcs11-tool"):
        lacks("SoftHSM or pkcs11-tool")
    os.environ.pop("KFE_CONFIG", None)
    os.environ["PATH"] = os.path.abspath(sys.argv[1]) + ":" + os.environ["PATH"]
    os.umask(0o077)
    folder = tempfile.mkdtemp(prefix="kfe-command.")
    os.environ["HOME"] = folder
    os.chdir(folder)
    try:
        shell = Shell(folder)
        walk_through(page, shell)
        commands = tool_s_table(page, shell)
        moving(page, shell, commands)
        other_kinds(page, shell)
        in_a_file(page, shell)
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


main()
