#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does docs/statistics.md name every member of the statistics, and none that is not there?

stats_page.py BIN [pkcs11]: without the word this build knows no tokens."""

import json
import os
import re
import subprocess
import sys
import tempfile

from fresh_token import PIN, fresh_token

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/statistics.md")


def fail(what):
    print("FAILED:", what)
    sys.exit(1)


def told(folder, *options):
    """What `kfe doctor --stats` prints."""
    kfe = os.path.abspath(os.path.join(sys.argv[1], "kfe"))
    options = [o for pair in options for o in ("-X", "encryption." + pair)]
    for verb in (["keys", "create", "orders"], ["doctor", "--stats"]):
        done = subprocess.run([kfe, *verb, *options], cwd=folder, stdout=subprocess.PIPE, timeout=60)
        if done.returncode != 0:
            fail(f"kfe {verb}: exit code {done.returncode}\n{done.stdout.decode()}")
    return json.loads(re.search(r"^\{.*^\}", done.stdout.decode(), re.M | re.S).group(0))


def members(value):
    """Their names, on all levels."""
    if isinstance(value, list):
        return set().union(*map(members, value))
    if isinstance(value, dict):
        return set(value).union(*map(members, value.values()))
    return set()


def with_token(folder, manager):
    os.environ["PIN"] = PIN
    return told(folder, "keyprovider.class=pkcs11", "keyprovider.pkcs11.pin=env:PIN",
                f"keyprovider.pkcs11.uri={fresh_token(folder)}", *manager)


def main():
    os.environ.pop("KFE_CONFIG", None)
    os.umask(0o077)
    manager = ("keymanager.class=topic", "keymanager.default.key=orders")
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    cells = re.findall(r"^\| ((?:`[a-z0-9_]+`(?:, )?)+) \|", page, re.M)
    named = set(re.findall(r"`([a-z0-9_-]+)`", page))
    documented = {name for cell in cells for name in re.findall("`([^`]*)`", cell)}
    with tempfile.TemporaryDirectory(prefix="kfe-command.") as folder:
        plain = told(folder, "keyprovider.class=file", "keyprovider.file.path=keys.json", *manager)
        if members(plain) - named:
            fail(f"not in docs/statistics.md: {members(plain) - named}")
        if sys.argv[2:] != ["pkcs11"]:
            return
        found = members(with_token(folder, manager))
    if found - named:
        fail(f"not in docs/statistics.md: {found - named}")
    if documented - found or len(documented) < 20:
        fail(f"not in the statistics: {documented - found}")


main()
